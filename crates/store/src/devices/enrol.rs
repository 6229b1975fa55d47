//! How a device comes to be known: imported by staff, or registered by itself at its first start
//! (S5).
//!
//! Both may be repeated without effect. A device of the cloud is one device here: in a second
//! product it would have a second owner.

use ostler_core::id::{CloudDeviceId, DeviceId, ProductId};
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::read_model::{Change, DeviceChange};
use crate::tx::{Link, Tx, execute, on};
use crate::value::{Digest, Millis, Text};

/// A device to be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    pub product_id: ProductId,
    pub cloud_device_id: CloudDeviceId,
    pub name: Option<String>,
    /// Of a credential made for this device alone; `None` where the product's key derives it.
    pub credential_digest: Option<SecretDigest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceImported {
    Imported(DeviceId),
    /// It was there already; only a credential that it had none of was added.
    Known(DeviceId),
    /// It belongs to another product.
    ElsewhereAlready,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRegistered {
    First(DeviceId),
    Again(DeviceId),
    ElsewhereAlready,
}

impl DeviceRegistered {
    pub const fn device_id(self) -> Option<DeviceId> {
        match self {
            Self::First(device_id) | Self::Again(device_id) => Some(device_id),
            Self::ElsewhereAlready => None,
        }
    }
}

const INSERT: &str = "
    INSERT INTO device (device_id, product_id, cloud_device_id, name, credential_digest, created_at, imported_at,
                        registered_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (cloud_device_id) DO NOTHING";
const BY_CLOUD_ID: &str = "SELECT device_id, product_id, registered_at FROM device WHERE cloud_device_id = $1";
const ADD_CREDENTIAL: &str = "
    UPDATE device SET credential_digest = $2 WHERE device_id = $1 AND credential_digest IS NULL";
const REGISTER: &str = "UPDATE device SET registered_at = $2 WHERE device_id = $1 AND registered_at IS NULL";
const CREDENTIAL: &str = "
    SELECT credential_digest FROM device WHERE cloud_device_id = $1 AND product_id = $2";

type Known = (Text<DeviceId>, Text<ProductId>, Option<Millis>);

impl Store {
    /// Imports devices in one transaction; answers in their order.
    pub async fn import_devices(
        &self,
        devices: &[NewDevice],
        by: Actor,
        now: Timestamp,
    ) -> Result<Vec<DeviceImported>, StoreError> {
        let mut tx = self.write(now).await?;
        let mut answers = Vec::with_capacity(devices.len());
        for device in devices {
            let answer = import(&mut tx, device, now).await?;
            if let DeviceImported::Imported(device_id) = answer {
                tx.audit(
                    Act::new("device.import", by)
                        .about("device_id", device_id)
                        .about("product_id", device.product_id)
                        .about("cloud_device_id", &device.cloud_device_id),
                );
            }
            answers.push(answer);
        }
        tx.commit().await?;
        Ok(answers)
    }

    /// Registers a device that has proved itself. The first report counts; every later one changes
    /// no row.
    pub async fn register_device(
        &self,
        product_id: ProductId,
        cloud_device_id: &CloudDeviceId,
        now: Timestamp,
    ) -> Result<DeviceRegistered, StoreError> {
        let known = known(self.read().await?.link(), cloud_device_id).await?;
        if let Some((Text(device_id), Text(product), Some(_registered))) = known
            && product == product_id
        {
            return Ok(DeviceRegistered::Again(device_id));
        }
        let mut tx = self.write(now).await?;
        let answer = register(&mut tx, product_id, cloud_device_id, now).await?;
        if let DeviceRegistered::First(device_id) = answer {
            tx.audit(Act::new("device.register", Actor::Device(device_id)).about("product_id", product_id));
            tx.commit().await?;
        }
        Ok(answer)
    }

    /// The digest of the credential made for this device alone, if there is one.
    pub async fn device_credential(
        &self,
        product_id: ProductId,
        cloud_device_id: &CloudDeviceId,
    ) -> Result<Option<SecretDigest>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<(Option<Digest>,)> = on!(conn.link(), |db| sqlx::query_as(CREDENTIAL)
            .bind(Text(cloud_device_id))
            .bind(Text(product_id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.and_then(|(digest,)| digest).map(|Digest(digest)| digest))
    }
}

async fn known(link: Link<'_>, cloud_device_id: &CloudDeviceId) -> Result<Option<Known>, StoreError> {
    Ok(on!(link, |db| sqlx::query_as(BY_CLOUD_ID)
        .bind(Text(cloud_device_id))
        .fetch_optional(&mut *db)
        .await?))
}

/// The row that the statement left out for the sake of another.
async fn surely_known(tx: &mut Tx, cloud_device_id: &CloudDeviceId) -> Result<Known, StoreError> {
    let known = known(tx.link(), cloud_device_id).await?;
    known.ok_or(StoreError::inconsistent("a cloud id that is neither free nor taken"))
}

async fn import(tx: &mut Tx, device: &NewDevice, now: Timestamp) -> Result<DeviceImported, StoreError> {
    if let Some(device_id) = insert(tx, device, Some(now), None, now).await? {
        return Ok(DeviceImported::Imported(device_id));
    }
    let (Text(device_id), Text(product_id), _) = surely_known(tx, &device.cloud_device_id).await?;
    if product_id != device.product_id {
        return Ok(DeviceImported::ElsewhereAlready);
    }
    if let Some(digest) = device.credential_digest {
        execute!(
            tx.link(),
            sqlx::query(ADD_CREDENTIAL).bind(Text(device_id)).bind(Digest(digest))
        );
    }
    Ok(DeviceImported::Known(device_id))
}

async fn register(
    tx: &mut Tx,
    product_id: ProductId,
    cloud_device_id: &CloudDeviceId,
    now: Timestamp,
) -> Result<DeviceRegistered, StoreError> {
    let device = NewDevice {
        product_id,
        cloud_device_id: cloud_device_id.clone(),
        name: None,
        credential_digest: None,
    };
    if let Some(device_id) = insert(tx, &device, None, Some(now), now).await? {
        return Ok(DeviceRegistered::First(device_id));
    }
    let (Text(device_id), Text(product), _) = surely_known(tx, cloud_device_id).await?;
    if product != product_id {
        return Ok(DeviceRegistered::ElsewhereAlready);
    }
    let registered = execute!(tx.link(), sqlx::query(REGISTER).bind(Text(device_id)).bind(Millis(now)));
    Ok(if registered == 1 {
        DeviceRegistered::First(device_id)
    } else {
        DeviceRegistered::Again(device_id)
    })
}

/// `None` if the cloud's device is known already.
async fn insert(
    tx: &mut Tx,
    device: &NewDevice,
    imported_at: Option<Timestamp>,
    registered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<DeviceId>, StoreError> {
    let device_id = DeviceId::draw(now, tx.entropy());
    let inserted = execute!(
        tx.link(),
        sqlx::query(INSERT)
            .bind(Text(device_id))
            .bind(Text(device.product_id))
            .bind(Text(&device.cloud_device_id))
            .bind(device.name.as_deref())
            .bind(device.credential_digest.map(Digest))
            .bind(Millis(now))
            .bind(imported_at.map(Millis))
            .bind(registered_at.map(Millis))
    );
    if inserted == 0 {
        return Ok(None);
    }
    let (product_id, cloud_device_id) = (device.product_id, device.cloud_device_id.clone());
    tx.change(Change::Device(DeviceChange {
        device_id,
        product_id,
        cloud_device_id,
    }));
    Ok(Some(device_id))
}
