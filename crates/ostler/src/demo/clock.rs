//! In the demo Ostler reads the simulated cloud's clock, so that expiry can be tried from outside.

use std::time::Instant;

use ostler_core::port::Clock;
use ostler_core::time::Timestamp;
use ostler_server::edge::SystemClock;
use ostler_sim::SimClock;

pub struct SharedClock(pub SimClock);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now_ms())
    }

    /// Deadlines elapse in real time.
    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
}
