//! Reading and writing short texts with a meaning (ids, names, times) without a `String` in between.
//! Every request reads and writes a dozen of them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};

/// Parses a string where it lies; serde's own `Cow<str>` copies it first.
pub(crate) struct Parsed<T>(PhantomData<T>);

impl<T> Parsed<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Visitor<'_> for Parsed<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// ASCII of a fixed length, on the stack.
pub(crate) struct Ascii<const LEN: usize>(pub [u8; LEN]);

impl<const LEN: usize> Ascii<LEN> {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("whoever makes one writes ASCII only")
    }
}

/// Writes `number` in decimal with leading zeros, as many digits as there is room for.
pub(crate) fn write_digits(place: &mut [u8], number: u32) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("less than ten");
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_fill_their_place() {
        let mut place = *b"....";
        write_digits(&mut place, 70);
        assert_eq!(Ascii(place).as_str(), "0070");
    }

    #[test]
    fn a_text_is_parsed_and_other_types_are_refused_in_serdes_words() {
        let read = |json| serde_json::from_str::<crate::name::Slug>(json).map_err(|error| error.to_string());
        assert_eq!(read(r#""a\u002db""#).unwrap().as_str(), "a-b");
        assert!(
            read("7")
                .unwrap_err()
                .starts_with("invalid type: integer `7`, expected a string")
        );
    }
}
