//! The one place where the simulator reads the machine's clock and its randomness. Everything else
//! is handed time and chance.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

/// Milliseconds since 1970, by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "this is the simulator's edge")]
pub(crate) fn system_now_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the machine's clock stands after 1970");
    i64::try_from(since_epoch.as_millis()).expect("milliseconds fit 63 bits for 292 million years")
}

/// A generator for secrets and ids that nobody may foresee, seeded by the operating system.
pub(crate) fn unforeseeable() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).expect("the operating system gives randomness")
}
