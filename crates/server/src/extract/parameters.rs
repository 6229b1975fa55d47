//! `application/x-www-form-urlencoded` pairs, of a query or a form, read into a struct.
//!
//! By hand, because three things matter that the usual crates do not do together: a parameter must
//! not come twice (RFC 6749 §3.1 asks so too), an unknown one can be refused, and every refusal names
//! the parameter.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::problem::Problem;

/// What to do with parameters that the struct does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    Refused,
    /// RFC 6749 §3.1: "The authorization server MUST ignore unrecognized request parameters."
    Ignored,
}

/// A parameter that cannot be read, and the rule it broke. Never holds a value that was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter} {rule}")]
pub struct ParameterFault {
    pub parameter: String,
    pub rule: String,
}

impl From<ParameterFault> for Problem {
    fn from(fault: ParameterFault) -> Self {
        Self::invalid_parameter(fault.parameter, fault.rule)
    }
}

/// Decoded pairs in the order they came, no name twice.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn parse(text: &str) -> Result<Self, ParameterFault> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).ok_or_else(|| fault("", "must have names in UTF-8"))?;
            let value = decoded(value).ok_or_else(|| fault(&name, "must be UTF-8"))?;
            if pairs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(fault(&name, "must not be repeated"));
            }
            pairs.push((name, value));
            // Looking for repetitions is quadratic; no form of ours is near this.
            if pairs.len() > PAIRS_MAX {
                return Err(fault("", format!("must be at most {PAIRS_MAX} parameters")));
            }
        }
        Ok(Self(pairs))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn read<T: DeserializeOwned>(&self, unknown: Unknown) -> Result<T, ParameterFault> {
        T::deserialize(Pairs {
            pairs: &self.0,
            unknown,
            current: None,
        })
    }
}

const PAIRS_MAX: usize = 100;

fn fault(parameter: &str, rule: impl Into<String>) -> ParameterFault {
    ParameterFault {
        parameter: parameter.to_owned(),
        rule: rule.into(),
    }
}

fn decoded(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// serde's sentences as rules; whoever knows the parameter fills it in.
impl Error for ParameterFault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        fault("", message.to_string())
    }

    fn invalid_type(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        fault("", format!("must be {expected}"))
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        fault("", format!("must be {expected}"))
    }

    fn unknown_variant(_found: &str, expected: &'static [&'static str]) -> Self {
        fault("", format!("must be one of: {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        fault(
            field,
            format!("is not a parameter here; there are: {}", expected.join(", ")),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        fault(field, "is required")
    }
}

struct Pairs<'de> {
    pairs: &'de [(String, String)],
    unknown: Unknown,
    current: Option<&'de (String, String)>,
}

impl<'de> Deserializer<'de> for Pairs<'de> {
    type Error = ParameterFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterFault> {
        visitor.visit_map(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParameterFault> {
        let stranger = self.pairs.iter().find(|(name, _)| !fields.contains(&name.as_str()));
        match (self.unknown, stranger) {
            (Unknown::Refused, Some((name, _))) => Err(ParameterFault::unknown_field(name, fields)),
            (Unknown::Refused, None) | (Unknown::Ignored, _) => visitor.visit_map(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = ParameterFault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ParameterFault> {
        let Some((pair, rest)) = self.pairs.split_first() else {
            return Ok(None);
        };
        self.pairs = rest;
        self.current = Some(pair);
        seed.deserialize(BorrowedStrDeserializer::new(&pair.0)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ParameterFault> {
        let (name, value) = self.current.take().expect("serde asks for a value after its key");
        seed.deserialize(Text(value)).map_err(|fault| ParameterFault {
            parameter: name.clone(),
            ..fault
        })
    }
}

/// One value. All arrive as text, so the type that is asked for decides how it is read.
struct Text<'de>(&'de str);

macro_rules! parsed {
    ($($method:ident $visit:ident $rule:literal)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterFault> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(fault("", $rule)),
            }
        })+
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = ParameterFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterFault> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterFault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParameterFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParameterFault> {
        let variant: StrDeserializer<'_, ParameterFault> = self.0.into_deserializer();
        visitor.visit_enum(variant)
    }

    parsed! {
        deserialize_bool visit_bool "must be true or false"
        deserialize_i8 visit_i8 "must be a whole number from -128 to 127"
        deserialize_i16 visit_i16 "must be a whole number from -32768 to 32767"
        deserialize_i32 visit_i32 "must be a whole number of 32 bits"
        deserialize_i64 visit_i64 "must be a whole number of 64 bits"
        deserialize_u8 visit_u8 "must be a whole number from 0 to 255"
        deserialize_u16 visit_u16 "must be a whole number from 0 to 65535"
        deserialize_u32 visit_u32 "must be a whole number, not negative, of 32 bits"
        deserialize_u64 visit_u64 "must be a whole number, not negative, of 64 bits"
        deserialize_f32 visit_f32 "must be a number"
        deserialize_f64 visit_f64 "must be a number"
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Filter {
        key: String,
        limit: Option<u16>,
        order: Option<Order>,
        #[serde(default)]
        raw: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Order {
        Ascending,
        Descending,
    }

    fn read(text: &str) -> Result<Filter, ParameterFault> {
        Parameters::parse(text)?.read(Unknown::Refused)
    }

    #[test]
    fn a_query_is_read_by_the_types_it_is_asked_for() {
        let filter = read("key=a+b%2Fc&limit=7&order=descending&raw=true").unwrap();
        let order = Some(Order::Descending);
        assert_eq!(
            filter,
            Filter {
                key: "a b/c".into(),
                limit: Some(7),
                order,
                raw: true
            }
        );
        assert_eq!(read("key").unwrap().key, "");
    }

    #[test]
    fn a_refusal_names_the_parameter_and_the_rule() {
        for (text, expected) in [
            ("", "key is required"),
            ("key=a&limit=70000", "limit must be a whole number from 0 to 65535"),
            ("key=a&order=up", "order must be one of: ascending, descending"),
            ("key=a&raw=1", "raw must be true or false"),
            ("key=a&key=b", "key must not be repeated"),
            ("key=%ff", "key must be UTF-8"),
            (
                "key=a&lmit=1",
                "lmit is not a parameter here; there are: key, limit, order, raw",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn strangers_can_be_ignored_as_oauth_asks() {
        let filter: Filter = Parameters::parse("key=a&nonce=1")
            .unwrap()
            .read(Unknown::Ignored)
            .unwrap();
        assert_eq!(filter.key, "a");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_query_makes_the_reader_panic(text in "(key|limit|order|raw|[%&=+a-f0-9]|\\PC){0,12}") {
            drop(read(&text));
        }
    }
}
