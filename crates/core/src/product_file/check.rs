//! From the file as written to a declaration that the rest of the house can rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{
    ArgumentEntry, ConfirmationEntry, EventEntry, FileFault, FunctionEntry, InvalidProductFile, KeyEntry, ProductFile,
    TimeEntry, VariableEntry,
};
use crate::contract::{ARGUMENT_BYTES_MAX, ArgumentContract, CallerKind, Confirmation, FunctionContract};
use crate::event::DROPPED_MEMBERS;
use crate::mapping::{EventMapping, EventMatcher, KeyMapping, TimeMapping, TimeUnit, ValueKind};
use crate::name::{Declared, FunctionName, VariableName};
use crate::product::{AccessMode, Declaration, VariableDeclaration, VariableKind};

/// Particle's own limit is 15 functions and 20 variables; MQTT firmware may have more.
const ENTRIES_MAX: usize = 200;
const TEXT_MAX: usize = 200;
const COOL_DOWN_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Collects what is wrong; a part that failed is `None` and named here.
#[derive(Default)]
struct Faults(Vec<FileFault>);

impl Faults {
    fn add(&mut self, pointer: &str, rule: impl Display) {
        self.0.push(FileFault {
            pointer: pointer.to_owned(),
            rule: rule.to_string(),
        });
    }

    fn parse<T: FromStr>(&mut self, pointer: &str, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        text.parse().map_err(|rule: T::Err| self.add(pointer, rule)).ok()
    }

    fn declared<N: Declared>(&mut self, pointer: &str, text: &str) -> Option<N> {
        N::declared(text).map_err(|rule| self.add(pointer, rule)).ok()
    }

    fn one_of<T: Copy>(&mut self, pointer: &str, text: &str, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let found = all.iter().copied().find(|each| name(*each) == text);
        if found.is_none() {
            let names: Vec<_> = all.iter().map(|each| name(*each)).collect();
            self.add(pointer, format_args!("must be one of: {}", names.join(", ")));
        }
        found
    }

    fn text(&mut self, pointer: &str, text: &str) {
        if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
            self.add(
                pointer,
                format_args!("must be 1 to {TEXT_MAX} bytes of text without control characters"),
            );
        }
    }

    fn json_pointer(&mut self, pointer: &str, text: &str) {
        if !text.is_empty() && !text.starts_with('/') {
            self.add(
                pointer,
                "must be a JSON pointer (RFC 6901): empty, or beginning with `/`",
            );
        }
    }

    fn count<T>(&mut self, pointer: &str, entries: &[T]) {
        if entries.len() > ENTRIES_MAX {
            self.add(pointer, format_args!("must have at most {ENTRIES_MAX} entries"));
        }
    }
}

impl ProductFile {
    /// Checks the whole file; either all of it holds, or every fault is named.
    pub fn check(&self) -> Result<Declaration, InvalidProductFile> {
        let mut faults = Faults::default();
        let slug = faults.parse("/slug", &self.slug);
        faults.text("/name", &self.name);
        if jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            faults.add(
                "/time_zone",
                "must be a time zone of the IANA database, such as Europe/Berlin",
            );
        }
        let access_mode = faults.one_of("/access_mode", &self.access_mode, &AccessMode::ALL, AccessMode::as_str);
        for (index, member) in self.keep.iter().enumerate() {
            if !DROPPED_MEMBERS.contains(&member.as_str()) {
                faults.add(
                    &format!("/keep/{index}"),
                    format_args!("must be one of: {}", DROPPED_MEMBERS.join(", ")),
                );
            }
        }
        let functions = functions(&self.functions, &mut faults);
        let variables = variables(&self.variables, &mut faults);
        let telemetry = telemetry(&self.telemetry, &mut faults);
        match (slug, access_mode) {
            (Some(slug), Some(access_mode)) if faults.0.is_empty() => Ok(Declaration {
                slug,
                name: self.name.clone(),
                time_zone: self.time_zone.clone(),
                access_mode,
                functions,
                variables,
                telemetry,
                keep: self.keep.clone(),
            }),
            _ => Err(InvalidProductFile(faults.0)),
        }
    }
}

fn functions(entries: &[FunctionEntry], faults: &mut Faults) -> BTreeMap<FunctionName, FunctionContract> {
    faults.count("/functions", entries);
    let mut functions = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("/functions/{index}");
        if let Some(contract) = function(entry, &at, faults)
            && functions.insert(contract.name.clone(), contract).is_some()
        {
            faults.add(&format!("{at}/name"), "is declared twice");
        }
    }
    functions
}

fn function(entry: &FunctionEntry, at: &str, faults: &mut Faults) -> Option<FunctionContract> {
    let name = faults.declared(&format!("{at}/name"), &entry.name);
    if let Some(title) = &entry.title {
        faults.text(&format!("{at}/title"), title);
    }
    let argument = argument(&entry.argument, &format!("{at}/argument"), faults);
    let max_bytes = entry
        .max_bytes
        .map_or(Some(ARGUMENT_BYTES_MAX), |bytes| usize::try_from(bytes).ok());
    let max_bytes = max_bytes.filter(|bytes| *bytes <= ARGUMENT_BYTES_MAX);
    if max_bytes.is_none() {
        faults.add(
            &format!("{at}/max_bytes"),
            format_args!("must be at most {ARGUMENT_BYTES_MAX}"),
        );
    }
    if entry.cool_down_ms > COOL_DOWN_MS_MAX {
        faults.add(
            &format!("{at}/cool_down_ms"),
            format_args!("must be at most {COOL_DOWN_MS_MAX}, one day"),
        );
    }
    let callers = callers(entry.callers.as_deref(), &format!("{at}/callers"), faults);
    let confirmed_by = entry
        .confirmed_by
        .as_ref()
        .map(|entry| confirmation(entry, &format!("{at}/confirmed_by"), faults));
    let contract = FunctionContract {
        name: name?,
        title: entry.title.clone(),
        argument: argument?,
        max_bytes: max_bytes?,
        example: entry.example.clone(),
        cool_down: Duration::from_millis(entry.cool_down_ms),
        queueable: entry.queueable,
        callers,
        confirmed_by,
    };
    if let Some(Err(fault)) = contract.example.as_deref().map(|example| contract.check(example)) {
        faults.add(&format!("{at}/example"), fault);
    }
    Some(contract)
}

fn callers(names: Option<&[String]>, at: &str, faults: &mut Faults) -> Vec<CallerKind> {
    let Some(names) = names else {
        return CallerKind::ALL.to_vec();
    };
    names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| faults.one_of(&format!("{at}/{index}"), name, &CallerKind::ALL, CallerKind::as_str))
        .collect()
}

fn confirmation(entry: &ConfirmationEntry, at: &str, faults: &mut Faults) -> Confirmation {
    faults.text(&format!("{at}/event"), &entry.event);
    faults.json_pointer(&format!("{at}/pointer"), &entry.pointer);
    if !(1..=COOL_DOWN_MS_MAX).contains(&entry.within_ms) {
        faults.add(
            &format!("{at}/within_ms"),
            format_args!("must be 1 to {COOL_DOWN_MS_MAX}"),
        );
    }
    Confirmation {
        event: entry.event.clone(),
        pointer: entry.pointer.clone(),
        equals: entry.equals.clone(),
        within: Duration::from_millis(entry.within_ms),
    }
}

fn argument(entry: &ArgumentEntry, at: &str, faults: &mut Faults) -> Option<ArgumentContract> {
    match entry.kind.as_str() {
        "none" => Some(ArgumentContract::None),
        "enum" => {
            let usable = !entry.values.is_empty() && entry.values.len() <= ENTRIES_MAX;
            if !usable {
                faults.add(
                    &format!("{at}/values"),
                    format_args!("must list 1 to {ENTRIES_MAX} values"),
                );
            }
            usable.then(|| ArgumentContract::Enum(entry.values.clone()))
        }
        "integer" => integer_range(entry, at, faults),
        "number" => number_range(entry, at, faults),
        "pattern" => pattern(entry, at, faults),
        "json_schema" => json_schema(entry, at, faults),
        _ => {
            faults.add(
                &format!("{at}/type"),
                "must be one of: none, enum, integer, number, pattern, json_schema",
            );
            None
        }
    }
}

fn integer_range(entry: &ArgumentEntry, at: &str, faults: &mut Faults) -> Option<ArgumentContract> {
    let bound = |number: &Option<serde_json::Number>| number.as_ref().and_then(serde_json::Number::as_i64);
    match (bound(&entry.min), bound(&entry.max)) {
        (Some(min), Some(max)) if min <= max => Some(ArgumentContract::Integer { min, max }),
        _ => {
            faults.add(at, "must have integers `min` and `max`, `min` not above `max`");
            None
        }
    }
}

fn number_range(entry: &ArgumentEntry, at: &str, faults: &mut Faults) -> Option<ArgumentContract> {
    let bound = |number: &Option<serde_json::Number>| {
        number
            .as_ref()
            .and_then(serde_json::Number::as_f64)
            .filter(|value| value.is_finite())
    };
    match (bound(&entry.min), bound(&entry.max)) {
        (Some(min), Some(max)) if min <= max => Some(ArgumentContract::Number { min, max }),
        _ => {
            faults.add(at, "must have numbers `min` and `max`, `min` not above `max`");
            None
        }
    }
}

/// An unanchored pattern would allow whatever merely contains what the maker meant. The anchors
/// must enclose the whole pattern, not one branch of it.
fn pattern(entry: &ArgumentEntry, at: &str, faults: &mut Faults) -> Option<ArgumentContract> {
    let at = format!("{at}/pattern");
    let Some(inner) = entry
        .pattern
        .as_deref()
        .and_then(|text| text.strip_prefix('^')?.strip_suffix('$'))
    else {
        faults.add(&at, "must be a regular expression that begins with ^ and ends with $");
        return None;
    };
    let whole = regex::RegexBuilder::new(&format!("^(?:{inner})$"))
        .size_limit(1 << 18)
        .build();
    match (regex::Regex::new(inner), whole) {
        (Ok(_), Ok(whole)) => Some(ArgumentContract::Pattern(whole)),
        (Err(error), _) | (_, Err(error)) => {
            faults.add(&at, format_args!("must be a regular expression: {error}"));
            None
        }
    }
}

fn json_schema(entry: &ArgumentEntry, at: &str, faults: &mut Faults) -> Option<ArgumentContract> {
    let at = format!("{at}/schema");
    let Some(schema) = &entry.schema else {
        faults.add(&at, "must be a JSON schema");
        return None;
    };
    match jsonschema::validator_for(schema) {
        Ok(validator) => Some(ArgumentContract::JsonSchema(Arc::new(validator))),
        Err(error) => {
            faults.add(
                &at,
                format_args!("must be a JSON schema without outside references: {error}"),
            );
            None
        }
    }
}

fn variables(entries: &[VariableEntry], faults: &mut Faults) -> BTreeMap<VariableName, VariableDeclaration> {
    faults.count("/variables", entries);
    let mut variables = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("/variables/{index}");
        let name: Option<VariableName> = faults.declared(&format!("{at}/name"), &entry.name);
        let kind = faults.one_of(
            &format!("{at}/type"),
            &entry.kind,
            &VariableKind::ALL,
            VariableKind::as_str,
        );
        unit(entry.unit.as_deref(), &format!("{at}/unit"), faults);
        if let (Some(name), Some(kind)) = (name, kind) {
            let declaration = VariableDeclaration {
                name: name.clone(),
                kind,
                unit: entry.unit.clone(),
            };
            if variables.insert(name, declaration).is_some() {
                faults.add(&format!("{at}/name"), "is declared twice");
            }
        }
    }
    variables
}

/// UCUM units are printable ASCII without spaces (The Unified Code for Units of Measure §2).
fn unit(unit: Option<&str>, at: &str, faults: &mut Faults) {
    if unit.is_some_and(|unit| unit.is_empty() || unit.len() > 32 || !unit.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        faults.add(at, "must be a UCUM unit, such as Cel, m/s or %");
    }
}

fn telemetry(entries: &[EventEntry], faults: &mut Faults) -> Vec<EventMapping> {
    faults.count("/telemetry", entries);
    let mut kinds = BTreeMap::new();
    let mut mappings = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let at = format!("/telemetry/{index}");
        let matcher = matcher(&entry.event, &format!("{at}/event"), faults);
        let time = entry
            .time
            .as_ref()
            .map(|entry| time(entry, &format!("{at}/time"), faults));
        faults.count(&format!("{at}/keys"), &entry.keys);
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, entry) in entry.keys.iter().enumerate() {
            let at = format!("{at}/keys/{index}");
            let Some(mapping) = key(entry, &at, faults) else {
                continue;
            };
            if !seen.insert(mapping.key.clone()) {
                faults.add(&format!("{at}/key"), "is mapped twice from one event");
            }
            let first = kinds
                .entry(mapping.key.clone())
                .or_insert((mapping.kind, mapping.unit.clone()));
            if *first != (mapping.kind, mapping.unit.clone()) {
                faults.add(&at, "has another type or unit than the same key elsewhere");
            }
            keys.push(mapping);
        }
        if let (Some(event), Some(time)) = (matcher, time.map_or(Some(None), |time| time.map(Some))) {
            mappings.push(EventMapping { event, time, keys });
        }
    }
    mappings
}

fn matcher(text: &str, at: &str, faults: &mut Faults) -> Option<EventMatcher> {
    let (name, matcher) = match text.strip_suffix('*') {
        Some(prefix) => (prefix, EventMatcher::Prefix(prefix.to_owned())),
        None => (text, EventMatcher::Exact(text.to_owned())),
    };
    let spelled = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    if name.is_empty() || name.len() > 64 || !spelled {
        faults.add(
            at,
            "must be an event name of at most 64 characters, or a prefix followed by `*`",
        );
        return None;
    }
    Some(matcher)
}

fn time(entry: &TimeEntry, at: &str, faults: &mut Faults) -> Option<TimeMapping> {
    faults.json_pointer(&format!("{at}/pointer"), &entry.pointer);
    let unit = match entry.unit.as_str() {
        "s" => TimeUnit::Seconds,
        "ms" => TimeUnit::Milliseconds,
        "rfc3339" => TimeUnit::Rfc3339,
        _ => {
            faults.add(&format!("{at}/unit"), "must be one of: s, ms, rfc3339");
            return None;
        }
    };
    Some(TimeMapping {
        pointer: entry.pointer.clone(),
        unit,
    })
}

fn key(entry: &KeyEntry, at: &str, faults: &mut Faults) -> Option<KeyMapping> {
    let key = faults.parse(&format!("{at}/key"), &entry.key);
    faults.json_pointer(&format!("{at}/pointer"), &entry.pointer);
    let kind = faults.one_of(&format!("{at}/type"), &entry.kind, &ValueKind::ALL, ValueKind::as_str);
    unit(entry.unit.as_deref(), &format!("{at}/unit"), faults);
    Some(KeyMapping {
        key: key?,
        pointer: entry.pointer.clone(),
        kind: kind?,
        unit: entry.unit.clone(),
    })
}
