//! Names that makers choose, as types that can stand in a path or a key without surprise.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::text::Parsed;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("must be 1 to 64 letters, digits, `_` or `-`")]
    Shape,
    #[error("is reserved by the device cloud")]
    Reserved,
    #[error("stands for what no product declares")]
    Undeclared,
}

/// Path segments that mean something else at the device cloud, where functions and variables
/// share a place with them (`GET …/devices/{id}/events` is a stream, not a variable).
const RESERVED: &[&str] = &["events", "ping", "owner", "signal", "config", "diagnostics"];

fn is_word(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn device_primitive(text: &str) -> Result<(), InvalidName> {
    if !is_word(text, is_name_byte) {
        return Err(InvalidName::Shape);
    }
    if RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Err(InvalidName::Reserved);
    }
    Ok(())
}

fn key(text: &str) -> Result<(), InvalidName> {
    is_word(text, |byte| is_name_byte(byte) || matches!(byte, b'.' | b'/'))
        .then_some(())
        .ok_or(InvalidName::Shape)
}

fn slug(text: &str) -> Result<(), InvalidName> {
    is_word(text, |byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
    })
    .then_some(())
    .ok_or(InvalidName::Shape)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for Arc<str> {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed::new())
            }
        }
    };
}

name_type!(
    /// Names a product in files, addresses and logs; unique in one installation.
    Slug,
    slug
);
name_type!(
    /// A function of the firmware (particle-cloud-api.md §4.2), never a reserved path segment.
    FunctionName,
    device_primitive
);
name_type!(VariableName, device_primitive);
name_type!(
    /// Names one series of telemetry of a device.
    TelemetryKey,
    key
);

/// The names of what a product declares: a function, a variable.
pub trait Declared: FromStr<Err = InvalidName> + PartialEq + Sized {
    /// What no product may declare. Asked for something whose name cannot be one, we refuse as we refuse what
    /// the product does not declare, and by this name it stands in the ledger.
    fn undeclared() -> Self;

    /// A name in a product file.
    fn declared(text: &str) -> Result<Self, InvalidName> {
        let name = text.parse()?;
        if name == Self::undeclared() {
            return Err(InvalidName::Undeclared);
        }
        Ok(name)
    }
}

const UNDECLARED: &str = "undeclared";

impl Declared for FunctionName {
    fn undeclared() -> Self {
        Self(UNDECLARED.into())
    }
}

impl Declared for VariableName {
    fn undeclared() -> Self {
        Self(UNDECLARED.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_no_name_can_be_written_and_read_but_not_declared() {
        let nothing = FunctionName::undeclared();
        assert_eq!(nothing.as_str().parse(), Ok(nothing.clone()));
        assert_eq!(FunctionName::declared(nothing.as_str()), Err(InvalidName::Undeclared));
        assert_eq!(VariableName::declared("undeclared"), Err(InvalidName::Undeclared));
        assert_eq!(VariableName::declared("ping"), Err(InvalidName::Reserved));
        assert!(FunctionName::declared("setTarget").is_ok());
    }

    #[test]
    fn a_function_name_can_stand_in_a_path() {
        assert!("setTarget".parse::<FunctionName>().is_ok());
        for text in ["", "../x", "a/b", "a b", "ä", "a%2f", &"x".repeat(65)] {
            assert_eq!(text.parse::<FunctionName>(), Err(InvalidName::Shape), "{text}");
        }
        for text in ["ping", "Events", "owner"] {
            assert_eq!(text.parse::<FunctionName>(), Err(InvalidName::Reserved), "{text}");
        }
    }

    #[test]
    fn a_slug_is_lower_case() {
        assert!("thermostat-2".parse::<Slug>().is_ok());
        assert!("Thermostat".parse::<Slug>().is_err());
    }
}
