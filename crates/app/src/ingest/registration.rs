//! The first start of a device (S5): it reports its id with a hardware credential. The first
//! report registers it; every later one changes nothing.
//!
//! The credential is derived from the product's registration key, or was imported for this device
//! alone. At the event doors the cloud vouches for the id; at the open address nobody does, so
//! failures there use up a budget.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ostler_core::id::{CloudDeviceId, DeviceId, ProductId};
use ostler_core::registration::{CREDENTIAL_BYTES_MAX, RegistrationKey};
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;
use ostler_store::{DeviceRegistered, StoreError};

use crate::App;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    First(DeviceId),
    Again(DeviceId),
}

#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Unknown product, or a credential that is not this device's: nobody learns which.
    #[error("the credential is not one of such a device")]
    Refused,
    #[error("too many registrations have failed")]
    TooManyFailures { retry_after: Duration },
    #[error("the device belongs to another product")]
    Elsewhere,
    #[error("the registration could not be recorded")]
    Store(#[from] StoreError),
}

impl App {
    /// `POST /ingest/registrations/{slug}`, which anybody can reach.
    pub async fn register_device(
        &self,
        slug: &str,
        cloud_device_id: &CloudDeviceId,
        credential: &str,
    ) -> Result<Registered, RegistrationError> {
        let product_id = self.product_of_door(slug).await?;
        self.ingest.failures.check(product_id, self.clock.instant())?;
        let registered = self
            .register(product_id, cloud_device_id, credential, self.clock.now())
            .await;
        if matches!(registered, Err(RegistrationError::Refused)) {
            self.ingest.failures.spend(product_id, self.clock.instant());
            metrics::counter!("ostler_registrations_total", "fate" => "refused").increment(1);
        }
        registered
    }

    pub(super) async fn register_by_event(
        &self,
        product_id: ProductId,
        cloud_device_id: &CloudDeviceId,
        credential: &str,
        now: Timestamp,
    ) -> Result<(), RegistrationError> {
        self.register(Some(product_id), cloud_device_id, credential, now)
            .await
            .map(|_| ())
    }

    async fn register(
        &self,
        product_id: Option<ProductId>,
        cloud_device_id: &CloudDeviceId,
        credential: &str,
        now: Timestamp,
    ) -> Result<Registered, RegistrationError> {
        let proven = self.verify(product_id, cloud_device_id, credential).await?;
        let product_id = product_id.filter(|_| proven).ok_or(RegistrationError::Refused)?;
        match self.store.register_device(product_id, cloud_device_id, now).await? {
            DeviceRegistered::First(device_id) => {
                tracing::info!(device.id = %device_id, "a device registered itself");
                metrics::counter!("ostler_registrations_total", "fate" => "first").increment(1);
                Ok(Registered::First(device_id))
            }
            DeviceRegistered::Again(device_id) => {
                metrics::counter!("ostler_registrations_total", "fate" => "again").increment(1);
                Ok(Registered::Again(device_id))
            }
            DeviceRegistered::ElsewhereAlready => Err(RegistrationError::Elsewhere),
        }
    }

    /// The same work whether there is such a product or device, or not.
    async fn verify(
        &self,
        product_id: Option<ProductId>,
        cloud_device_id: &CloudDeviceId,
        credential: &str,
    ) -> Result<bool, StoreError> {
        if credential.is_empty() || credential.len() > CREDENTIAL_BYTES_MAX {
            return Ok(false);
        }
        let (key, imported) = match product_id {
            Some(product_id) => (
                self.store.registration_key(product_id).await?,
                self.store.device_credential(product_id, cloud_device_id).await?,
            ),
            None => (None, None),
        };
        // Under the key of no product nothing is proven, but the work is the same; the caller knows.
        let key = key.unwrap_or_else(|| RegistrationKey::from_bytes([0; 32]));
        let derived = key.verifies(cloud_device_id, credential);
        let own = imported.is_some_and(|digest| SecretDigest::of(credential).matches(&digest));
        Ok(derived | own)
    }
}

/// How many failures one product's open address takes in [`WINDOW`].
const FAILURES_MAX: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// Failures per product; all addresses that name no product share one budget.
#[derive(Default)]
pub(super) struct FailureBudgets(Mutex<HashMap<Option<ProductId>, Failures>>);

#[derive(Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

impl FailureBudgets {
    fn check(&self, product_id: Option<ProductId>, now: Instant) -> Result<(), RegistrationError> {
        let spent = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&product_id)
            .copied();
        match spent
            .filter(|failures| failures.count >= FAILURES_MAX)
            .map(|failures| failures.since + WINDOW)
        {
            Some(until) if now < until => Err(RegistrationError::TooManyFailures {
                retry_after: until - now,
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn spend(&self, product_id: Option<ProductId>, now: Instant) {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = budgets.entry(product_id).or_insert(Failures { since: now, count: 0 });
        if now.saturating_duration_since(failures.since) >= WINDOW {
            *failures = Failures { since: now, count: 0 };
        }
        failures.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from a number")]
    fn a_spent_budget_comes_back_after_its_window() {
        let budgets = FailureBudgets::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(budgets.check(None, start).is_ok());
            budgets.spend(None, start);
        }
        let refused = budgets.check(None, start + Duration::from_secs(20));
        let Err(RegistrationError::TooManyFailures { retry_after }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(retry_after, Duration::from_secs(40));
        assert!(budgets.check(None, start + WINDOW).is_ok());
    }
}
