//! The domain of Ostler: types, states and the one policy function.
//!
//! Nothing here is async, does I/O, reads a clock or draws a random number: time and chance are
//! handed in as values. Whatever decides who may do what can therefore be read, and tested, as a
//! table of inputs and outputs.

pub mod audit;
pub mod caller;
pub mod client;
pub mod command;
pub mod contract;
pub mod email;
pub mod event;
pub mod grant;
pub mod history;
pub mod id;
pub mod interval;
pub mod mapping;
pub mod name;
pub mod permit;
pub mod policy;
pub mod port;
pub mod product;
pub mod product_file;
pub mod registration;
pub mod scope;
pub mod secret;
pub mod staff;
mod text;
pub mod time;
