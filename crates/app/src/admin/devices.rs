//! Devices as staff see them: with the cloud's id, whoever may use them.

use ostler_core::id::{DeviceId, ProductId};
use ostler_core::policy::Presence;
use ostler_store::{DeviceRecord, Listed, Page, Renamed, Said, StoreError};

use super::Desk;
use super::reach::merged;

/// A device with its presence as far as it is known now, which may be less than was last heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffDevice {
    pub record: DeviceRecord,
    pub presence: Presence,
}

#[derive(Debug, thiserror::Error)]
pub enum StaffDeviceError {
    #[error("there is no such device within reach")]
    NotFound,
    #[error("the time zone is not one of the IANA database")]
    UnknownTimeZone,
    #[error("the device could not be read or written")]
    Store(#[from] StoreError),
}

impl Desk<'_> {
    /// By id, which is by age.
    pub async fn devices(
        &self,
        product_id: Option<ProductId>,
        page: Page<DeviceId>,
    ) -> Result<Listed<StaffDevice>, StaffDeviceError> {
        let mut pages = Vec::new();
        for product_id in self.lists_to_ask(product_id) {
            pages.push(self.app.store.devices(product_id, page).await?);
        }
        let listed = merged(pages, page.limit, |one, other| one.id.cmp(&other.id));
        let items = listed.items.into_iter().map(|record| self.shown(record)).collect();
        Ok(Listed {
            items,
            more: listed.more,
        })
    }

    pub async fn device(&self, device_id: DeviceId) -> Result<StaffDevice, StaffDeviceError> {
        let record = self.app.store.device(device_id).await?;
        let record = record
            .filter(|record| self.reaches(record.product_id))
            .ok_or(StaffDeviceError::NotFound)?;
        Ok(self.shown(record))
    }

    /// An empty text removes what was there.
    pub async fn rename_device(&self, device_id: DeviceId, renamed: &Renamed) -> Result<StaffDevice, StaffDeviceError> {
        self.device(device_id).await?;
        let named = renamed.time_zone.as_deref().filter(|name| !name.is_empty());
        if named.is_some_and(|name| jiff::tz::TimeZone::get(name).is_err()) {
            return Err(StaffDeviceError::UnknownTimeZone);
        }
        self.app
            .store
            .rename_device(device_id, renamed, self.by, self.app.clock.now())
            .await?;
        self.device(device_id).await
    }

    /// Once this has answered, no call leaves for the device, whoever asks (P1): what had been allowed
    /// before is waited for. Repeating it changes nothing.
    pub async fn quarantine_device(
        &self,
        device_id: DeviceId,
        reason: String,
    ) -> Result<StaffDevice, StaffDeviceError> {
        self.set_quarantine(device_id, true, Some(reason)).await?;
        // Also when it stood in quarantine already: that answer may have been lost.
        self.app.permits.settle(&*self.app.clock).await;
        self.device(device_id).await
    }

    pub async fn release_device(&self, device_id: DeviceId) -> Result<StaffDevice, StaffDeviceError> {
        self.set_quarantine(device_id, false, None).await?;
        self.device(device_id).await
    }

    async fn set_quarantine(
        &self,
        device_id: DeviceId,
        quarantined: bool,
        reason: Option<String>,
    ) -> Result<(), StaffDeviceError> {
        self.device(device_id).await?;
        let said = Said { by: self.by, reason };
        self.app
            .store
            .quarantine_device(device_id, quarantined, &said, self.app.clock.now())
            .await?;
        Ok(())
    }

    fn shown(&self, record: DeviceRecord) -> StaffDevice {
        let presence = if self.app.presence_is_current(record.product_id) {
            record.presence
        } else {
            Presence::Unknown
        };
        StaffDevice { record, presence }
    }
}
