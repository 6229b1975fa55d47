//! What a decision rests on, read at one instant.
//!
//! On SQLite from the read model, without a statement. On PostgreSQL by one statement, so that one
//! snapshot holds all of it. Either way a device that does not exist takes the same steps as one
//! on which the customer has no grant (P8).

use std::sync::Arc;
use std::time::Instant;

use ostler_core::id::{CloudDeviceId, CustomerId, DeviceId, ProductId};
use ostler_core::name::FunctionName;
use ostler_core::policy::{DeviceFacts, Facts, Presence};

use crate::Store;
use crate::devices::PresenceWord;
use crate::error::StoreError;
use crate::grants::{GrantRow, grant_columns};
use crate::product_cache::unknown_file;
use crate::tx::{on, row};
use crate::value::{Millis, Text};

/// One row for each grant of the customer, one without a grant if there is none, no row if there is
/// no such device.
const FACTS: &str = concat!(
    "SELECT d.cloud_device_id, d.product_id, d.quarantined_at, p.version AS product_version,
            ",
    unknown_file!("$4"),
    " AS product_file,
            s.state, c.last_called_at, ",
    grant_columns!(),
    "
       FROM device d
       JOIN product p ON p.product_id = d.product_id
       LEFT JOIN device_presence s ON s.device_id = d.device_id
       LEFT JOIN function_clock c ON c.device_id = d.device_id AND c.function = $3
       LEFT JOIN device_grant g ON g.device_id = d.device_id AND g.customer_id = $2 AND g.closed_at IS NULL
       LEFT JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
      WHERE d.device_id = $1
      ORDER BY g.grant_id"
);
const BY_CLOUD_ID: &str = "SELECT device_id FROM device WHERE cloud_device_id = $1";

row! {
    struct DevicePart {
        cloud_device_id: Text<CloudDeviceId>,
        product_id: Text<ProductId>,
        quarantined_at: Option<Millis>,
        product_version: i64,
        /// Unless this version is known already.
        product_file: Option<String>,
        state: Option<Text<PresenceWord>>,
        last_called_at: Option<Millis>,
    }
}

struct FactsRow {
    device: DevicePart,
    grant: Option<GrantRow>,
}

impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for FactsRow
where
    DevicePart: sqlx::FromRow<'r, R>,
    GrantRow: sqlx::FromRow<'r, R>,
    &'static str: sqlx::ColumnIndex<R>,
    Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let has_grant = row.try_get::<Option<String>, _>("grant_id")?.is_some();
        let grant = has_grant.then(|| GrantRow::from_row(row)).transpose()?;
        Ok(Self {
            device: DevicePart::from_row(row)?,
            grant,
        })
    }
}

impl Store {
    /// `read_after` is the moment before this was called: a permit's `send_by` counts from it.
    pub async fn facts(
        &self,
        customer_id: Option<CustomerId>,
        device_id: DeviceId,
        function: Option<&FunctionName>,
        read_after: Instant,
    ) -> Result<Facts, StoreError> {
        let recalled = self
            .shared
            .recall(|model| model.facts(customer_id, device_id, function, read_after))
            .await?;
        match recalled {
            Some(facts) => Ok(facts),
            // Boxed, so that who is answered from memory does not carry it along.
            None => Box::pin(self.facts_from_database(customer_id, device_id, function, read_after)).await,
        }
    }

    /// The same question asked of the database itself, on either.
    pub async fn facts_from_database(
        &self,
        customer_id: Option<CustomerId>,
        device_id: DeviceId,
        function: Option<&FunctionName>,
        read_after: Instant,
    ) -> Result<Facts, StoreError> {
        let known = self.shared.products.names();
        let rows: Vec<FactsRow> = {
            let mut conn = self.read().await?;
            on!(conn.link(), |db| sqlx::query_as(FACTS)
                .bind(Text(device_id))
                .bind(customer_id.map(Text))
                .bind(function.map(Text))
                .bind(&*known)
                .fetch_all(&mut *db)
                .await?)
        };
        let Some(FactsRow { device, .. }) = rows.first() else {
            return Ok(Facts {
                device: None,
                grants: Vec::new(),
                last_called_at: None,
                read_after,
            });
        };
        let (product_id, version) = (device.product_id.0, device.product_version);
        let product = match &device.product_file {
            Some(file) => self.shared.products.parsed(product_id, version, file)?,
            None => self.product_version(product_id, version).await?,
        };
        Ok(Facts {
            last_called_at: device.last_called_at.map(|Millis(at)| at),
            device: Some(DeviceFacts {
                id: device_id,
                cloud_device_id: device.cloud_device_id.0.clone(),
                product,
                quarantined: device.quarantined_at.is_some(),
                presence: device.state.as_ref().map_or(Presence::Unknown, |Text(word)| word.0),
            }),
            grants: rows
                .into_iter()
                .filter_map(|row| row.grant)
                .map(|row| Arc::new(row.into_grant()))
                .collect(),
            read_after,
        })
    }

    /// Which device of ours the cloud means. For ingest.
    pub async fn device_by_cloud_id(&self, cloud_device_id: &CloudDeviceId) -> Result<Option<DeviceId>, StoreError> {
        let recalled = self
            .shared
            .recall(|model| model.device_by_cloud_id(cloud_device_id).map(|device| device.id));
        if let Some(device_id) = recalled.await? {
            return Ok(device_id);
        }
        let mut conn = self.read().await?;
        let found: Option<(Text<DeviceId>,)> = on!(conn.link(), |db| sqlx::query_as(BY_CLOUD_ID)
            .bind(Text(cloud_device_id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(found.map(|(Text(device_id),)| device_id))
    }

    /// Whether the read model says what the database says; always so where there is none.
    pub async fn model_agrees(&self) -> Result<bool, StoreError> {
        self.shared.model_agrees().await
    }
}
