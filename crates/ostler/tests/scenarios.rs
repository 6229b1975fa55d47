//! The situations that product makers described (README, S1 to S19), end to end on the real binary
//! over HTTP, each on both databases.

mod s11_nobodys_devices;
mod s1_history;
mod s2_server_side_control;
mod s5_first_start;
mod s7_one_api;
mod s8_limits;

use crate::world::on_both;
