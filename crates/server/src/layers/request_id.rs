//! The id of one request.

use http::HeaderValue;
use ostler_core::port::{Entropy, random_bytes};

const LEN: usize = "req_".len() + 26;

/// Names one request in its answer and in the log.
#[derive(Debug, Clone, Copy)]
pub struct RequestId([u8; LEN]);

impl RequestId {
    /// 128 random bits: an id in time order would tell how busy we are.
    pub(super) fn draw(entropy: &dyn Entropy) -> Self {
        let bits = u128::from_be_bytes(random_bytes(entropy));
        let letters = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut text = *b"req_..........................";
        for (index, letter) in text[4..].iter_mut().rev().enumerate() {
            *letter = letters[(bits >> (5 * index)) as usize & 31];
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("its letters are ASCII")
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("its letters are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (index, byte) in (0..).zip(bytes) {
                *byte = index;
            }
        }
    }

    #[test]
    fn an_id_is_its_bits_in_letters_that_cannot_be_confused() {
        assert_eq!(RequestId::draw(&Counting).as_str(), "req_00041061050r3gg28a1c60t3gf");
        assert_eq!(RequestId::draw(&Counting).header(), RequestId::draw(&Counting).as_str());
    }
}
