//! Tests of what is not Rust: the scripts a newcomer runs first, and the example configurations.

#![cfg(test)]

mod examples;
mod prerequisites;
