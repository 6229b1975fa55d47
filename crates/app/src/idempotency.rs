//! The client's own name for one call (draft-ietf-httpapi-idempotency-key-header-07).

use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 printable ASCII characters, as a quoted string or bare")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    /// The draft makes it a quoted string (RFC 8941 §3.3.3); many clients leave the quotes out.
    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let quoted = text.strip_prefix('"').map(|rest| rest.strip_suffix('"'));
        let key = match quoted {
            Some(inside) => inside.ok_or(InvalidIdempotencyKey)?,
            None => text,
        };
        let spelled = key
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
        if spelled && (1..=255).contains(&key.len()) {
            Ok(Self(key.to_owned()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_optional_and_not_part_of_the_key() {
        assert_eq!("\"a-1\"".parse::<IdempotencyKey>(), "a-1".parse());
        for text in ["", "\"\"", "\"a", "a\"", "ä", "a\nb", &"x".repeat(256)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(InvalidIdempotencyKey), "{text}");
        }
    }
}
