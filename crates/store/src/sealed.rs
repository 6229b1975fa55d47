//! Secrets that must be used again, and therefore cannot be digests: cloud credentials and
//! registration keys.
//!
//! XChaCha20-Poly1305 under the installation's master key. The key's id stands in each ciphertext,
//! so that a key can be changed; table and row are authenticated with it, so that a ciphertext
//! moved to another row does not open. The key itself never comes near the database.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use ostler_core::port::{Entropy, random_bytes};

const FORMAT: u8 = 1;
const KEY_ID_LEN: usize = 4;
const NONCE_LEN: usize = 24;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// 32 bytes from `master_key_file`.
#[derive(Clone)]
pub struct MasterKey {
    id: [u8; KEY_ID_LEN],
    key: Zeroizing<[u8; 32]>,
}

/// The key that seals, and those before it that still open.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    current: MasterKey,
    former: Vec<MasterKey>,
}

/// Where a ciphertext lives. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub table: &'static str,
    pub row: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    #[error("it was sealed with a master key that is not configured")]
    UnknownKey,
    #[error("it is damaged, or was moved from another row")]
    Damaged,
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"ostler master key id\0")
            .chain_update(bytes)
            .finalize();
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest[..KEY_ID_LEN]);
        Self {
            id,
            key: Zeroizing::new(bytes),
        }
    }

    /// Names the key without telling it, for `ostler check` and the backup's description.
    pub fn id(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Another key for another purpose, from which this one cannot be told.
    pub(crate) fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut hash = Sha256::new();
        hash.update(b"ostler derived key\0");
        hash.update(self.key.as_slice());
        hash.update(purpose);
        Zeroizing::new(hash.finalize().into())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new_from_slice(self.key.as_slice()).expect("the key has 32 bytes")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterKeys {
    pub fn new(current: MasterKey, former: Vec<MasterKey>) -> Self {
        Self { current, former }
    }

    pub fn current(&self) -> &MasterKey {
        &self.current
    }

    pub(crate) fn seal(&self, place: Place<'_>, secret: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random_bytes(entropy);
        let mut sealed = Vec::with_capacity(HEADER_LEN + secret.len() + 16);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.current.id);
        sealed.extend_from_slice(&nonce);
        let aad = place.authenticated();
        let body = self
            .current
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: &aad })
            .expect("only secrets of many gigabytes cannot be sealed");
        sealed.extend_from_slice(&body);
        sealed
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let (header, body) = sealed.split_at_checked(HEADER_LEN).ok_or(UnsealError::Damaged)?;
        if header[0] != FORMAT {
            return Err(UnsealError::Damaged);
        }
        let (key_id, nonce) = header[1..].split_at(KEY_ID_LEN);
        let key = std::iter::once(&self.current)
            .chain(&self.former)
            .find(|key| key.id == key_id)
            .ok_or(UnsealError::UnknownKey)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| UnsealError::Damaged)?;
        let aad = place.authenticated();
        key.cipher()
            .decrypt(&XNonce::from(nonce), Payload { msg: body, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| UnsealError::Damaged)
    }

    /// Opens a secret that is text.
    pub(crate) fn open_text(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretString, UnsealError> {
        let secret = self.open(place, sealed)?;
        let text = std::str::from_utf8(&secret).map_err(|_| UnsealError::Damaged)?;
        Ok(text.to_owned().into())
    }
}

impl Place<'_> {
    /// No table name holds a NUL, so that two places never read alike.
    fn authenticated(&self) -> Vec<u8> {
        [self.table.as_bytes(), b"\0", self.row.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(3);
        }
    }

    const HERE: Place<'static> = Place {
        table: "cloud_connection",
        row: "prd_1",
    };

    fn keys(byte: u8) -> MasterKeys {
        MasterKeys::new(MasterKey::from_bytes([byte; 32]), Vec::new())
    }

    #[test]
    fn a_secret_opens_in_its_own_row_only() {
        let sealed = keys(1).seal(HERE, b"hunter2", &Repeating);
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(keys(1).open(HERE, &sealed).unwrap().as_slice(), b"hunter2");
        let elsewhere = Place {
            table: "cloud_connection",
            row: "prd_2",
        };
        assert_eq!(keys(1).open(elsewhere, &sealed).unwrap_err(), UnsealError::Damaged);
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let sealed = keys(1).seal(HERE, b"hunter2", &Repeating);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(keys(1).open(HERE, &changed).is_err(), "byte {index}");
        }
        assert!(keys(1).open(HERE, &sealed[..20]).is_err());
    }

    #[test]
    fn a_former_key_still_opens_and_a_foreign_one_is_named() {
        let sealed = keys(1).seal(HERE, b"hunter2", &Repeating);
        let changed = MasterKeys::new(MasterKey::from_bytes([2; 32]), vec![MasterKey::from_bytes([1; 32])]);
        assert_eq!(changed.open(HERE, &sealed).unwrap().as_slice(), b"hunter2");
        assert_eq!(keys(2).open(HERE, &sealed).unwrap_err(), UnsealError::UnknownKey);
    }

    #[test]
    fn debug_output_names_the_key_but_does_not_tell_it() {
        let text = format!("{:?}", keys(0xab));
        assert!(!text.contains("abab") && !text.contains("171, 171"));
    }
}
