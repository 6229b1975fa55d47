//! What a product says about one function: which argument, how long, how often, by whom.

use std::fmt;
use std::time::Duration;

use crate::grant::GrantSource;
use crate::name::FunctionName;

/// The most bytes that any firmware takes as an argument (particle-cloud-api.md §4.2).
pub const ARGUMENT_BYTES_MAX: usize = 1024;

#[derive(Debug, Clone)]
pub struct FunctionContract {
    pub name: FunctionName,
    pub title: Option<String>,
    pub argument: ArgumentContract,
    pub max_bytes: usize,
    pub example: Option<String>,
    pub cool_down: Duration,
    pub queueable: bool,
    pub callers: Vec<CallerKind>,
    pub confirmed_by: Option<Confirmation>,
}

/// By which title somebody may call: the source of the grant, or the maker's own staff and
/// machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    Owner,
    Share,
    Guest,
    Rental,
    Staff,
}

impl CallerKind {
    pub const ALL: [Self; 5] = [Self::Owner, Self::Share, Self::Guest, Self::Rental, Self::Staff];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Share => "share",
            Self::Guest => "guest",
            Self::Rental => "rental",
            Self::Staff => "staff",
        }
    }
}

impl From<GrantSource> for CallerKind {
    fn from(source: GrantSource) -> Self {
        match source {
            GrantSource::Owner => Self::Owner,
            GrantSource::Share => Self::Share,
            GrantSource::Guest => Self::Guest,
            GrantSource::Rental => Self::Rental,
            GrantSource::Staff => Self::Staff,
        }
    }
}

/// An event by which the device itself says that it did what was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    pub event: String,
    pub pointer: String,
    pub equals: serde_json::Value,
    pub within: Duration,
}

#[derive(Clone)]
pub enum ArgumentContract {
    None,
    Enum(Vec<String>),
    Integer { min: i64, max: i64 },
    Number { min: f64, max: f64 },
    Pattern(regex::Regex),
    JsonSchema(std::sync::Arc<jsonschema::Validator>),
}

impl ArgumentContract {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Enum(_) => "enum",
            Self::Integer { .. } => "integer",
            Self::Number { .. } => "number",
            Self::Pattern(_) => "pattern",
            Self::JsonSchema(_) => "json_schema",
        }
    }
}

impl fmt::Debug for ArgumentContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Why an argument is not one that the product allows. The text says the rule, never the value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArgumentFault {
    #[error("must be at most {max} bytes long")]
    TooLong { max: usize },
    #[error("must not contain control characters")]
    ControlCharacter,
    #[error("must be absent or empty: the function takes no argument")]
    NotTaken,
    #[error("must be one of: {}", values.join(", "))]
    NotListed { values: Vec<String> },
    #[error("must be an integer from {min} to {max}")]
    NotAnInteger { min: i64, max: i64 },
    #[error("must be a number from {min} to {max}")]
    NotANumber { min: f64, max: f64 },
    #[error("must match the pattern {pattern}")]
    NoMatch { pattern: String },
    #[error("must be JSON that fits the function's schema")]
    SchemaViolated,
}

impl FunctionContract {
    pub fn check(&self, argument: &str) -> Result<(), ArgumentFault> {
        let max = self.max_bytes.min(ARGUMENT_BYTES_MAX);
        if argument.len() > max {
            return Err(ArgumentFault::TooLong { max });
        }
        if argument.chars().any(char::is_control) {
            return Err(ArgumentFault::ControlCharacter);
        }
        self.argument.check(argument)
    }
}

impl ArgumentContract {
    fn check(&self, argument: &str) -> Result<(), ArgumentFault> {
        let (holds, fault) = match self {
            Self::None => (argument.is_empty(), ArgumentFault::NotTaken),
            Self::Enum(values) => (
                values.iter().any(|value| value == argument),
                ArgumentFault::NotListed { values: values.clone() },
            ),
            Self::Integer { min, max } => (
                canonical_integer(argument).is_some_and(|value| (*min..=*max).contains(&value)),
                ArgumentFault::NotAnInteger { min: *min, max: *max },
            ),
            Self::Number { min, max } => (
                plain_number(argument).is_some_and(|value| (*min..=*max).contains(&value)),
                ArgumentFault::NotANumber { min: *min, max: *max },
            ),
            Self::Pattern(pattern) => (
                pattern.is_match(argument),
                ArgumentFault::NoMatch {
                    pattern: pattern.as_str().to_owned(),
                },
            ),
            Self::JsonSchema(schema) => (
                serde_json::from_str(argument).is_ok_and(|value| schema.is_valid(&value)),
                ArgumentFault::SchemaViolated,
            ),
        };
        if holds { Ok(()) } else { Err(fault) }
    }
}

/// Only the way in which every firmware reads the same number: no `+`, no leading zeros, no
/// spaces. What we judge and what the device parses must be one value.
fn canonical_integer(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// Digits with an optional sign and fraction; neither `1e9` nor `inf` nor `nan`.
fn plain_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits(whole) && is_digits(fraction) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(argument: ArgumentContract) -> FunctionContract {
        FunctionContract {
            name: "setTarget".parse().unwrap(),
            title: None,
            argument,
            max_bytes: 16,
            example: None,
            cool_down: Duration::ZERO,
            queueable: false,
            callers: CallerKind::ALL.to_vec(),
            confirmed_by: None,
        }
    }

    fn allowed(argument: ArgumentContract, text: &str) -> bool {
        contract(argument).check(text).is_ok()
    }

    #[test]
    fn integers_are_judged_by_range_and_by_spelling() {
        let range = || ArgumentContract::Integer { min: 5, max: 30 };
        for text in ["5", "20", "30"] {
            assert!(allowed(range(), text), "{text}");
        }
        for text in [
            "4",
            "31",
            "020",
            "+20",
            " 20",
            "20 ",
            "20.0",
            "2e1",
            "",
            "９",
            "99999999999999999999",
        ] {
            assert!(!allowed(range(), text), "{text}");
        }
    }

    #[test]
    fn numbers_are_plain_decimals() {
        let range = || ArgumentContract::Number { min: -1.5, max: 30.0 };
        for text in ["-1.5", "0", "29.99"] {
            assert!(allowed(range(), text), "{text}");
        }
        for text in ["1e1", "inf", "NaN", ".5", "5.", "--1", "30.1"] {
            assert!(!allowed(range(), text), "{text}");
        }
    }

    #[test]
    fn none_enum_pattern_and_length() {
        assert!(allowed(ArgumentContract::None, ""));
        assert!(!allowed(ArgumentContract::None, "x"));
        let values = || ArgumentContract::Enum(vec!["heat".into(), "off".into()]);
        assert!(allowed(values(), "heat"));
        assert!(!allowed(values(), "HEAT"));
        let pattern = || ArgumentContract::Pattern(regex::Regex::new(r"^[a-c]+$").unwrap());
        assert!(allowed(pattern(), "abc"));
        assert!(!allowed(pattern(), "abcd"));
        assert_eq!(
            contract(pattern()).check(&"a".repeat(17)),
            Err(ArgumentFault::TooLong { max: 16 })
        );
        assert_eq!(contract(pattern()).check("a\n"), Err(ArgumentFault::ControlCharacter));
    }
}
