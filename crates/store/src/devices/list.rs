//! Reading devices: one, a product's, and those on which a customer has a grant.

use ostler_core::id::{CloudDeviceId, CustomerId, DeviceId, ProductId};
use ostler_core::policy::Presence;
use ostler_core::time::Timestamp;

use super::PresenceWord;
use crate::Store;
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::{Link, on, row};
use crate::value::{Millis, Text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    pub id: DeviceId,
    pub product_id: ProductId,
    /// For staff only.
    pub cloud_device_id: CloudDeviceId,
    pub name: Option<String>,
    pub notes: Option<String>,
    pub time_zone: Option<String>,
    pub presence: Presence,
    pub last_heard_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub imported_at: Option<Timestamp>,
    pub registered_at: Option<Timestamp>,
    pub quarantined_at: Option<Timestamp>,
}

macro_rules! device_columns {
    () => {
        "SELECT d.device_id, d.product_id, d.cloud_device_id, d.name, d.notes, d.time_zone, s.state,
                s.last_heard_at, d.created_at, d.imported_at, d.registered_at, d.quarantined_at
           FROM device d
           LEFT JOIN device_presence s ON s.device_id = d.device_id"
    };
}

const BY_ID: &str = concat!(device_columns!(), " WHERE d.device_id = $1");
const OF_PRODUCT: &str = concat!(
    device_columns!(),
    " WHERE d.device_id > COALESCE($1, '') AND ($2 IS NULL OR d.product_id = $2)
      ORDER BY d.device_id LIMIT $3"
);
/// Half-open, as rights are judged: at `starts_at` it counts, at `ends_at` no longer.
const OF_CUSTOMER: &str = concat!(
    device_columns!(),
    " WHERE d.device_id > COALESCE($1, '')
        AND EXISTS (SELECT 1 FROM device_grant g
                      JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
                     WHERE g.device_id = d.device_id AND g.customer_id = $2 AND g.closed_at IS NULL
                       AND v.starts_at <= $3 AND (v.ends_at IS NULL OR $3 < v.ends_at))
      ORDER BY d.device_id LIMIT $4"
);

row! {
    struct DeviceRow {
        device_id: Text<DeviceId>,
        product_id: Text<ProductId>,
        cloud_device_id: Text<CloudDeviceId>,
        name: Option<String>,
        notes: Option<String>,
        time_zone: Option<String>,
        state: Option<Text<PresenceWord>>,
        last_heard_at: Option<Millis>,
        created_at: Millis,
        imported_at: Option<Millis>,
        registered_at: Option<Millis>,
        quarantined_at: Option<Millis>,
    }
}

impl From<DeviceRow> for DeviceRecord {
    fn from(row: DeviceRow) -> Self {
        let time = |millis: Option<Millis>| millis.map(|Millis(at)| at);
        Self {
            id: row.device_id.0,
            product_id: row.product_id.0,
            cloud_device_id: row.cloud_device_id.0,
            name: row.name,
            notes: row.notes,
            time_zone: row.time_zone,
            presence: row.state.map_or(Presence::Unknown, |Text(word)| word.0),
            last_heard_at: time(row.last_heard_at),
            created_at: row.created_at.0,
            imported_at: time(row.imported_at),
            registered_at: time(row.registered_at),
            quarantined_at: time(row.quarantined_at),
        }
    }
}

impl Store {
    pub async fn device(&self, device_id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        let mut conn = self.read_events_of(&[device_id]).await?;
        let row: Option<DeviceRow> = on!(conn.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(device_id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(DeviceRecord::from))
    }

    /// A product's devices, or all.
    pub async fn devices(
        &self,
        product_id: Option<ProductId>,
        page: Page<DeviceId>,
    ) -> Result<Listed<DeviceRecord>, StoreError> {
        self.listed(Whose::Product(product_id), &page).await
    }

    /// The devices on which a customer has a grant that is in force.
    pub async fn customer_devices(
        &self,
        customer_id: CustomerId,
        page: Page<DeviceId>,
        now: Timestamp,
    ) -> Result<Listed<DeviceRecord>, StoreError> {
        self.listed(Whose::Customer(customer_id, now), &page).await
    }

    /// While events wait in the journal the list is read twice, so that they are filed for the devices
    /// that it shows and for no others.
    async fn listed(&self, whose: Whose, page: &Page<DeviceId>) -> Result<Listed<DeviceRecord>, StoreError> {
        let events_wait = self.shared.waiting().events > 0;
        let mut rows = rows(self.read().await?.link(), whose, page).await?;
        if events_wait {
            let shown: Vec<DeviceId> = rows.iter().map(|row| row.device_id.0).collect();
            rows = self::rows(self.read_events_of(&shown).await?.link(), whose, page).await?;
        }
        Ok(Listed::cut(rows.into_iter().map(DeviceRecord::from).collect(), page))
    }
}

#[derive(Clone, Copy)]
enum Whose {
    Product(Option<ProductId>),
    Customer(CustomerId, Timestamp),
}

async fn rows(link: Link<'_>, whose: Whose, page: &Page<DeviceId>) -> Result<Vec<DeviceRow>, StoreError> {
    Ok(match whose {
        Whose::Product(product_id) => on!(link, |db| sqlx::query_as(OF_PRODUCT)
            .bind(page.after.map(Text))
            .bind(product_id.map(Text))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?),
        Whose::Customer(customer_id, now) => on!(link, |db| sqlx::query_as(OF_CUSTOMER)
            .bind(page.after.map(Text))
            .bind(Text(customer_id))
            .bind(Millis(now))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?),
    })
}
