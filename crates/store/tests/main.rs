//! The shared suite: every statement of the store on both databases.
//!
//! It stands in for checking SQL at compile time. Each test makes its own world: a file of its own
//! on SQLite, a database of its own on PostgreSQL.

#![expect(
    clippy::disallowed_methods,
    reason = "facts are stamped with the moment before they are read"
)]

#[cfg(test)]
mod suite;
