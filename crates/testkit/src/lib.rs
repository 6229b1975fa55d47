//! What the tests of every crate need from the machine: a PostgreSQL server, scratch folders, free ports,
//! certificates, and real programs that are started, waited for and stopped. It knows nothing of Ostler, so
//! any crate may use it as a dev-dependency without bending the walls. Being test support, it panics with a
//! sentence where a program would return an error.

mod certificate;
mod edge;
mod port;
mod postgres;
mod process;
mod scratch;
mod wait;

pub use certificate::{Certified, issued, self_signed};
pub use port::free_port;
pub use postgres::{Database, Postgres};
pub use process::Process;
pub use scratch::Scratch;
pub use wait::{eventually, eventually_async};
