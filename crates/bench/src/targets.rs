//! The targets, as rows: what was measured, what must be reached, what we are after. Targets that are ratios become
//! figures of the same run.

use serde::Serialize;

use crate::comparison::{Bearer, Calls, Round, Who, over};
use crate::contestants::ostler::Start;
use crate::disk;
use crate::latency::{median, micros};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub what: &'static str,
    pub unit: &'static str,
    pub value: f64,
    /// `None` where the contestant it is a ratio to was absent.
    pub must: Option<f64>,
    pub goal: Option<f64>,
    pub holds: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(skip)]
    pub better: Better,
}

impl Row {
    fn new(what: &'static str, unit: &'static str, better: Better, [value, must, goal]: [f64; 3]) -> Self {
        let holds = match better {
            Better::Lower => value <= must,
            Better::Higher => value >= must,
        };
        Self {
            what,
            unit,
            value: rounded(value),
            must: Some(rounded(must)),
            goal: Some(rounded(goal)),
            holds: Some(holds),
            note: None,
            better,
        }
    }

    fn without_target(what: &'static str, unit: &'static str, value: f64, note: String) -> Self {
        let value = rounded(value);
        Self {
            what,
            unit,
            value,
            must: None,
            goal: None,
            holds: None,
            note: Some(note),
            better: Better::Higher,
        }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `fastify_absent` says why, if it is.
pub fn rows(rounds: &[Round], starts: &[Start], fastify_absent: Option<&str>) -> Vec<Row> {
    let mut rows = proxied_calls(rounds);
    rows.extend(calls_per_core(rounds, fastify_absent));
    rows.push(bearer_check(rounds));
    rows.extend(ingest(rounds));
    rows.extend(beginnings(starts));
    rows
}

/// What a contestant adds to the direct call of the same round.
fn added(round: &Round, who: Who, sample: impl Fn(&Calls) -> f64) -> f64 {
    sample(&round.calls[&who]) - sample(&round.calls[&Who::Direct])
}

fn proxied_calls(rounds: &[Round]) -> Vec<Row> {
    let paced = |who| {
        over(rounds, |round| {
            added(round, who, |calls| calls.paced.quantile_micros(0.5))
        })
    };
    let slow = |share| {
        over(rounds, |round| {
            added(round, Who::Ostler, |calls| calls.slow.quantile_micros(share))
        })
    };
    let sync = over(rounds, |round| micros(disk::typical(&round.syncs)));
    let must = paced(Who::NginxVerifying) + 2.0 * sync;
    vec![
        Row::new(
            "proxied call at 500/s, upstream answers at once, added p50",
            "µs",
            Better::Lower,
            [paced(Who::Ostler), must, paced(Who::NginxCaching)],
        )
        .note(format!(
            "must: nginx auth_request with ES256, and two disk syncs of {sync:.0} µs; goal: nginx with the check cached"
        )),
        Row::new(
            "proxied call at 500/s, upstream takes 50 ms, added p50",
            "µs",
            Better::Lower,
            [slow(0.5), 1000.0, 600.0],
        ),
        Row::new(
            "proxied call at 500/s, upstream takes 50 ms, added p99",
            "µs",
            Better::Lower,
            [slow(0.99), 3000.0, 1300.0],
        ),
    ]
}

fn calls_per_core(rounds: &[Round], fastify_absent: Option<&str>) -> Vec<Row> {
    let rate = |who| over(rounds, |round| round.calls[&who].full.measured.per_second());
    let ours = rate(Who::Ostler);
    let nginx = rate(Who::Nginx);
    let beside_fastify = "calls per core, durable, 64 connections, beside the Fastify recipe";
    let beside_fastify = match fastify_absent {
        None => {
            let fastify = rate(Who::Fastify);
            Row::new(
                beside_fastify,
                "1/s",
                Better::Higher,
                [ours, 5.0 * fastify, 11.0 * fastify],
            )
        }
        Some(why) => Row::without_target(beside_fastify, "1/s", ours, format!("the recipe was absent: {why}")),
    };
    let in_use = |who| 100.0 * over(rounds, |round| round.calls[&who].full.core_in_use());
    vec![
        Row::new(
            "calls per core, durable, 64 connections, beside plain nginx",
            "1/s",
            Better::Higher,
            [ours, 0.4 * nginx, nginx],
        )
        .note(format!(
            "{:.0} % of the core in use, by nginx {:.0} %: where it is much less than all, the load generator was the limit",
            in_use(Who::Ostler),
            in_use(Who::Nginx)
        )),
        beside_fastify,
        Row::new(
            "CPU per call, whole process",
            "µs",
            Better::Lower,
            [
                over(rounds, |round| round.calls[&Who::Ostler].full.cpu_each_micros()),
                90.0,
                35.0,
            ],
        ),
    ]
}

/// The dearer of two: a token that is looked up in vain, and one that is found but lacks the scope; each against the
/// same request without any token.
fn bearer_check(rounds: &[Round]) -> Row {
    let more = |of: fn(&Bearer) -> f64| over(rounds, |round| of(&round.bearer));
    let unknown = more(|bearer| bearer.unknown.cpu_each_micros() - bearer.none.cpu_each_micros());
    let good = more(|bearer| bearer.good.cpu_each_micros() - bearer.none.cpu_each_micros());
    let none = more(|bearer| bearer.none.cpu_each_micros());
    Row::new("bearer check, CPU", "µs", Better::Lower, [unknown.max(good), 10.0, 1.0]).note(format!(
        "above the {none:.1} µs of the refusal without token: unknown token {unknown:.1} µs, good token without scope {good:.1} µs"
    ))
}

fn ingest(rounds: &[Round]) -> [Row; 2] {
    let rate = over(rounds, |round| round.ingest.measured.per_second());
    let p99 = over(rounds, |round| round.ingest.quantile_micros(0.99));
    let in_use = over(rounds, |round| round.ingest.core_in_use());
    [
        Row::new(
            "webhook ingest, durable, 64 connections",
            "1/s",
            Better::Higher,
            [rate, 30_000.0, 58_000.0],
        )
        .note(format!("{:.0} % of the core in use", 100.0 * in_use)),
        Row::new(
            "webhook ingest, durable, 64 connections, p99",
            "µs",
            Better::Lower,
            [p99, 5_000.0, 2_500.0],
        ),
    ]
}

fn beginnings(starts: &[Start]) -> [Row; 2] {
    let memory = median(
        starts
            .iter()
            .map(|start| start.resident_kibibytes as f64 / 1024.0)
            .collect(),
    );
    let took = median(starts.iter().map(|start| micros(start.took) / 1000.0).collect());
    [
        Row::new(
            "idle memory, ostler serve on SQLite",
            "MiB",
            Better::Lower,
            [memory, 40.0, 20.0],
        ),
        Row::new(
            "start to ready, ostler serve on SQLite",
            "ms",
            Better::Lower,
            [took, 250.0, 60.0],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_on_the_right_side_of_its_target() {
        for (better, value, holds) in [
            (Better::Lower, 10.0, true),
            (Better::Lower, 10.1, false),
            (Better::Higher, 10.0, true),
            (Better::Higher, 9.9, false),
            (Better::Lower, f64::NAN, false),
            (Better::Higher, f64::NAN, false),
        ] {
            assert_eq!(
                Row::new("", "", better, [value, 10.0, 5.0]).holds,
                Some(holds),
                "{better:?} {value}"
            );
        }
    }

    #[test]
    fn the_report_has_the_members_that_others_read() {
        let row = Row::new("idle memory", "MiB", Better::Lower, [17.123, 40.0, 20.0]);
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"{"what":"idle memory","unit":"MiB","value":17.12,"must":40.0,"goal":20.0,"holds":true}"#
        );
        let absent = Row::without_target("beside", "1/s", 1.0, "no npm".to_owned());
        assert_eq!(
            serde_json::to_string(&absent).unwrap(),
            r#"{"what":"beside","unit":"1/s","value":1.0,"must":null,"goal":null,"holds":null,"note":"no npm"}"#
        );
    }
}
