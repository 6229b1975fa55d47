//! Tests of what is not Rust: the scripts a newcomer runs first, and the example configurations.

mod prerequisites;
