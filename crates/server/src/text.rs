//! Text that people write, with its bounds in its type: what is too long, or holds control
//! characters, does not get past the reading of a body.

use std::fmt;

use secrecy::SecretString;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// One line of at most `MAX` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<const MAX: usize>(String);

/// Lines and paragraphs of at most `MAX` bytes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prose<const MAX: usize>(String);

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(text: Line<MAX>) -> Self {
        text.0
    }
}

impl<const MAX: usize> From<Prose<MAX>> for String {
    fn from(text: Prose<MAX>) -> Self {
        text.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Line<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Bounded {
                max: MAX,
                is_allowed: |character| !character.is_control(),
            })
            .map(Self)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Prose<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_allowed = |character: char| !character.is_control() || matches!(character, '\n' | '\t');
        deserializer.deserialize_str(Bounded { max: MAX, is_allowed }).map(Self)
    }
}

/// What only goes in. No `Debug` shows it, and its memory is wiped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

struct Bounded {
    max: usize,
    is_allowed: fn(char) -> bool,
}

impl Visitor<'_> for Bounded {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        if text.len() > self.max {
            return Err(E::custom(format_args!("must be at most {} bytes long", self.max)));
        }
        if !text.chars().all(self.is_allowed) {
            return Err(E::custom("must not contain control characters"));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T: for<'de> Deserialize<'de>>(json: &str) -> String {
        serde_json::from_str::<T>(json).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn bounds_are_rules_that_can_be_told() {
        assert_eq!(
            String::from(serde_json::from_str::<Line<4>>(r#""abcd""#).unwrap()),
            "abcd"
        );
        assert!(refusal::<Line<4>>(r#""abcde""#).starts_with("must be at most 4 bytes long"));
        assert!(refusal::<Line<4>>(r#""a\nb""#).starts_with("must not contain control characters"));
        assert!(serde_json::from_str::<Prose<4>>(r#""a\nb""#).is_ok());
        assert!(refusal::<Prose<4>>(r#""a\u0000""#).starts_with("must not contain control characters"));
        assert!(refusal::<Line<4>>("7").contains("expected a string"));
    }
}
