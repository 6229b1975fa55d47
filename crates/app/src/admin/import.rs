//! Taking over devices that exist at the cloud: those that are named, or all that its list has.
//!
//! Importing again changes nothing. A device registers itself at its first start, too; whichever
//! comes first, it is one device.

use std::collections::BTreeMap;
use std::str::FromStr;

use ostler_core::id::{CloudDeviceId, DeviceId, InvalidCloudDeviceId, ProductId};
use ostler_core::secret::SecretDigest;
use ostler_store::{DeviceImported, NewDevice, StoreError};

use super::{Desk, Effect};
use crate::device_cloud::{CloudError, ListedDevice};

/// A transaction holds the writer's lane; this many rows are written in a few milliseconds.
const BATCH: usize = 500;

/// One device as somebody named it.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    pub cloud_id: String,
    pub name: Option<String>,
    /// Made in the factory for this device alone.
    pub credential: Option<String>,
}

/// What became of each device. In a dry run what would be created has no id yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub created: Vec<(CloudDeviceId, Option<DeviceId>)>,
    pub existing: Vec<(CloudDeviceId, DeviceId)>,
    pub invalid: Vec<InvalidDevice>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct InvalidDevice {
    pub cloud_id: String,
    pub rule: ImportFault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    #[error(transparent)]
    CloudId(#[from] InvalidCloudDeviceId),
    #[error("belongs to another product")]
    ElsewhereAlready,
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("there is no such product within reach")]
    NotFound,
    #[error("the device cloud did not list its devices")]
    Cloud(#[from] CloudError),
    #[error("the devices could not be read or written")]
    Store(#[from] StoreError),
}

impl Desk<'_> {
    pub async fn import_devices(
        &self,
        product_id: ProductId,
        requests: Vec<ImportRequest>,
        effect: Effect,
    ) -> Result<Imported, ImportError> {
        self.existing_product(product_id).await?;
        let mut imported = Imported::default();
        let devices = named(product_id, requests, &mut imported);
        for batch in devices.chunks(BATCH) {
            let fates = match effect {
                Effect::DryRun => self.foretell(batch).await?,
                Effect::Apply => self.import(batch).await?,
            };
            for (device, fate) in batch.iter().zip(fates) {
                imported.add(device.cloud_device_id.clone(), fate);
            }
        }
        Ok(imported)
    }

    /// All devices that the product has at its cloud.
    pub async fn import_from_cloud(&self, product_id: ProductId, effect: Effect) -> Result<Imported, ImportError> {
        self.existing_product(product_id).await?;
        let listed = self.app.cloud.list_devices(product_id).await?;
        // One that the cloud itself holds back has not been approved as the product's yet.
        let approved = listed
            .into_iter()
            .filter(|device| !device.quarantined)
            .map(ImportRequest::from);
        self.import_devices(product_id, approved.collect(), effect).await
    }

    async fn existing_product(&self, product_id: ProductId) -> Result<(), ImportError> {
        if !self.reaches(product_id) || self.app.store.product(product_id).await?.is_none() {
            return Err(ImportError::NotFound);
        }
        Ok(())
    }

    async fn import(&self, batch: &[NewDevice]) -> Result<Vec<Fate>, StoreError> {
        let imported = self
            .app
            .store
            .import_devices(batch, self.by, self.app.clock.now())
            .await?;
        Ok(imported.into_iter().map(Fate::from).collect())
    }

    async fn foretell(&self, batch: &[NewDevice]) -> Result<Vec<Fate>, StoreError> {
        let mut fates = Vec::with_capacity(batch.len());
        for device in batch {
            let known = match self.app.store.device_by_cloud_id(&device.cloud_device_id).await? {
                Some(device_id) => self.app.store.device(device_id).await?,
                None => None,
            };
            fates.push(match known {
                Some(known) if known.product_id == device.product_id => Fate::Existing(known.id),
                Some(_) => Fate::ElsewhereAlready,
                None => Fate::Created(None),
            });
        }
        Ok(fates)
    }
}

#[derive(Clone, Copy)]
enum Fate {
    Created(Option<DeviceId>),
    Existing(DeviceId),
    ElsewhereAlready,
}

impl From<DeviceImported> for Fate {
    fn from(imported: DeviceImported) -> Self {
        match imported {
            DeviceImported::Imported(device_id) => Self::Created(Some(device_id)),
            DeviceImported::Known(device_id) => Self::Existing(device_id),
            DeviceImported::ElsewhereAlready => Self::ElsewhereAlready,
        }
    }
}

impl Imported {
    fn add(&mut self, cloud_id: CloudDeviceId, fate: Fate) {
        match fate {
            Fate::Created(device_id) => self.created.push((cloud_id, device_id)),
            Fate::Existing(device_id) => self.existing.push((cloud_id, device_id)),
            Fate::ElsewhereAlready => self.invalid.push(InvalidDevice {
                cloud_id: cloud_id.to_string(),
                rule: ImportFault::ElsewhereAlready,
            }),
        }
    }
}

impl From<ListedDevice> for ImportRequest {
    fn from(device: ListedDevice) -> Self {
        Self {
            cloud_id: device.cloud_device_id.to_string(),
            name: device.name,
            credential: None,
        }
    }
}

/// Each device once, also if it was named twice; what cannot be one is put aside.
fn named(product_id: ProductId, requests: Vec<ImportRequest>, imported: &mut Imported) -> Vec<NewDevice> {
    let mut devices = BTreeMap::new();
    for request in requests {
        match CloudDeviceId::from_str(&request.cloud_id) {
            Ok(cloud_device_id) => {
                devices.entry(cloud_device_id.clone()).or_insert(NewDevice {
                    product_id,
                    cloud_device_id,
                    name: request.name.filter(|name| !name.is_empty()),
                    credential_digest: request.credential.as_deref().map(SecretDigest::of),
                });
            }
            Err(fault) => imported.invalid.push(InvalidDevice {
                cloud_id: request.cloud_id,
                rule: fault.into(),
            }),
        }
    }
    devices.into_values().collect()
}
