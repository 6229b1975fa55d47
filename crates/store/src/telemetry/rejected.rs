//! What came in and was turned away: kept for staff, bounded, without effect.

use std::collections::BTreeSet;

use ostler_core::id::{CloudDeviceId, ProductId, RejectedEventId};

use super::arrival::{Door, Rejection, RejectionReason};
use crate::Store;
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::{Tx, execute, on, row};
use crate::value::{Millis, Text};

/// How many are kept of one product.
pub const REJECTED_EVENTS_MAX: i64 = 1000;

/// A rejection as it is read back.
pub type RejectedEvent = Rejection;

const INSERT: Pair = json_rows!(
    "INSERT INTO rejected_event
            (rejected_event_id, product_id, received_at, door, reason, cloud_device_id, name, body)
     SELECT value->>0, value->>1, CAST(value->>2 AS BIGINT), value->>3, value->>4, value->>5, value->>6, value->>7
       FROM ",
    ""
);
/// Below the bound the inner query finds nothing, and nothing compares less than null.
const MAKE_ROOM: &str = "
    DELETE FROM rejected_event
     WHERE product_id = $1
       AND rejected_event_id <= (SELECT rejected_event_id FROM rejected_event
                                  WHERE product_id = $1
                                  ORDER BY rejected_event_id DESC
                                  LIMIT 1 OFFSET $2)";
/// The newest first.
const LIST: &str = "
    SELECT rejected_event_id, product_id, received_at, door, reason, cloud_device_id, name, body
      FROM rejected_event
     WHERE ($1 IS NULL OR product_id = $1) AND ($2 IS NULL OR rejected_event_id < $2)
     ORDER BY rejected_event_id DESC
     LIMIT $3";

#[derive(serde::Serialize)]
struct NewRow<'a>(
    RejectedEventId,
    ProductId,
    i64,
    &'static str,
    &'static str,
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
);

row! {
    struct RejectedRow {
        rejected_event_id: Text<RejectedEventId>,
        product_id: Text<ProductId>,
        received_at: Millis,
        door: Text<Door>,
        reason: Text<RejectionReason>,
        cloud_device_id: Option<Text<CloudDeviceId>>,
        name: Option<String>,
        body: Option<String>,
    }
}

impl From<RejectedRow> for RejectedEvent {
    fn from(row: RejectedRow) -> Self {
        Self {
            id: row.rejected_event_id.0,
            product_id: row.product_id.0,
            door: row.door.0,
            reason: row.reason.0,
            cloud_device_id: row.cloud_device_id.map(|Text(id)| id),
            name: row.name,
            body: row.body,
            received_at: row.received_at.0,
        }
    }
}

impl Store {
    /// Of one product or of all.
    pub async fn rejected_events(
        &self,
        product_id: Option<ProductId>,
        page: Page<RejectedEventId>,
    ) -> Result<Listed<RejectedEvent>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<RejectedRow> = on!(conn.link(), |db| sqlx::query_as(LIST)
            .bind(product_id.map(Text))
            .bind(page.after.map(Text))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        Ok(Listed::cut(rows.into_iter().map(RejectedEvent::from).collect(), &page))
    }
}

pub(super) async fn write_rejections<'r>(
    tx: &mut Tx,
    rejections: impl Iterator<Item = &'r Rejection>,
) -> Result<(), StoreError> {
    let mut products: BTreeSet<ProductId> = BTreeSet::new();
    let mut rows: Vec<NewRow<'_>> = Vec::new();
    for rejection in rejections {
        products.insert(rejection.product_id);
        rows.push(NewRow::of(rejection));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(&rows).expect("ids and text");
    let sql = INSERT.of(tx.link().dialect());
    execute!(tx.link(), sqlx::query(sql).bind(rows.as_str()));
    for product_id in products {
        execute!(
            tx.link(),
            sqlx::query(MAKE_ROOM).bind(Text(product_id)).bind(REJECTED_EVENTS_MAX)
        );
    }
    Ok(())
}

impl<'a> NewRow<'a> {
    fn of(rejection: &'a Rejection) -> Self {
        Self(
            rejection.id,
            rejection.product_id,
            rejection.received_at.millis(),
            rejection.door.as_str(),
            rejection.reason.as_str(),
            rejection.cloud_device_id.as_ref().map(CloudDeviceId::as_str),
            rejection.name.as_deref(),
            rejection.body.as_deref(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_columns_are_read_back() {
        for reason in RejectionReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(*reason));
        }
        assert_eq!("stream".parse(), Ok(Door::Stream));
        assert!("window".parse::<Door>().is_err());
    }
}
