//! The product's devices as the cloud knows them: one, or all of them page after page (§5).

use std::collections::BTreeMap;

use ostler_app::device_cloud::{CloudError, ListedDevice};
use ostler_core::id::CloudDeviceId;
use tracing::warn;

use crate::address::ApiPath;
use crate::connection::Connection;
use crate::request::{CloudRequest, Purpose};
use crate::wire;

const PER_PAGE: &str = "100";

/// A cloud that never says where its list ends is not followed for ever.
const PAGES_MAX: u32 = 10_000;

impl Connection {
    /// `/v1/products/{product}/devices/{id}`; the device always by its id, never by a name.
    pub(crate) fn device_path(&self, id: &CloudDeviceId) -> ApiPath {
        self.product.path().segment("devices").segment(id.as_str())
    }

    pub(crate) async fn device(&self, id: &CloudDeviceId) -> Result<wire::Device, CloudError> {
        let request = CloudRequest::get(Purpose::Device, self.device_path(id));
        Ok(self.exchange(&request).await?.json()?)
    }

    /// `None` if it cannot be found out now.
    pub(crate) async fn knows_device(&self, id: &CloudDeviceId) -> Option<bool> {
        match self.device(id).await {
            Ok(_) => Some(true),
            Err(CloudError::Refused { status: 403 | 404 }) => Some(false),
            Err(
                CloudError::Refused { .. }
                | CloudError::NotConnected
                | CloudError::CredentialRejected
                | CloudError::Unreachable
                | CloudError::RateLimited { .. }
                | CloudError::Unreadable,
            ) => None,
        }
    }

    /// While pages are turned the order may change: a device that shows up twice counts once.
    pub(crate) async fn list_devices(&self) -> Result<Vec<ListedDevice>, CloudError> {
        let mut devices = BTreeMap::new();
        for page in 1..=PAGES_MAX {
            let listed = self.device_page(page, PER_PAGE).await?;
            let pages = listed.meta.and_then(|meta| meta.total_pages);
            let is_empty = listed.devices.is_empty();
            for device in listed.devices {
                match listed_device(device) {
                    Some(device) => {
                        devices.insert(device.cloud_device_id.clone(), device);
                    }
                    None => warn!("the device cloud lists a device whose id cannot be read; it is left out"),
                }
            }
            if is_empty || pages.is_none_or(|pages| page >= pages) {
                break;
            }
        }
        Ok(devices.into_values().collect())
    }

    pub(crate) async fn device_page(&self, page: u32, per_page: &str) -> Result<wire::DevicePage, CloudError> {
        let path = self.product.path().segment("devices");
        // Both spellings occur (§5.2); the order is fixed so that pages do not run into each other.
        let path = path
            .query("page", &page.to_string())
            .query("per_page", per_page)
            .query("perPage", per_page)
            .query("sortAttr", "deviceId")
            .query("sortDir", "asc");
        let request = CloudRequest::get(Purpose::Devices, path);
        Ok(self.exchange(&request).await?.json()?)
    }
}

fn listed_device(device: wire::Device) -> Option<ListedDevice> {
    let cloud_device_id = device.id.as_deref()?.parse().ok()?;
    Some(ListedDevice {
        cloud_device_id,
        name: device.name,
        online: device.online.or(device.connected),
        last_heard: device.last_heard.and_then(|text| text.parse().ok()),
        owned: device.owner.is_some() || device.user_id.is_some() || device.customer_id.is_some(),
        quarantined: device.quarantined.unwrap_or(false),
    })
}
