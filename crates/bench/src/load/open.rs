//! The open loop: a schedule of due times at a fixed rate.
//!
//! A latency counts from the moment a request was due, not from when it could be sent: a server that stalls cannot hide
//! the requests that would have come meanwhile (coordinated omission). One thread per connection: the kernel's timers
//! hit a due time within microseconds, where an event loop's wheel counts milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Crew;
use crate::connection::Connection;
use crate::edge;

pub fn run(crew: &Crew<'_>, connections: Vec<Connection>, schedule: &Schedule) -> anyhow::Result<Vec<Duration>> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = connections
            .into_iter()
            .map(|connection| scope.spawn(move || work(crew, connection, schedule)))
            .collect();
        let samples = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(samples.concat())
    })
}

fn work(crew: &Crew<'_>, mut connection: Connection, schedule: &Schedule) -> anyhow::Result<Vec<Duration>> {
    let mut samples = Vec::with_capacity(1 << 12);
    let mut request = Vec::with_capacity(1024);
    while let Some(due) = schedule.next() {
        edge::sleep_until(due);
        crew.ask(&mut connection, &mut request)?;
        samples.push(edge::now().duration_since(due));
    }
    Ok(samples)
}

/// Hands out due times, one to whichever connection is free next.
pub struct Schedule {
    start: Instant,
    lasts: Duration,
    per_second: u32,
    taken: AtomicU64,
}

impl Schedule {
    pub fn new(start: Instant, lasts: Duration, per_second: u32) -> Self {
        Self {
            start,
            lasts,
            per_second,
            taken: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Option<Instant> {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = self.start + Duration::from_nanos(taken * 1_000_000_000 / u64::from(self.per_second));
        (due < self.start + self.lasts).then_some(due)
    }
}
