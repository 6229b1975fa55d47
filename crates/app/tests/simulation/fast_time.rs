//! Time that runs ten times as fast, on a runtime of its own.
//!
//! tokio's paused clock alone would not do: it jumps whenever the runtime is idle, also while
//! SQLite's thread is at work, so that every deadline would pass during the first query. A blocking
//! task keeps it from jumping and moves it in step with real time instead.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ostler_core::port::Clock;
use ostler_core::time::Timestamp;
use tokio::sync::Notify;

use super::edge;
use crate::world::NOW;

const TICK: Duration = Duration::from_millis(1);
/// What passes at each tick; between them the clock stands.
pub const STEP: Duration = Duration::from_millis(10);

/// Runs one process's life. When it returns, nothing of it runs any more: what was under way was
/// dropped where it stood.
pub fn in_fast_time<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (ended, ending) = sync_channel::<()>(0);
    let ticks = Arc::new(Notify::new());
    let ticking = Arc::clone(&ticks);
    runtime.spawn_blocking(move || {
        while ending.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            ticking.notify_one();
        }
    });
    runtime.spawn(async move {
        loop {
            ticks.notified().await;
            tokio::time::advance(STEP).await;
        }
    });
    let result = runtime.block_on(life);
    drop(ended);
    result
}

/// The calendar goes on from one life to the next.
pub struct FastClock {
    origin: Instant,
    began: tokio::time::Instant,
    before: Duration,
}

impl FastClock {
    /// To be made inside the runtime, by whose time it goes.
    pub fn going_on_from(before: Duration) -> Self {
        Self {
            origin: edge::instant(),
            began: tokio::time::Instant::now(),
            before,
        }
    }

    /// Since the first life began.
    pub fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        NOW + self.elapsed()
    }

    fn instant(&self) -> Instant {
        self.origin + self.elapsed()
    }
}
