//! Reads a device's variable through the cloud, or answers with the last reading if that is young
//! enough for whoever asks. Rights are judged either way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ostler_core::caller::Caller;
use ostler_core::id::DeviceId;
use ostler_core::name::VariableName;
use ostler_core::policy::{Denied, Presence, Title, authorize_read};
use ostler_core::time::Timestamp;
use ostler_store::StoreError;

use crate::App;
use crate::device_cloud::ReadOutcome;
use crate::permits::{Basis, JUDGED_AT_MOST, Judged, before_judging_again};

/// How long a device is given to answer.
const DEADLINE: Duration = Duration::from_secs(35);

#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub value: serde_json::Value,
    pub observed_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadVariableError {
    #[error("the variable may not be read: {denied}")]
    Denied { denied: Denied, at: Timestamp },
    #[error("the device is offline")]
    DeviceOffline,
    #[error("the device did not answer")]
    NoAnswer,
    #[error("the device has no such variable")]
    Refused,
    #[error("the device cloud could not be asked")]
    CloudUnavailable { retry_after: Option<Duration> },
    #[error("the facts could not be read")]
    Store(#[from] StoreError),
}

impl App {
    pub async fn read_variable(
        &self,
        caller: &Caller,
        device_id: DeviceId,
        variable: &VariableName,
        max_age: Option<Duration>,
    ) -> Result<Reading, ReadVariableError> {
        for _ in 0..JUDGED_AT_MOST {
            if let Some(reading) = self.read_once(caller, device_id, variable, max_age).await? {
                return Ok(reading);
            }
            before_judging_again().await;
        }
        Err(ReadVariableError::CloudUnavailable { retry_after: None })
    }

    /// `None` if the permit lapsed before the request left: rights must be judged again.
    async fn read_once(
        &self,
        caller: &Caller,
        device_id: DeviceId,
        variable: &VariableName,
        max_age: Option<Duration>,
    ) -> Result<Option<Reading>, ReadVariableError> {
        let slot = self.permits.open(&*self.clock);
        let facts = self
            .facts_for(caller, caller.customer_id(), device_id, None, slot.opened_at())
            .await?;
        let now = self.clock.now();
        let title = Title::of(caller, None);
        let permit = authorize_read(variable, caller, title, &facts, now)
            .map_err(|denied| ReadVariableError::Denied { denied, at: now })?;
        slot.judged(Judged {
            ticket: Arc::clone(permit.ticket()),
            basis: Basis {
                grant_id: permit.right().grant_id(),
                customer_id: caller.customer_id(),
                family_id: caller.family_id,
            },
            command_id: None,
        });
        if let Some(known) = max_age.and_then(|max_age| self.readings.recall(device_id, variable, now - max_age)) {
            return Ok(Some(known));
        }
        let offline = facts.device.is_some_and(|device| device.presence == Presence::Offline);
        if offline && self.presence_is_current(permit.product_id()) {
            return Err(ReadVariableError::DeviceOffline);
        }
        match self.cloud.read_variable(&permit, DEADLINE).await {
            ReadOutcome::Value(value) => {
                let reading = Reading {
                    value,
                    observed_at: self.clock.now(),
                };
                self.readings.remember(device_id, variable, &reading);
                Ok(Some(reading))
            }
            ReadOutcome::PermitLapsed => Ok(None),
            ReadOutcome::DeviceOffline => Err(ReadVariableError::DeviceOffline),
            ReadOutcome::NoAnswer => Err(ReadVariableError::NoAnswer),
            ReadOutcome::VariableUnknown => Err(ReadVariableError::Refused),
            ReadOutcome::Unavailable => Err(ReadVariableError::CloudUnavailable { retry_after: None }),
            ReadOutcome::RateLimited { retry_after } => Err(ReadVariableError::CloudUnavailable { retry_after }),
        }
    }
}

/// The last reading of each variable, for those who say how old it may be.
#[derive(Default)]
pub(crate) struct Readings(Mutex<HashMap<(DeviceId, VariableName), Reading>>);

/// A bound for memory. Past it everything is forgotten at once: that is simple, and costs a few
/// reads that would have been saved.
const READINGS_MAX: usize = 50_000;

impl Readings {
    fn recall(&self, device_id: DeviceId, variable: &VariableName, oldest: Timestamp) -> Option<Reading> {
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings
            .get(&(device_id, variable.clone()))
            .filter(|reading| reading.observed_at >= oldest)
            .cloned()
    }

    fn remember(&self, device_id: DeviceId, variable: &VariableName, reading: &Reading) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() >= READINGS_MAX {
            readings.clear();
        }
        readings.insert((device_id, variable.clone()), reading.clone());
    }
}
