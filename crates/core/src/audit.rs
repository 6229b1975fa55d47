//! The audit chain: each entry's hash covers the one before, so that nothing can be cut out of
//! the middle or rewritten without all that follows failing to verify.
//!
//! Rows hold ids and salted digests; personal fields and arguments live beside them, so that
//! erasing those leaves the chain verifiable.

use sha2::{Digest, Sha256};

use crate::id::ChainId;
use crate::time::Timestamp;

/// The hash that ends a chain so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What the first entry of every chain follows.
    pub const GENESIS: Self = Self([0; 32]);

    /// The hash of the entry that follows `self`.
    #[must_use]
    pub fn extend(self, chain_id: ChainId, seq: i64, at: Timestamp, body: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"ostler-audit-1");
        hash.update(chain_id.to_string().as_bytes());
        hash.update(seq.to_be_bytes());
        hash.update(self.0);
        hash.update(at.millis().to_be_bytes());
        hash.update(body.as_bytes());
        Self(hash.finalize().into())
    }
}

/// Binds text that may be erased later into a row that stays. The salt is erased with the text:
/// without it a short text cannot be guessed from its digest.
pub fn salted_digest(salt: &[u8; 16], text: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(text.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Entropy;

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn every_part_of_an_entry_counts() {
        let at = Timestamp::from_millis(5);
        let chain = ChainId::draw(at, &Repeating);
        let other = ChainId::draw(Timestamp::from_millis(6), &Repeating);
        let hash = ChainHash::GENESIS.extend(chain, 1, at, "{}");
        let changed = [
            ChainHash([1; 32]).extend(chain, 1, at, "{}"),
            ChainHash::GENESIS.extend(other, 1, at, "{}"),
            ChainHash::GENESIS.extend(chain, 2, at, "{}"),
            ChainHash::GENESIS.extend(chain, 1, Timestamp::from_millis(6), "{}"),
            ChainHash::GENESIS.extend(chain, 1, at, "{} "),
        ];
        assert!(changed.iter().all(|each| *each != hash));
        assert_eq!(hash, ChainHash::GENESIS.extend(chain, 1, at, "{}"));
    }
}
