//! Verdicts, and how they are told: as a table for people, as JSON for machines.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Ok,
    /// It works, and will not for long or not as well as it should.
    Warning,
    Failed,
    /// It could not be looked at, for something else is wrong or absent.
    Skipped,
}

impl Standing {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    pub standing: Standing,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Verdict {
    fn new(what: &'static str, standing: Standing, detail: impl Into<String>) -> Self {
        Self {
            what,
            product: None,
            standing,
            detail: detail.into(),
            hint: None,
        }
    }

    pub fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, Standing::Ok, detail)
    }

    pub fn warning(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, Standing::Warning, detail)
    }

    pub fn failed(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, Standing::Failed, detail)
    }

    pub fn skipped(what: &'static str, detail: impl Into<String>) -> Self {
        Self::new(what, Standing::Skipped, detail)
    }

    #[must_use]
    pub fn of_product(self, slug: &str) -> Self {
        Self {
            product: Some(slug.to_owned()),
            ..self
        }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    fn subject(&self) -> String {
        match &self.product {
            Some(slug) => format!("{} ({slug})", self.what),
            None => self.what.to_owned(),
        }
    }
}

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors repeat their source's words.
        if !text.contains(&said) {
            text += ": ";
            text += &said;
        }
        cause = error.source();
    }
    text
}

pub struct Report(Vec<Verdict>);

impl Report {
    pub fn of(verdicts: Vec<Verdict>) -> Self {
        Self(verdicts)
    }

    pub fn holds(&self) -> bool {
        self.0.iter().all(|verdict| verdict.standing != Standing::Failed)
    }

    pub fn json(&self) -> Value {
        json!({"ok": self.holds(), "verdicts": self.0})
    }

    pub fn table(&self) -> String {
        let subjects: Vec<String> = self.0.iter().map(Verdict::subject).collect();
        let width = subjects
            .iter()
            .map(|subject| subject.chars().count())
            .max()
            .unwrap_or(0);
        let mut table = String::new();
        for (verdict, subject) in self.0.iter().zip(subjects) {
            // Lines that follow stand under the first one's detail.
            let indent = format!("\n{:1$}", "", 7 + 2 + width + 2);
            let detail = verdict.detail.replace('\n', &indent);
            writeln!(table, "{:7}  {subject:width$}  {detail}", verdict.standing.word()).expect("a String takes it");
            if let Some(hint) = &verdict.hint {
                writeln!(table, "{}hint: {hint}", &indent[1..]).expect("a String takes it");
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole_and_a_warning_does_not() {
        let fine = vec![
            Verdict::ok("a", ""),
            Verdict::warning("b", ""),
            Verdict::skipped("c", ""),
        ];
        assert!(Report::of(fine.clone()).holds());
        assert!(!Report::of([fine, vec![Verdict::failed("d", "")]].concat()).holds());
    }

    #[test]
    fn the_table_stands_in_columns() {
        let verdicts = vec![
            Verdict::ok("clock", "0.1 s apart"),
            Verdict::failed("webhook", "none\nat all")
                .of_product("thermostat")
                .hint("make one"),
        ];
        assert_eq!(
            Report::of(verdicts).table(),
            "ok       clock                 0.1 s apart\n\
             FAILED   webhook (thermostat)  none\n\
             \x20                              at all\n\
             \x20                              hint: make one\n"
        );
    }
}
