//! What opens a product's door for deliveries.
//!
//! The door compares digests. The secret itself is kept sealed beside its digest, for the hook at
//! the vendor must be given it again whenever it is repaired. Two are live while a hook is changed
//! over; a third rotation ends the oldest.

use secrecy::SecretString;

use ostler_core::id::ProductId;
use ostler_core::secret::{IngestSecret, SecretDigest};
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::sealed::Place;
use crate::tx::{Link, Tx, execute, on};
use crate::value::{Digest, Millis, Text};

const LIVE: &str = "
    SELECT digest, sealed FROM ingest_secret
     WHERE product_id = $1 AND (ends_at IS NULL OR ends_at > $2)
     ORDER BY created_at DESC, digest";
const INSERT: &str = "
    INSERT INTO ingest_secret (digest, product_id, sealed, created_at) VALUES ($1, $2, $3, $4)";
const END: &str = "UPDATE ingest_secret SET ends_at = $2 WHERE digest = $1";

impl Store {
    /// The newest live secret, for the hook at the vendor; drawn if there is none yet.
    pub async fn hook_secret(
        &self,
        product_id: ProductId,
        by: Actor,
        now: Timestamp,
    ) -> Result<SecretString, StoreError> {
        if let Some(secret) = self.live_hook_secret(product_id, now).await? {
            return Ok(secret);
        }
        let secret = self.rotate_ingest_secret(product_id, by, now).await?;
        Ok(secret.reveal().to_owned().into())
    }

    /// The newest live secret, if there is one.
    pub async fn live_hook_secret(
        &self,
        product_id: ProductId,
        now: Timestamp,
    ) -> Result<Option<SecretString>, StoreError> {
        let newest = live(self.read().await?.link(), product_id, now)
            .await?
            .into_iter()
            .next();
        let opened = newest.map(|(digest, sealed)| {
            let row = row_name(product_id, &digest);
            self.shared.keys.open_text(place(&row), &sealed)
        });
        Ok(opened.transpose()?)
    }

    /// Draws a new secret. The one before it stays live until it is ended, any older one ends.
    pub async fn rotate_ingest_secret(
        &self,
        product_id: ProductId,
        by: Actor,
        now: Timestamp,
    ) -> Result<IngestSecret, StoreError> {
        let mut tx = self.write(now).await?;
        for (digest, _) in live(tx.link(), product_id, now).await?.into_iter().skip(1) {
            end(&mut tx, digest, now).await?;
        }
        let secret = IngestSecret::draw(tx.entropy());
        let digest = secret.digest();
        let row = row_name(product_id, &digest);
        let sealed = self
            .shared
            .keys
            .seal(place(&row), secret.reveal().as_bytes(), tx.entropy());
        execute!(
            tx.link(),
            sqlx::query(INSERT)
                .bind(Digest(digest))
                .bind(Text(product_id))
                .bind(sealed.as_slice())
                .bind(Millis(now))
        );
        tx.audit(Act::new("ingest_secret.rotate", by).about("product_id", product_id));
        tx.commit().await?;
        Ok(secret)
    }

    /// Ends all but the newest, once the hook has been changed over. Says how many ended.
    pub async fn end_former_ingest_secrets(
        &self,
        product_id: ProductId,
        by: Actor,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut tx = self.write(now).await?;
        let former: Vec<_> = live(tx.link(), product_id, now).await?.into_iter().skip(1).collect();
        for (digest, _) in &former {
            end(&mut tx, *digest, now).await?;
        }
        if !former.is_empty() {
            tx.audit(
                Act::new("ingest_secret.end", by)
                    .about("product_id", product_id)
                    .about("count", former.len()),
            );
            tx.commit().await?;
        }
        Ok(former.len())
    }
}

pub(crate) fn place(row: &str) -> Place<'_> {
    Place {
        table: "ingest_secret",
        row,
    }
}

/// The digest is the row's key, and the product says whose door it opens.
pub(crate) fn row_name(product_id: ProductId, digest: &SecretDigest) -> String {
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_bytes());
    format!("{product_id}/{digest}")
}

/// The newest first.
async fn live(
    link: Link<'_>,
    product_id: ProductId,
    now: Timestamp,
) -> Result<Vec<(SecretDigest, Vec<u8>)>, StoreError> {
    let rows: Vec<(Digest, Vec<u8>)> = on!(link, |db| sqlx::query_as(LIVE)
        .bind(Text(product_id))
        .bind(Millis(now))
        .fetch_all(&mut *db)
        .await?);
    Ok(rows
        .into_iter()
        .map(|(Digest(digest), sealed)| (digest, sealed))
        .collect())
}

async fn end(tx: &mut Tx, digest: SecretDigest, now: Timestamp) -> Result<(), StoreError> {
    execute!(tx.link(), sqlx::query(END).bind(Digest(digest)).bind(Millis(now)));
    Ok(())
}
