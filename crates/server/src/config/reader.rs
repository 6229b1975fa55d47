//! Takes typed values out of the settings and goes on after a fault, so that all are found.
//!
//! A setting at fault yields a stand-in; `finish` makes sure that nobody ever sees one.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::document::{Document, Fault, Faults};

pub(super) struct Reader<'a> {
    document: &'a Document,
    base: &'a Path,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub fn new(document: &'a Document, base: &'a Path) -> Self {
        Self {
            document,
            base,
            faults: Vec::new(),
        }
    }

    /// Only the first fault of a setting is told: others follow from it.
    pub fn fault(&mut self, setting: &str, rule: impl Into<String>) {
        if self.faults.iter().any(|fault| fault.setting == setting) {
            return;
        }
        self.faults.push(Fault {
            setting: setting.to_owned(),
            rule: rule.into(),
        });
    }

    pub fn finish<T>(self, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() {
            Ok(value)
        } else {
            Err(Faults(self.faults))
        }
    }

    pub fn text(&mut self, setting: &str) -> String {
        self.document.get(setting).as_str().unwrap_or_default().to_owned()
    }

    pub fn number<N>(&mut self, setting: &str, range: RangeInclusive<i64>) -> N
    where
        N: TryFrom<i64> + Default,
    {
        let given = self
            .document
            .get(setting)
            .as_integer()
            .filter(|number| range.contains(number));
        given.and_then(|number| N::try_from(number).ok()).unwrap_or_else(|| {
            self.fault(
                setting,
                format!("must be a whole number from {} to {}", range.start(), range.end()),
            );
            N::default()
        })
    }

    pub fn seconds(&mut self, setting: &str, range: RangeInclusive<i64>) -> Duration {
        Duration::from_secs(self.number(setting, range))
    }

    pub fn list<T: FromStr>(&mut self, setting: &str, rule: &str) -> Vec<T> {
        let items = self
            .document
            .get(setting)
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let parsed: Option<Vec<T>> = items.iter().map(|item| item.as_str()?.parse().ok()).collect();
        parsed.unwrap_or_else(|| {
            self.fault(setting, rule);
            Vec::new()
        })
    }

    /// An empty text is no value.
    pub fn optional<T: FromStr>(&mut self, setting: &str, rule: &str) -> Option<T> {
        let text = self.text(setting);
        if text.is_empty() {
            return None;
        }
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.fault(setting, rule);
        }
        parsed
    }

    pub fn parsed(&mut self, setting: &str, rule: &str) -> Url {
        self.text(setting).parse().unwrap_or_else(|_| {
            self.fault(setting, rule);
            Url::parse("http://localhost/").expect("a literal URL")
        })
    }

    pub fn path(&mut self, setting: &str) -> PathBuf {
        self.optional_path(setting).unwrap_or_else(|| {
            self.fault(setting, "must name a file");
            PathBuf::new()
        })
    }

    pub fn optional_path(&mut self, setting: &str) -> Option<PathBuf> {
        let text = self.text(setting);
        (!text.is_empty()).then(|| self.base.join(text))
    }

    /// A SQLite file is a path like any other.
    pub fn relative_database_url(&self, text: String) -> String {
        match text.strip_prefix("sqlite:") {
            Some(file) if !file.starts_with(['/', ':']) => format!("sqlite:{}", self.base.join(file).display()),
            Some(_) | None => text,
        }
    }
}
