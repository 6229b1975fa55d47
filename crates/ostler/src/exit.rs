//! How a failure is told: to stderr, with its causes, and in the exit status.

use std::process::ExitCode;

pub const FAILED: u8 = 1;

/// Says what went wrong and why, on one line per cause.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("ostler: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    ExitCode::from(FAILED)
}
