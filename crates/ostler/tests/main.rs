//! The real binary, from outside: one test binary for all of it.

#![cfg(test)]

mod installation;
mod world;

mod backup;
mod check;
mod connect;
mod init;
mod product;
mod scenarios;
