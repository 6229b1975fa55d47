//! On SQLite: tokens and rights in memory, so that the hot path asks no database.
//!
//! This process is the only writer, and each commit changes the model before anybody is answered
//! and before the next commit begins; so the model is what the database says. When a commit's
//! answer is lost, the model is distrusted and read anew before anything else is answered.
//! On PostgreSQL there is no model: other instances write, too.

mod held;
mod load;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use ostler_core::grant::Grant;
use ostler_core::id::{CloudDeviceId, CustomerId, DeviceId, GrantId, ProductId};
use ostler_core::name::FunctionName;
use ostler_core::policy::{DeviceFacts, Facts, Presence};
use ostler_core::product::Product;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use crate::id_map::IdMap;

pub(crate) use held::Model;
pub(crate) use load::load_products;
use tokens::TokenTable;
pub use tokens::{TokenFacts, TokensOf};

/// One step from what the database said before a commit to what it says after.
#[derive(Debug, Clone)]
pub enum Change {
    Product(Arc<Product>),
    Device(DeviceChange),
    Quarantine {
        device_id: DeviceId,
        quarantined: bool,
    },
    Presence {
        device_id: DeviceId,
        presence: Presence,
    },
    FunctionCalled {
        device_id: DeviceId,
        function: FunctionName,
        at: Timestamp,
    },
    /// A new grant, or a new version of one.
    Grant(Arc<Grant>),
    GrantEnded {
        grant_id: GrantId,
        customer_id: CustomerId,
        device_id: DeviceId,
    },
    TokenIssued(Arc<TokenFacts>),
    /// It has been used, so it no longer has anything to confirm.
    TokenConfirmed(SecretDigest),
    TokensEnded(TokensOf),
}

/// A device that is new, or whose product or cloud id changed.
#[derive(Debug, Clone)]
pub struct DeviceChange {
    pub device_id: DeviceId,
    pub product_id: ProductId,
    pub cloud_device_id: CloudDeviceId,
}

#[derive(Debug, Default, PartialEq)]
pub struct ReadModel {
    products: IdMap<ProductId, ProductEntry>,
    devices: IdMap<DeviceId, DeviceEntry>,
    devices_by_cloud_id: HashMap<CloudDeviceId, DeviceId>,
    grants: IdMap<(CustomerId, DeviceId), Vec<Arc<Grant>>>,
    tokens: TokenTable,
}

/// Products compare by version: a version never changes.
#[derive(Debug)]
struct ProductEntry(Arc<Product>);

impl PartialEq for ProductEntry {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.version == other.0.version
    }
}

#[derive(Debug, PartialEq)]
struct DeviceEntry {
    product_id: ProductId,
    cloud_device_id: CloudDeviceId,
    quarantined: bool,
    presence: Presence,
    last_called_at: BTreeMap<FunctionName, Timestamp>,
}

impl ReadModel {
    /// What a decision about one device rests on. The same steps whether it exists or not (P8).
    pub fn facts(
        &self,
        customer_id: Option<CustomerId>,
        device_id: DeviceId,
        function: Option<&FunctionName>,
        read_after: Instant,
    ) -> Facts {
        let device = self.devices.get(&device_id);
        let grants = customer_id.and_then(|customer_id| self.grants.get(&(customer_id, device_id)));
        Facts {
            device: device.and_then(|entry| self.device_facts(device_id, entry)),
            grants: grants.cloned().unwrap_or_default(),
            last_called_at: device
                .zip(function)
                .and_then(|(entry, function)| entry.last_called_at.get(function).copied()),
            read_after,
        }
    }

    pub fn token(&self, digest: &SecretDigest, now: Timestamp) -> Option<&Arc<TokenFacts>> {
        self.tokens.get(digest).filter(|token| now < token.expires_at)
    }

    pub fn device_by_cloud_id(&self, cloud_device_id: &CloudDeviceId) -> Option<DeviceFacts> {
        let device_id = self.devices_by_cloud_id.get(cloud_device_id)?;
        self.device_facts(*device_id, self.devices.get(device_id)?)
    }

    pub fn product(&self, product_id: ProductId) -> Option<&Arc<Product>> {
        self.products.get(&product_id).map(|entry| &entry.0)
    }

    pub fn products(&self) -> impl Iterator<Item = &Arc<Product>> {
        self.products.values().map(|entry| &entry.0)
    }

    pub fn presence(&self, device_id: DeviceId) -> Option<Presence> {
        self.devices.get(&device_id).map(|entry| entry.presence)
    }

    fn device_facts(&self, id: DeviceId, entry: &DeviceEntry) -> Option<DeviceFacts> {
        Some(DeviceFacts {
            id,
            cloud_device_id: entry.cloud_device_id.clone(),
            product: Arc::clone(self.product(entry.product_id)?),
            quarantined: entry.quarantined,
            presence: entry.presence,
        })
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Product(product) => {
                self.products.insert(product.id, ProductEntry(product));
            }
            Change::Device(device) => self.put_device(device),
            Change::Quarantine { device_id, quarantined } => {
                self.with_device(device_id, |entry| entry.quarantined = quarantined);
            }
            Change::Presence { device_id, presence } => {
                self.with_device(device_id, |entry| entry.presence = presence);
            }
            Change::FunctionCalled {
                device_id,
                function,
                at,
            } => {
                self.with_device(device_id, |entry| {
                    entry.last_called_at.insert(function, at);
                });
            }
            Change::Grant(grant) => self.put_grant(grant),
            Change::GrantEnded {
                grant_id,
                customer_id,
                device_id,
            } => {
                self.remove_grant(grant_id, (customer_id, device_id));
            }
            Change::TokenIssued(token) => self.tokens.put(token),
            Change::TokenConfirmed(digest) => self.tokens.confirm(&digest),
            Change::TokensEnded(which) => self.tokens.end(which),
        }
    }

    fn with_device(&mut self, device_id: DeviceId, change: impl FnOnce(&mut DeviceEntry)) {
        if let Some(entry) = self.devices.get_mut(&device_id) {
            change(entry);
        }
    }

    fn put_device(&mut self, device: DeviceChange) {
        let DeviceChange {
            device_id,
            product_id,
            cloud_device_id,
        } = device;
        if let Some(entry) = self.devices.get_mut(&device_id) {
            self.devices_by_cloud_id.remove(&entry.cloud_device_id);
            entry.product_id = product_id;
            entry.cloud_device_id = cloud_device_id.clone();
        } else {
            self.devices.insert(
                device_id,
                DeviceEntry {
                    product_id,
                    cloud_device_id: cloud_device_id.clone(),
                    quarantined: false,
                    presence: Presence::Unknown,
                    last_called_at: BTreeMap::new(),
                },
            );
        }
        self.devices_by_cloud_id.insert(cloud_device_id, device_id);
    }

    /// Kept in the order of their ids, which is the order of their age: rebuilt or changed step by
    /// step, the model is the same.
    fn put_grant(&mut self, grant: Arc<Grant>) {
        let grants = self.grants.entry((grant.customer_id, grant.device_id)).or_default();
        match grants.binary_search_by_key(&grant.id, |known| known.id) {
            Ok(index) => grants[index] = grant,
            Err(index) => grants.insert(index, grant),
        }
    }

    fn remove_grant(&mut self, grant_id: GrantId, holder: (CustomerId, DeviceId)) {
        if let Some(grants) = self.grants.get_mut(&holder) {
            grants.retain(|grant| grant.id != grant_id);
            if grants.is_empty() {
                self.grants.remove(&holder);
            }
        }
    }
}
