//! Time and chance as the domain is handed them.
//!
//! Programs implement these ports once, at their edge; tests bring a clock that they move and a
//! source of bytes that repeats.

use std::time::Instant;

use crate::time::Timestamp;

/// Two clocks that belong together: the calendar that rights are judged by, and the monotonic
/// clock that deadlines and `send_by` are measured on (a calendar may step, this one may not).
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    fn instant(&self) -> Instant;
}

/// The operating system's random bytes, through one place.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// Draws `N` random bytes.
pub fn random_bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
