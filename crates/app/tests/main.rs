//! Use cases on the real store, on both databases, with a device cloud that the test is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod history;
mod ingest;
mod simulation;
mod world;
