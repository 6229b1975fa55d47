//! The one place of this program that reads the clock and sleeps. A load generator is about real time, so here the
//! clock cannot be handed in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long before a moment the thread is woken: the kernel's timers come up to this late.
const EARLY: Duration = Duration::from_micros(80);

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "tokens of the comparison expire in real time")]
pub fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the generator's threads have nothing else to do"
)]
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

/// Returns at `due`, within a few microseconds if a core is free, and at once when it has passed. The last stretch
/// yields rather than sleeps, so that the upstream on the same core is not held up.
pub fn sleep_until(due: Instant) {
    let left = due.saturating_duration_since(now());
    if left > EARLY {
        sleep(left - EARLY);
    }
    while now() < due {
        std::thread::yield_now();
    }
}
