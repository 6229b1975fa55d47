//! What the simulation takes from the machine: one reading of the clock, one setting, and standard
//! error for the name of a run that fails.

use std::time::Instant;

/// An `Instant` cannot be made from a number; everything else is counted from this one.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from a number")]
pub fn instant() -> Instant {
    Instant::now()
}

/// `OSTLER_SIM_SEEDS`: how many seeds to live through.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own settings come by the environment"
)]
pub fn seeds() -> Option<u64> {
    std::env::var("OSTLER_SIM_SEEDS").ok()?.parse().ok()
}

/// Says which run it was, if it fails.
pub struct Announce<'a>(pub &'a str);

impl Drop for Announce<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the run that failed: {}", self.0);
        }
    }
}
