//! The devices that a customer may use, and of each just what the customer may use.

use std::sync::Arc;

use ostler_core::caller::Caller;
use ostler_core::contract::FunctionContract;
use ostler_core::grant::Grant;
use ostler_core::grant::GrantSource;
use ostler_core::id::DeviceId;
use ostler_core::mapping::KeyMapping;
use ostler_core::policy::{Denied, DeviceFacts, DeviceSight, Presence, Title, authorize_sight};
use ostler_core::product::{Product, VariableDeclaration};
use ostler_core::time::Timestamp;
use ostler_store::{DeviceRecord, Renamed, StoreError};

pub use ostler_store::{Listed, Page};

use crate::App;

/// A device through the eyes of its customer.
#[derive(Debug, Clone)]
pub struct DeviceView {
    pub id: DeviceId,
    pub name: Option<String>,
    pub notes: Option<String>,
    pub presence: Presence,
    pub last_heard: Option<Timestamp>,
    product: Arc<Product>,
    sight: DeviceSight,
}

impl DeviceView {
    pub fn product(&self) -> &Product {
        &self.product
    }

    pub fn functions(&self) -> impl Iterator<Item = &FunctionContract> {
        self.product
            .declaration
            .functions
            .values()
            .filter(|contract| self.sight.may_call(contract))
    }

    pub fn variables(&self) -> impl Iterator<Item = &VariableDeclaration> {
        self.product
            .declaration
            .variables
            .values()
            .filter(|variable| self.sight.may_read(&variable.name))
    }

    pub fn keys(&self) -> impl Iterator<Item = &KeyMapping> {
        self.product
            .declaration
            .keys()
            .filter(|mapping| self.sight.may_see_key(&mapping.key))
    }

    pub fn grants(&self) -> &[Arc<Grant>] {
        self.sight.grants()
    }
}

/// A device that the caller may see, and what of it.
struct Sighted {
    device: DeviceFacts,
    sight: DeviceSight,
}

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("there is no such device for this caller")]
    NotFound,
    #[error("the device is held by another grant than ownership")]
    NotTheOwner,
    #[error("{member} is too long, or has control characters")]
    TooLong { member: &'static str, max: usize },
    #[error("the device could not be read")]
    Store(#[from] StoreError),
}

impl From<Denied> for DeviceError {
    /// Sight is denied for one reason only.
    fn from(_: Denied) -> Self {
        Self::NotFound
    }
}

/// What an owner may say anew; `None` leaves as it is, an empty text takes it away.
#[derive(Debug, Clone, Default)]
pub struct DeviceChange {
    pub name: Option<String>,
    pub notes: Option<String>,
}

const NAME_BYTES_MAX: usize = 100;
const NOTES_BYTES_MAX: usize = 2000;

impl DeviceChange {
    fn check(&self) -> Result<(), DeviceError> {
        let members = [
            ("name", &self.name, NAME_BYTES_MAX),
            ("notes", &self.notes, NOTES_BYTES_MAX),
        ];
        for (member, text, max) in members {
            let fits = |text: &String| text.len() <= max && !text.chars().any(char::is_control);
            if !text.as_ref().is_none_or(fits) {
                return Err(DeviceError::TooLong { member, max });
            }
        }
        Ok(())
    }
}

impl App {
    pub async fn devices(&self, caller: &Caller, page: Page<DeviceId>) -> Result<Listed<DeviceView>, DeviceError> {
        let now = self.clock.now();
        let customer_id = caller.customer_id().ok_or(DeviceError::NotFound)?;
        let listed = self.store.customer_devices(customer_id, page, now).await?;
        let mut items = Vec::with_capacity(listed.items.len());
        for record in listed.items {
            match self.sighted(caller, record.id, now).await {
                Ok(sighted) => items.push(self.view(sighted, record)),
                // A grant that ended between the list and the look.
                Err(DeviceError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Listed {
            items,
            more: listed.more,
        })
    }

    pub async fn device(&self, caller: &Caller, device_id: DeviceId) -> Result<DeviceView, DeviceError> {
        // Read only for those who may see it: how long that takes depends on what the device just said.
        let sighted = self.sighted(caller, device_id, self.clock.now()).await?;
        let record = self.store.device(device_id).await?.ok_or(DeviceError::NotFound)?;
        Ok(self.view(sighted, record))
    }

    /// The name is the device's, not one customer's: only its owner may change it.
    pub async fn change_device(
        &self,
        caller: &Caller,
        device_id: DeviceId,
        change: DeviceChange,
    ) -> Result<DeviceView, DeviceError> {
        let device = self.device(caller, device_id).await?;
        if !device.grants().iter().any(|grant| grant.source == GrantSource::Owner) {
            return Err(DeviceError::NotTheOwner);
        }
        change.check()?;
        let renamed = Renamed {
            name: change.name,
            notes: change.notes,
            time_zone: None,
        };
        self.store
            .rename_device(device_id, &renamed, crate::actor(caller), self.clock.now())
            .await?;
        self.device(caller, device_id).await
    }

    async fn sighted(&self, caller: &Caller, device_id: DeviceId, now: Timestamp) -> Result<Sighted, DeviceError> {
        let facts = self
            .store
            .facts(caller.customer_id(), device_id, None, self.clock.instant())
            .await?;
        let sight = authorize_sight(caller, Title::of(caller, None), &facts, now)?;
        let device = facts.device.ok_or(DeviceError::NotFound)?;
        Ok(Sighted { device, sight })
    }

    fn view(&self, Sighted { device, sight }: Sighted, record: DeviceRecord) -> DeviceView {
        let is_current = self.presence_is_current(device.product.id);
        DeviceView {
            id: device.id,
            name: record.name,
            notes: record.notes,
            presence: if is_current { device.presence } else { Presence::Unknown },
            last_heard: record.last_heard_at,
            product: device.product,
            sight,
        }
    }
}
