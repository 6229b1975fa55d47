//! Faults on demand: what a sick or unlucky cloud does (reference §14). A fault stands until it is
//! taken back or has struck `times` times. Which code path it strikes is decided there, not here.

use serde::{Deserialize, Serialize};

use crate::id::DeviceId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Every answer (of one device's routes, if it is named) comes `ms` later.
    Latency,
    /// The device has no connection and the cloud knows it.
    Offline,
    /// The cloud believes the device online; it is silent. 408 after `ms` (default 30 s).
    Stale,
    /// The device acts; its answer is lost. 408 after `ms` (default 30 s).
    ExecuteThenTimeout,
    /// Requests are answered with `status` (default 500) and nothing is done.
    Status,
    /// The edge proxy answers 502 with HTML.
    EdgeError,
    /// Streams stay open and carry nothing, not even heartbeats.
    DeafStream,
    /// Open streams are closed now, and new ones as soon as they open (after `ms`).
    DropStream,
    /// Webhooks are delivered twice.
    DuplicateHooks,
    /// A webhook waits `ms` (default 2 s), so that later ones overtake it.
    ReorderHooks,
    /// Every token that can expire has expired. Strikes once, when it is added.
    ExpireTokens,
    /// 429.
    RateLimit,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub fault: FaultKind,
    #[serde(default)]
    pub cloud_id: Option<DeviceId>,
    #[serde(default)]
    pub ms: Option<u64>,
    #[serde(default)]
    pub status: Option<u16>,
    #[serde(default)]
    pub times: Option<u32>,
}

impl Fault {
    pub fn new(fault: FaultKind) -> Self {
        Self {
            fault,
            cloud_id: None,
            ms: None,
            status: None,
            times: None,
        }
    }

    pub fn on(mut self, device: &DeviceId) -> Self {
        self.cloud_id = Some(device.clone());
        self
    }

    pub fn for_ms(mut self, ms: u64) -> Self {
        self.ms = Some(ms);
        self
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    fn strikes(&self, kind: FaultKind, device: Option<&DeviceId>) -> bool {
        self.fault == kind && (self.cloud_id.is_none() || self.cloud_id.as_ref() == device)
    }
}

/// The faults that stand now.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    standing: Vec<(u64, Fault)>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.last_id += 1;
        self.standing.push((self.last_id, fault));
        self.last_id
    }

    /// An id for a fault that strikes at once and leaves nothing standing.
    pub(crate) fn note(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn clear(&mut self, id: u64) -> bool {
        let before = self.standing.len();
        self.standing.retain(|(one, _)| *one != id);
        self.standing.len() < before
    }

    pub(crate) fn clear_all(&mut self) {
        self.standing.clear();
    }

    /// Whether it would strike; looking costs none of its `times`.
    pub(crate) fn stands(&self, kind: FaultKind, device: Option<&DeviceId>) -> bool {
        self.standing.iter().any(|(_, fault)| fault.strikes(kind, device))
    }

    /// Lets the oldest such fault strike once.
    pub(crate) fn strike(&mut self, kind: FaultKind, device: Option<&DeviceId>) -> Option<Fault> {
        let place = self
            .standing
            .iter()
            .position(|(_, fault)| fault.strikes(kind, device))?;
        let fault = self.standing[place].1.clone();
        if let Some(times) = &mut self.standing[place].1.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.standing.remove(place);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_with_times_strikes_that_often() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::RateLimit).times(2));
        assert!(faults.stands(FaultKind::RateLimit, None));
        assert!(faults.strike(FaultKind::RateLimit, None).is_some());
        assert!(faults.strike(FaultKind::RateLimit, None).is_some());
        assert!(faults.strike(FaultKind::RateLimit, None).is_none());
    }

    #[test]
    fn a_fault_of_one_device_spares_the_others() {
        let (sick, well) = (DeviceId::new("aa"), DeviceId::new("bb"));
        let mut faults = Faults::default();
        let id = faults.add(Fault::new(FaultKind::Offline).on(&sick));
        assert!(faults.stands(FaultKind::Offline, Some(&sick)));
        assert!(!faults.stands(FaultKind::Offline, Some(&well)));
        assert!(!faults.stands(FaultKind::Offline, None));
        assert!(faults.clear(id));
        assert!(!faults.clear(id));
        assert!(!faults.stands(FaultKind::Offline, Some(&sick)));
    }
}
