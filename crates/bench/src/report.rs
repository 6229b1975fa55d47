//! What a run prints and writes: the machine, everybody's figures, the rows with their targets.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::comparison::{Calls, Round, Sample, over};
use crate::contestants::Contestant;
use crate::disk;
use crate::latency::micros;
use crate::targets::{Better, Row};

/// A load average that a machine with nothing to do stays below.
const QUIET: f64 = 0.5;

/// Processor, cores and kernel, for nobody can read a figure without them.
pub fn machine() -> String {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let values = |name: &str| -> Vec<&str> {
        let lines = cpu_info.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.split_once(':'))
            .map(|(_, value)| value.trim())
            .collect()
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = values("model name")
        .first()
        .copied()
        .unwrap_or("an unknown processor")
        .to_owned();
    format!("{} × {model}, Linux {}", values("processor").len(), kernel.trim())
}

/// What others do on this machine now, if it is enough to spoil the figures: the load average of the last minute.
pub fn disturbance() -> Option<String> {
    disturbance_in(&fs::read_to_string("/proc/loadavg").ok()?)
}

fn disturbance_in(load_average: &str) -> Option<String> {
    let last_minute: f64 = load_average.split(' ').next()?.parse().ok()?;
    (last_minute > QUIET).then(|| {
        format!("Others are at work on this machine (load {last_minute}): times say little, and CPU figures come out too high.")
    })
}

/// Medians over the rounds, one line for each who was measured.
pub fn figures(rounds: &[Round], callers: &[&Contestant]) -> String {
    let mut text = String::new();
    let mut line = |cells: [String; 13]| {
        let [name, rest @ ..] = cells;
        let rest: Vec<_> = rest.iter().map(|cell| format!("{cell:>8}")).collect();
        writeln!(text, "{name:<22}{}", rest.concat()).expect("a string takes everything");
    };
    line(
        [
            "", "500/s,", "answered", "at once,", "µs", "", "500/s,", "50 ms,", "µs", "64 conn.", "", "", "",
        ]
        .map(str::to_owned),
    );
    line(
        [
            "", "p50", "p90", "p99", "p99.9", "CPU", "p50", "p99", "p99.9", "calls/s", "p99 µs", "CPU µs", "core %",
        ]
        .map(str::to_owned),
    );
    for (index, caller) in callers.iter().enumerate() {
        let of = |figure: &dyn Fn(&Calls) -> f64| {
            let value = over(rounds, |round| round.calls.values().nth(index).map_or(f64::NAN, figure));
            format!("{value:.0}")
        };
        line([
            caller.target.name.to_owned(),
            of(&|calls| calls.paced.quantile_micros(0.5)),
            of(&|calls| calls.paced.quantile_micros(0.9)),
            of(&|calls| calls.paced.quantile_micros(0.99)),
            of(&|calls| calls.paced.quantile_micros(0.999)),
            of(&|calls| calls.paced.cpu_each_micros()),
            of(&|calls| calls.slow.quantile_micros(0.5)),
            of(&|calls| calls.slow.quantile_micros(0.99)),
            of(&|calls| calls.slow.quantile_micros(0.999)),
            of(&|calls| calls.full.measured.per_second()),
            of(&|calls| calls.full.quantile_micros(0.99)),
            of(&|calls| calls.full.cpu_each_micros()),
            of(&|calls| 100.0 * calls.full.core_in_use()),
        ]);
    }
    text + &besides(rounds)
}

fn besides(rounds: &[Round]) -> String {
    let sync = |share| over(rounds, |round| micros(round.syncs.quantile(share)));
    let of = |figure: fn(&Sample) -> f64| over(rounds, |round| figure(&round.ingest));
    format!(
        "webhook ingest: {:.0}/s, p50 {:.0}, p99 {:.0}, p99.9 {:.0}, slowest {:.0} µs, CPU {:.1} µs each, {:.0} % of the core\n\
         one append and sync of this disk: p50 {:.0}, p99 {:.0} µs\n",
        of(|sample| sample.measured.per_second()),
        of(|sample| sample.quantile_micros(0.5)),
        of(|sample| sample.quantile_micros(0.99)),
        of(|sample| sample.quantile_micros(0.999)),
        of(|sample| sample.quantile_micros(1.0)),
        of(Sample::cpu_each_micros),
        100.0 * of(Sample::core_in_use),
        over(rounds, |round| micros(disk::typical(&round.syncs))),
        sync(0.99),
    )
}

pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
    let mut line = |cells: [String; 8]| {
        let [what, value, unit, must, to_must, goal, to_goal, holds] = cells;
        writeln!(
            text,
            "{what:<width$}{value:>11} {unit:<4}{must:>11}{to_must:>7}{goal:>11}{to_goal:>7}  {holds}"
        )
        .expect("a string takes everything");
    };
    line(["", "value", "", "must", "", "goal", "", "holds"].map(str::to_owned));
    for row in rows {
        let figure = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
        let ratio =
            |target: Option<f64>| target.map_or_else(String::new, |target| format!("{:.2}×", row.value / target));
        let holds = match (row.holds, row.better) {
            (Some(true), _) => "yes",
            (Some(false), Better::Lower) => "NO, too high",
            (Some(false), Better::Higher) => "NO, too low",
            (None, _) => "not compared",
        };
        line([
            row.what.to_owned(),
            figure(Some(row.value)),
            row.unit.to_owned(),
            figure(row.must),
            ratio(row.must),
            figure(row.goal),
            ratio(row.goal),
            holds.to_owned(),
        ]);
        if let Some(note) = &row.note {
            line([
                format!("    {note}"),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

pub fn write(rows: &[Row], path: &Path) -> anyhow::Result<()> {
    let failed = || format!("the report {} cannot be written", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let mut json = serde_json::to_vec_pretty(rows)?;
    json.push(b'\n');
    fs::write(path, json).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_told_from_a_quiet_one() {
        assert_eq!(disturbance_in("0.31 0.97 3.00 1/150 4711\n"), None);
        assert!(
            disturbance_in("6.31 0.97 3.00 9/150 4711\n")
                .unwrap()
                .contains("load 6.31")
        );
    }
}
