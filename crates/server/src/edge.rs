//! The program's edge: the only place of this crate that reads a clock, draws random numbers or
//! sees the environment. Everything else is handed what it needs.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ostler_core::port::{Clock, Entropy};
use ostler_core::time::Timestamp;
use rand::TryRng as _;
use rand::rngs::SysRng;

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        SysRng
            .try_fill_bytes(bytes)
            .expect("an operating system without random numbers cannot run a server that mints tokens");
    }
}

/// The variables this program answers to: `OSTLER_…`, and those by which systemd speaks to it.
/// What is not UTF-8 cannot be one of ours.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where the environment comes in"
)]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("OSTLER_") || name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::port::random_bytes;

    #[test]
    fn the_edge_yields_this_century_and_changing_bytes() {
        assert!(SystemClock.now() > Timestamp::from_millis(1_700_000_000_000));
        assert_ne!(random_bytes::<16>(&OsEntropy), random_bytes::<16>(&OsEntropy));
    }
}
