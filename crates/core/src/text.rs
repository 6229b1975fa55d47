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

const ROOM: usize = 32;

/// A short ASCII text on the stack. All of its room is looked at when it is read as text: whole words, of
/// which two at a time are known for ASCII, where a text of 30 bytes at some address is looked at byte by byte.
#[repr(align(8))]
pub(crate) struct Ascii {
    room: [u8; ROOM],
    len: usize,
}

impl Ascii {
    pub fn of<const LEN: usize>(text: [u8; LEN]) -> Self {
        const { assert!(LEN <= ROOM) };
        let mut room = [0; ROOM];
        room[..LEN].copy_from_slice(&text);
        Self { room, len: LEN }
    }

    pub fn as_str(&self) -> &str {
        let room = std::str::from_utf8(&self.room).expect("whoever makes one writes ASCII only");
        &room[..self.len]
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
        assert_eq!(Ascii::of(place).as_str(), "0070");
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
