//! The real binary, from outside: one test binary for all of it.

#![cfg(test)]

mod installation;
mod operations;
mod world;

mod authorization;
mod backup;
mod bad_input;
mod check;
mod connect;
mod durability;
mod init;
mod kill;
mod one_core;
mod product;
mod promises;
mod proxies;
mod scenarios;
mod traces;
