//! The settings as a tree, before anybody knows their types: three sources laid over each other.
//!
//! The defaults name every setting there is, so what they do not name is unknown, and the name of a
//! setting's variable follows from its place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::{Table, Value};

use super::DEFAULTS;

/// Settings that may hold a secret: masked when printed, and also taken as `…_file`.
const SECRETS: &[&str] = &["database_url"];

/// Variables of the program, and of the commands that are its clients, that are not settings.
const OTHER_VARIABLES: &[&str] = &["OSTLER_CONFIG", "OSTLER_TEST_", "OSTLER_SERVER", "OSTLER_CLIENT_"];

/// One setting that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub setting: String,
    pub rule: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.rule)
    }
}

/// Everything that is wrong with the configuration, together.
#[derive(Debug, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// The effective settings.
#[derive(Clone)]
pub struct Document {
    settings: BTreeMap<String, Value>,
}

impl Document {
    pub fn load(file: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Self, Faults> {
        let base = super::base(file);
        let defaults: Table = DEFAULTS
            .parse()
            .expect("the compiled-in defaults are tested to be TOML");
        let mut overlay = Overlay {
            base,
            settings: BTreeMap::new(),
            faults: Vec::new(),
        };
        flatten("", defaults, &mut overlay.settings);
        if let Some(path) = file {
            overlay.lay_file(path);
        }
        for (name, text) in environment.iter().filter(|(name, _)| name.starts_with("OSTLER_")) {
            overlay.lay_variable(name, text);
        }
        overlay.finish()
    }

    pub(super) fn get(&self, setting: &str) -> &Value {
        self.settings
            .get(setting)
            .unwrap_or_else(|| panic!("{setting} is not in config.default.toml"))
    }

    /// The effective settings, one a line, for `ostler check`.
    pub fn masked(&self) -> String {
        self.settings.iter().fold(String::new(), |text, (setting, value)| {
            let shown = match value.as_str() {
                Some(secret) if SECRETS.contains(&setting.as_str()) => Value::String(masked_url(secret)),
                Some(_) | None => value.clone(),
            };
            text + &format!("{setting} = {shown}\n")
        })
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

struct Overlay<'a> {
    base: &'a Path,
    settings: BTreeMap<String, Value>,
    faults: Vec<Fault>,
}

impl Overlay<'_> {
    fn lay_file(&mut self, path: &Path) {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(shown, format!("cannot be read: {error}")),
        };
        match text.parse::<Table>() {
            Ok(table) => {
                let mut given = BTreeMap::new();
                flatten("", table, &mut given);
                given
                    .into_iter()
                    .for_each(|(setting, value)| self.lay_value(&setting, value));
            }
            Err(error) => self.fault(shown, format!("is not TOML: {}", error.to_string().trim_end())),
        }
    }

    fn lay_value(&mut self, setting: &str, value: Value) {
        if let Some((secret, path)) = secret_in_file(setting).zip(value.as_str()) {
            return self.lay_secret(secret, path);
        }
        match self.settings.get_mut(setting) {
            Some(present) if present.same_type(&value) => *present = value,
            Some(present) => {
                let rule = format!("must be {}", kind(present));
                self.fault(setting, rule);
            }
            None => self.fault(setting, "is not a setting"),
        }
    }

    fn lay_variable(&mut self, name: &str, text: &str) {
        if OTHER_VARIABLES.iter().any(|other| name.starts_with(other)) {
            return;
        }
        if let Some(secret) = SECRETS
            .iter()
            .find(|secret| name == format!("{}_FILE", variable(secret, "_")))
        {
            return self.lay_secret(secret, text);
        }
        let setting = self.settings.keys().find(|setting| {
            [variable(setting, "_"), variable(setting, "__")]
                .iter()
                .any(|own| own == name)
        });
        let Some(setting) = setting.cloned() else {
            return self.fault(name, "is not a setting");
        };
        match from_text(&self.settings[&setting], text) {
            Some(value) => drop(self.settings.insert(setting, value)),
            None => {
                let rule = format!("must be {}", kind(&self.settings[&setting]));
                self.fault(name, rule);
            }
        }
    }

    fn lay_secret(&mut self, setting: &str, path: &str) {
        match std::fs::read_to_string(self.base.join(path)) {
            Ok(secret) => drop(
                self.settings
                    .insert(setting.to_owned(), Value::String(secret.trim_end().to_owned())),
            ),
            Err(error) => self.fault(format!("{setting}_file"), format!("{path} cannot be read: {error}")),
        }
    }

    fn fault(&mut self, setting: impl Into<String>, rule: impl Into<String>) {
        self.faults.push(Fault {
            setting: setting.into(),
            rule: rule.into(),
        });
    }

    /// Faults found here do not hide those that the reader would find: it looks at the rest.
    fn finish(self) -> Result<Document, Faults> {
        let document = Document {
            settings: self.settings,
        };
        if self.faults.is_empty() {
            return Ok(document);
        }
        let mut faults = self.faults;
        if let Err(more) = super::Config::read(&document, self.base) {
            faults.extend(more.0);
        }
        Err(Faults(faults))
    }
}

fn flatten(prefix: &str, table: Table, into: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let setting = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => flatten(&setting, inner, into),
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                into.insert(setting, value);
            }
        }
    }
}

fn variable(setting: &str, level: &str) -> String {
    format!("OSTLER_{}", setting.replace('.', level).to_uppercase())
}

fn secret_in_file(setting: &str) -> Option<&'static str> {
    let named = setting.strip_suffix("_file")?;
    SECRETS.iter().copied().find(|secret| *secret == named)
}

/// Reads a variable as the type that the setting has.
fn from_text(present: &Value, text: &str) -> Option<Value> {
    match present {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list of texts",
        Value::Table(_) => "a section",
    }
}

/// Replaces the password of a URL. A text that is no URL is shown as none at all.
pub(super) fn masked_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.starts_with("sqlite:") {
            text.to_owned()
        } else {
            "…".to_owned()
        };
    };
    let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_len);
    // A query may carry a password too (libpq takes `?password=`).
    let path = path
        .split_once('?')
        .map_or_else(|| path.to_owned(), |(path, _)| format!("{path}?…"));
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user
                .split_once(':')
                .map_or_else(|| user.to_owned(), |(name, _)| format!("{name}:…"));
            format!("{scheme}://{user}@{host}{path}")
        }
        None => format!("{scheme}://{authority}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_settings_share_a_variable() {
        let document = Document::load(None, &BTreeMap::new()).unwrap();
        let mut variables: Vec<String> = document.settings.keys().map(|setting| variable(setting, "_")).collect();
        let count = variables.len();
        variables.dedup();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }

    #[test]
    fn a_password_is_masked_wherever_a_url_may_hide_it() {
        for (url, shown) in [
            ("sqlite:ostler.db", "sqlite:ostler.db"),
            ("postgres://u:p:w@h:5432/d?password=x", "postgres://u:…@h:5432/d?…"),
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://u:p@h", "postgres://u:…@h"),
            ("secret", "…"),
        ] {
            assert_eq!(masked_url(url), shown);
        }
    }
}
