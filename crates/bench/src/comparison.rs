//! The rounds of a run. In each round everybody is measured once, one after the other: what the machine does besides
//! hits all alike, and the median over the rounds drops a bad one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::contestants::Contestant;
use crate::contestants::ostler::BearerChecks;
use crate::disk;
use crate::latency::{Latencies, median, micros};
use crate::load::{Crew, Load, Measured, Pace};
use crate::processes::cpu_time;
use crate::stub::Stub;

pub const PACE: Pace = Pace::Open { per_second: 500 };
/// More than are ever in flight at once, unless somebody stalls.
pub const CONNECTIONS_PACED: usize = 16;
pub const CONNECTIONS_SLOW: usize = 64;
/// As the targets say.
pub const CONNECTIONS_FULL: usize = 64;
pub const SLOW_UPSTREAM: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Direct,
    Nginx,
    NginxCaching,
    NginxVerifying,
    Fastify,
    Ostler,
}

pub struct Comparison {
    pub stub: Stub,
    pub callers: BTreeMap<Who, Contestant>,
    pub bearer: BearerChecks,
    pub ingest: Contestant,
    /// On the disk of the database.
    pub data: PathBuf,
    /// How long each measurement lasts.
    pub lasts: Duration,
    pub numbers: AtomicU64,
}

/// One measurement, with the CPU time of the processes it was about.
#[derive(Debug)]
pub struct Sample {
    pub measured: Measured,
    pub cpu: Duration,
}

impl Sample {
    pub fn cpu_each_micros(&self) -> f64 {
        micros(self.cpu) / self.measured.latencies.count() as f64
    }

    /// Which part of the core was in use. Much below 1 at full load: somebody else was the limit.
    pub fn core_in_use(&self) -> f64 {
        self.cpu.as_secs_f64() / self.measured.took.as_secs_f64()
    }

    pub fn quantile_micros(&self, share: f64) -> f64 {
        micros(self.measured.latencies.quantile(share))
    }
}

#[derive(Debug)]
pub struct Calls {
    /// At a fixed rate, the upstream answering at once.
    pub paced: Sample,
    /// The same rate, the upstream taking its time.
    pub slow: Sample,
    /// As fast as they are answered.
    pub full: Sample,
}

#[derive(Debug)]
pub struct Bearer {
    pub none: Sample,
    pub unknown: Sample,
    pub good: Sample,
}

#[derive(Debug)]
pub struct Round {
    pub syncs: Latencies,
    pub calls: BTreeMap<Who, Calls>,
    pub bearer: Bearer,
    pub ingest: Sample,
}

/// The median over all rounds.
pub fn over(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}

impl Comparison {
    pub fn round(&self) -> anyhow::Result<Round> {
        let syncs = disk::sync_latencies(&self.data)?;
        let paced = self.all_calls(Duration::ZERO, PACE, CONNECTIONS_PACED)?;
        let slow = self.all_calls(SLOW_UPSTREAM, PACE, CONNECTIONS_SLOW)?;
        let full = self.all_calls(Duration::ZERO, Pace::Closed, CONNECTIONS_FULL)?;
        let calls = paced.into_iter().zip(slow).zip(full);
        let calls = calls
            .map(|(((who, paced), (_, slow)), (_, full))| (who, Calls { paced, slow, full }))
            .collect();
        let bearer = Bearer {
            none: self.full_load(&self.bearer.none)?,
            unknown: self.full_load(&self.bearer.unknown)?,
            good: self.full_load(&self.bearer.good)?,
        };
        Ok(Round {
            syncs,
            calls,
            bearer,
            ingest: self.full_load(&self.ingest)?,
        })
    }

    fn all_calls(&self, upstream: Duration, pace: Pace, connections: usize) -> anyhow::Result<Vec<(Who, Sample)>> {
        self.stub.set_delay(upstream);
        let load = Load {
            pace,
            connections,
            lasts: self.lasts,
        };
        self.callers
            .iter()
            .map(|(who, contestant)| Ok((*who, measure(contestant, load, &self.numbers)?)))
            .collect()
    }

    fn full_load(&self, contestant: &Contestant) -> anyhow::Result<Sample> {
        let load = Load {
            pace: Pace::Closed,
            connections: CONNECTIONS_FULL,
            lasts: self.lasts,
        };
        measure(contestant, load, &self.numbers)
    }
}

/// CPU time is taken between the first answers, which are not counted, and the last.
pub fn measure(contestant: &Contestant, load: Load, numbers: &AtomicU64) -> anyhow::Result<Sample> {
    let crew = Crew::assemble(&contestant.target, load.connections, numbers)?;
    let before = cpu_time(&contestant.processes)?;
    let measured = crew.run(load.pace, load.lasts)?;
    let cpu = cpu_time(&contestant.processes)? - before;
    Ok(Sample { measured, cpu })
}
