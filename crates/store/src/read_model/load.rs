//! Reads the whole model from the database: at the start, and after a lost commit.

use std::sync::Arc;

use ostler_core::id::{CloudDeviceId, DeviceId, ProductId};
use ostler_core::name::FunctionName;
use ostler_core::product::Product;
use ostler_core::time::Timestamp;

use super::{Change, DeviceChange, ReadModel};
use crate::devices::PresenceWord;
use crate::error::StoreError;
use crate::grants::{GrantRow, grant_columns};
use crate::identity::load_tokens;
use crate::product_cache::ProductCache;
use crate::tx::{Link, on, row};
use crate::value::{Millis, Text};

const PRODUCTS: &str = "
    SELECT p.product_id, p.version, v.file
      FROM product p
      JOIN product_version v ON v.product_id = p.product_id AND v.version = p.version";
const DEVICES: &str = "
    SELECT d.device_id, d.product_id, d.cloud_device_id, d.quarantined_at, s.state
      FROM device d
      LEFT JOIN device_presence s ON s.device_id = d.device_id";
const CLOCKS: &str = "SELECT device_id, function, last_called_at FROM function_clock";
const GRANTS: &str = concat!(
    "SELECT ",
    grant_columns!(),
    "
       FROM device_grant g
       JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
      WHERE g.closed_at IS NULL"
);

row! {
    struct ProductRow { product_id: Text<ProductId>, version: i64, file: String }
}
row! {
    struct DeviceRow {
        device_id: Text<DeviceId>,
        product_id: Text<ProductId>,
        cloud_device_id: Text<CloudDeviceId>,
        quarantined_at: Option<i64>,
        state: Option<Text<PresenceWord>>,
    }
}
row! {
    struct ClockRow { device_id: Text<DeviceId>, function: Text<FunctionName>, last_called_at: Millis }
}

impl ReadModel {
    pub(crate) async fn load(mut link: Link<'_>, products: &ProductCache) -> Result<Self, StoreError> {
        let mut model = Self::default();
        for product in load_products(link.again(), products).await? {
            model.apply(Change::Product(product));
        }
        for row in all::<DeviceRow>(link.again(), DEVICES).await? {
            model.load_device(row);
        }
        for row in all::<ClockRow>(link.again(), CLOCKS).await? {
            let (device_id, function, at): (_, _, Timestamp) = (row.device_id.0, row.function.0, row.last_called_at.0);
            model.apply(Change::FunctionCalled {
                device_id,
                function,
                at,
            });
        }
        for row in all::<GrantRow>(link.again(), GRANTS).await? {
            model.apply(Change::Grant(Arc::new(row.into_grant())));
        }
        for token in load_tokens(link).await? {
            model.apply(Change::TokenIssued(token));
        }
        Ok(model)
    }

    fn load_device(&mut self, row: DeviceRow) {
        let device_id = row.device_id.0;
        let (product_id, cloud_device_id) = (row.product_id.0, row.cloud_device_id.0);
        self.apply(Change::Device(DeviceChange {
            device_id,
            product_id,
            cloud_device_id,
        }));
        self.apply(Change::Quarantine {
            device_id,
            quarantined: row.quarantined_at.is_some(),
        });
        if let Some(Text(PresenceWord(presence))) = row.state {
            self.apply(Change::Presence { device_id, presence });
        }
    }
}

/// Reads and parses every product as it is declared now.
pub(crate) async fn load_products(link: Link<'_>, products: &ProductCache) -> Result<Vec<Arc<Product>>, StoreError> {
    let rows = all::<ProductRow>(link, PRODUCTS).await?;
    rows.into_iter()
        .map(|row| products.parsed(row.product_id.0, row.version, &row.file))
        .collect()
}

async fn all<T>(link: Link<'_>, sql: &'static str) -> Result<Vec<T>, StoreError>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>
        + for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>
        + Send
        + Unpin,
{
    Ok(on!(link, |db| sqlx::query_as(sql).fetch_all(&mut *db).await?))
}
