//! Signed heads: where each chain ended at a time, under a key that is not in the database.
//!
//! Kept elsewhere, one proves later that nothing before it was cut off or rewritten, even by whoever
//! owns the database. The signature covers a text of its own, so that no JSON has to be canonical.

use std::fmt::Write as _;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use ostler_core::id::ChainId;
use ostler_core::time::Timestamp;

use super::chain::{ChainHead, heads};
use super::verify::{AuditFault, ChainReport, FaultKind};
use crate::Store;
use crate::error::StoreError;
use crate::tx::{Link, on};
use crate::value::Text;

/// Signs heads. Made from 32 bytes that lie in a file of their own.
pub struct AuditKey(Ed25519KeyPair);

/// The file that is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHead {
    pub format: String,
    pub at: Timestamp,
    pub chains: Vec<ChainPoint>,
    /// base64url of the 32 bytes of RFC 8032 §5.1.5.
    pub public_key: String,
    pub signature: String,
}

/// One entry of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPoint {
    pub chain_id: ChainId,
    pub seq: i64,
    pub hash: String,
}

#[derive(Debug, thiserror::Error)]
pub enum HeadFault {
    #[error("the head file has a format that this version does not know")]
    Format,
    #[error("the head file was signed with another key than {expected}")]
    AnotherKey { expected: String },
    #[error("the signature of the head file does not hold")]
    Signature,
    #[error("a chain is not what was signed: {0}")]
    Chain(#[from] AuditFault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for HeadFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

const FORMAT: &str = "ostler-audit-head-1";
const ENTRY_HASH: &str = "SELECT hash FROM audit_entry WHERE chain_id = $1 AND seq = $2";

impl AuditKey {
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed (RFC 8032 §5.1.5)"))
    }

    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key())
    }

    fn sign(&self, at: Timestamp, chains: Vec<ChainPoint>) -> SignedHead {
        let signature = self.0.sign(signed_text(at, &chains).as_bytes());
        SignedHead {
            format: FORMAT.to_owned(),
            at,
            chains,
            public_key: self.public_key(),
            signature: URL_SAFE_NO_PAD.encode(signature),
        }
    }
}

/// One line for each chain.
fn signed_text(at: Timestamp, chains: &[ChainPoint]) -> String {
    let mut text = format!("{FORMAT}\n{at}\n");
    for ChainPoint { chain_id, seq, hash } in chains {
        writeln!(text, "{chain_id} {seq} {hash}").expect("a String takes every line");
    }
    text
}

impl SignedHead {
    /// Whether the key of this installation signed it.
    pub fn check_signature(&self, expected_key: &str) -> Result<(), HeadFault> {
        if self.format != FORMAT {
            return Err(HeadFault::Format);
        }
        if self.public_key != expected_key {
            return Err(HeadFault::AnotherKey {
                expected: expected_key.to_owned(),
            });
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| HeadFault::Signature);
        let (key, signature) = (decode(&self.public_key)?, decode(&self.signature)?);
        UnparsedPublicKey::new(&ED25519, key)
            .verify(signed_text(self.at, &self.chains).as_bytes(), &signature)
            .map_err(|_| HeadFault::Signature)
    }
}

impl From<&ChainReport> for ChainPoint {
    fn from(report: &ChainReport) -> Self {
        Self {
            chain_id: report.chain_id,
            seq: report.entries,
            hash: URL_SAFE_NO_PAD.encode(report.head.0),
        }
    }
}

impl Store {
    /// The key that signs this installation's heads. It is derived from the master key, which is not
    /// in the database either.
    pub fn audit_key(&self) -> AuditKey {
        AuditKey::from_seed(&self.shared.keys.current().derive(b"ostler audit head key"))
    }

    /// Signs where the chains end. What leads there is not walked: that is for whoever verifies, and
    /// a head that was signed over a chain that does not hold proves nothing for it.
    pub async fn sign_audit_head(&self, key: &AuditKey, now: Timestamp) -> Result<SignedHead, StoreError> {
        let heads = heads(self.read().await?.link()).await?;
        let points = heads.into_iter().map(|(chain_id, ChainHead { seq, hash })| ChainPoint {
            chain_id,
            seq,
            hash: URL_SAFE_NO_PAD.encode(hash.0),
        });
        Ok(key.sign(now, points.collect()))
    }

    /// Verifies all chains, and that each still goes through the entry that was signed.
    pub async fn verify_audit_head(
        &self,
        head: &SignedHead,
        expected_key: &str,
    ) -> Result<Vec<ChainReport>, HeadFault> {
        head.check_signature(expected_key)?;
        let reports = self.verify_audit().await??;
        let mut conn = self.read().await?;
        for point in &head.chains {
            check_point(conn.link(), point).await?;
        }
        Ok(reports)
    }
}

async fn check_point(link: Link<'_>, point: &ChainPoint) -> Result<(), HeadFault> {
    if point.seq == 0 {
        return Ok(());
    }
    let found: Option<(Vec<u8>,)> = on!(link, |db| sqlx::query_as(ENTRY_HASH)
        .bind(Text(point.chain_id))
        .bind(point.seq)
        .fetch_optional(&mut *db)
        .await?);
    let kind = match found {
        Some((hash,)) if URL_SAFE_NO_PAD.encode(&hash) == point.hash => return Ok(()),
        Some(_) => FaultKind::NotAsSigned,
        None => FaultKind::Missing,
    };
    Err(AuditFault {
        chain_id: point.chain_id,
        seq: point.seq,
        kind,
    }
    .into())
}
