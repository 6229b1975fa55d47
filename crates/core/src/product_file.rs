//! The product file: how a maker declares a product, in TOML on disk and in JSON on the wire.
//!
//! Secrets and device ids are not in it, so that staging and production share one file. Reading
//! checks everything and reports all faults together, each with its JSON pointer.

mod check;

use serde::{Deserialize, Serialize};

/// The file as it is written. Only [`ProductFile::check`] makes a declaration of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductFile {
    pub slug: String,
    pub name: String,
    #[serde(default = "ProductFile::default_time_zone")]
    pub time_zone: String,
    #[serde(default = "ProductFile::default_access_mode")]
    pub access_mode: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    #[serde(default)]
    pub functions: Vec<FunctionEntry>,
    #[serde(default)]
    pub variables: Vec<VariableEntry>,
    #[serde(default)]
    pub telemetry: Vec<EventEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionEntry {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub argument: ArgumentEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cool_down_ms: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub queueable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callers: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<ConfirmationEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentEntry {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmationEntry {
    pub event: String,
    pub pointer: String,
    pub equals: serde_json::Value,
    pub within_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariableEntry {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventEntry {
    pub event: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeEntry>,
    pub keys: Vec<KeyEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeEntry {
    pub pointer: String,
    pub unit: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    pub key: String,
    pub pointer: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// One thing that is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// RFC 6901.
    pub pointer: String,
    pub rule: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the product file has {} fault(s): {}", .0.len(), list(.0))]
pub struct InvalidProductFile(pub Vec<FileFault>);

fn list(faults: &[FileFault]) -> String {
    let lines: Vec<_> = faults
        .iter()
        .map(|fault| format!("{} {}", fault.pointer, fault.rule))
        .collect();
    lines.join("; ")
}

impl ProductFile {
    pub fn default_time_zone() -> String {
        "UTC".to_owned()
    }

    pub fn default_access_mode() -> String {
        "fleet".to_owned()
    }

    pub fn from_toml(text: &str) -> Result<Self, InvalidProductFile> {
        let document = toml::Deserializer::parse(text).map_err(|error| unreadable("", &error.message()))?;
        read(document)
    }

    pub fn from_json(text: &str) -> Result<Self, InvalidProductFile> {
        read(&mut serde_json::Deserializer::from_str(text))
    }

    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a product file holds nothing that TOML cannot say")
    }
}

fn read<'de, D: serde::Deserializer<'de>>(document: D) -> Result<ProductFile, InvalidProductFile>
where
    D::Error: std::fmt::Display,
{
    serde_path_to_error::deserialize(document).map_err(|error| {
        let pointer = pointer_of(error.path());
        unreadable(&pointer, &error.into_inner())
    })
}

fn unreadable(pointer: &str, rule: &dyn std::fmt::Display) -> InvalidProductFile {
    InvalidProductFile(vec![FileFault {
        pointer: pointer.to_owned(),
        rule: rule.to_string(),
    }])
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests;
