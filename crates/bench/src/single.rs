//! One load on Ostler alone, for as long as a profiler wants to look. Nothing is compared.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::ValueEnum;
use ostler_testkit::Scratch;

use crate::comparison::{CONNECTIONS_FULL, CONNECTIONS_PACED, CONNECTIONS_SLOW, PACE, SLOW_UPSTREAM, Sample, measure};
use crate::contestants::ostler::Installation;
use crate::load::{Load, Pace};
use crate::stub::Stub;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Calls at 500/s, answered at once
    Paced,
    /// Calls at 500/s, the upstream takes 50 ms
    Slow,
    /// Calls as fast as they are answered
    Full,
    /// Webhooks as fast as they are answered
    Ingest,
}

/// Tells the process id first, and the figures at the end.
pub fn run(kind: Kind, program: &Path, data: &Path, lasts: Duration) -> anyhow::Result<()> {
    let scratch = Scratch::new();
    let stub = Stub::start()?;
    let ostler = Installation::make(program, &data.join("ostler"))?.open(stub.address, &scratch)?;
    let closed = (Pace::Closed, CONNECTIONS_FULL, Duration::ZERO);
    let (contestant, (pace, connections, delay)) = match kind {
        Kind::Paced => (ostler.calls(), (PACE, CONNECTIONS_PACED, Duration::ZERO)),
        Kind::Slow => (ostler.calls(), (PACE, CONNECTIONS_SLOW, SLOW_UPSTREAM)),
        Kind::Full => (ostler.calls(), closed),
        Kind::Ingest => (ostler.webhooks()?, closed),
    };
    stub.set_delay(delay);
    println!("ostler serve is process {}", contestant.processes[0]);
    let sample = measure(
        &contestant,
        Load {
            pace,
            connections,
            lasts,
        },
        &AtomicU64::new(0),
    )?;
    print(&sample);
    Ok(())
}

fn print(sample: &Sample) {
    println!(
        "{:.0}/s, p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, CPU {:.1} µs each, {:.0} % of the core",
        sample.measured.per_second(),
        sample.quantile_micros(0.5),
        sample.quantile_micros(0.99),
        sample.quantile_micros(0.999),
        sample.cpu_each_micros(),
        100.0 * sample.core_in_use(),
    );
}
