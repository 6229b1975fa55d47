//! Reading grants: for staff, and for the customer who holds them.

use ostler_core::grant::Grant;
use ostler_core::id::{CustomerId, DeviceId, GrantId, ProductId};
use ostler_core::time::Timestamp;

use super::{GrantRow, grant_columns};
use crate::Store;
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::{on, row};
use crate::value::{Millis, Text};

/// A grant in its present version, also one that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    pub grant: Grant,
    /// When somebody ended it; a grant may also run out by its own `ends_at`.
    pub closed_at: Option<Timestamp>,
    pub reason: Option<String>,
}

/// One version of a grant, as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantVersionRecord {
    pub grant: Grant,
    pub changed_at: Timestamp,
    /// An id of whoever said it, or `system`.
    pub changed_by: String,
    pub reason: Option<String>,
}

/// Every member narrows the list.
#[derive(Debug, Clone, Copy, Default)]
pub struct GrantFilter {
    pub customer_id: Option<CustomerId>,
    pub device_id: Option<DeviceId>,
    pub product_id: Option<ProductId>,
}

const BY_ID: &str = concat!(
    "SELECT g.closed_at, v.reason, ",
    grant_columns!(),
    "
       FROM device_grant g
       JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
      WHERE g.grant_id = $1"
);
const LIST: &str = concat!(
    "SELECT g.closed_at, v.reason, ",
    grant_columns!(),
    "
       FROM device_grant g
       JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
       JOIN device d ON d.device_id = g.device_id
      WHERE g.grant_id > COALESCE($1, '')
        AND ($2 IS NULL OR g.customer_id = $2)
        AND ($3 IS NULL OR g.device_id = $3)
        AND ($4 IS NULL OR d.product_id = $4)
      ORDER BY g.grant_id
      LIMIT $5"
);

const VERSIONS: &str = "
    SELECT g.grant_id, g.customer_id, g.device_id, g.source, v.version, v.functions, v.variables, v.keys,
           v.history_from, v.history_to, v.starts_at, v.ends_at, v.changed_at, v.changed_by, v.reason
      FROM device_grant g
      JOIN grant_version v ON v.grant_id = g.grant_id
     WHERE g.grant_id = $1
     ORDER BY v.version";

row! {
    struct Closing { closed_at: Option<Millis>, reason: Option<String> }
}

struct RecordRow {
    grant: GrantRow,
    closing: Closing,
}

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for RecordRow
where
    GrantRow: sqlx::FromRow<'r, R>,
    Closing: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            grant: GrantRow::from_row(row)?,
            closing: Closing::from_row(row)?,
        })
    }
}

row! {
    struct Saying { changed_at: Millis, changed_by: String, reason: Option<String> }
}

struct VersionRow {
    grant: GrantRow,
    saying: Saying,
}

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for VersionRow
where
    GrantRow: sqlx::FromRow<'r, R>,
    Saying: sqlx::FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            grant: GrantRow::from_row(row)?,
            saying: Saying::from_row(row)?,
        })
    }
}

impl From<VersionRow> for GrantVersionRecord {
    fn from(VersionRow { grant, saying }: VersionRow) -> Self {
        Self {
            grant: grant.into_grant(),
            changed_at: saying.changed_at.0,
            changed_by: saying.changed_by,
            reason: saying.reason,
        }
    }
}

impl From<RecordRow> for GrantRecord {
    fn from(RecordRow { grant, closing }: RecordRow) -> Self {
        Self {
            grant: grant.into_grant(),
            closed_at: closing.closed_at.map(|Millis(at)| at),
            reason: closing.reason,
        }
    }
}

impl Store {
    pub async fn grant(&self, grant_id: GrantId) -> Result<Option<GrantRecord>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<RecordRow> = on!(conn.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(grant_id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(GrantRecord::from))
    }

    pub async fn grants(&self, filter: GrantFilter, page: Page<GrantId>) -> Result<Listed<GrantRecord>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<RecordRow> = on!(conn.link(), |db| sqlx::query_as(LIST)
            .bind(page.after.map(Text))
            .bind(filter.customer_id.map(Text))
            .bind(filter.device_id.map(Text))
            .bind(filter.product_id.map(Text))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        Ok(Listed::cut(rows.into_iter().map(GrantRecord::from).collect(), &page))
    }

    /// All that was ever said of a grant, the first version first.
    pub async fn grant_versions(&self, grant_id: GrantId) -> Result<Vec<GrantVersionRecord>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<VersionRow> = on!(conn.link(), |db| sqlx::query_as(VERSIONS)
            .bind(Text(grant_id))
            .fetch_all(&mut *db)
            .await?);
        Ok(rows.into_iter().map(GrantVersionRecord::from).collect())
    }
}
