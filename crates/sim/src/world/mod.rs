//! Everything the simulated cloud knows, behind one lock. The registry is what must outlive a crash
//! (who exists, who owns what); the rest is of the moment (open streams, faults, limits, journal).
//! No I/O happens in here, but for the journal's line per act.

mod access;
mod account;
mod claim;
mod device;
mod product;
mod seeding;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

pub(crate) use access::{Caller, Scope};
pub(crate) use account::{
    ApiUser, Client, ClientHome, ClientKind, Customer, DEFAULT_LIFE_S, MintedToken, Principal, Token, TokenLife, User,
    WELL_KNOWN_CLIENTS,
};
pub(crate) use device::{Commissioning, Device, DeviceView, Link, Owner, Standing};
pub(crate) use product::{Product, ProductRole};
pub(crate) use seeding::{Birth, device_id};

use crate::clock::SimClock;
use crate::config::SimConfig;
use crate::device::{Publication, noise};
use crate::event::{Bus, Event, Origin};
use crate::faults::{FaultKind, Faults};
use crate::hooks::HookJob;
use crate::id::{CustomerId, DeviceId, HookId, ProductId, UserId};
use crate::journal::Journal;
use crate::limits::Limits;
use crate::persist::Found;

const SOURCES_REMEMBERED_MAX: usize = 50_000;

/// The durable part, written to the state file as it stands.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Registry {
    pub users: BTreeMap<UserId, User>,
    pub customers: BTreeMap<CustomerId, Customer>,
    pub clients: BTreeMap<String, Client>,
    pub api_users: BTreeMap<String, ApiUser>,
    pub products: BTreeMap<ProductId, Product>,
    pub devices: BTreeMap<DeviceId, Device>,
    pub tokens: BTreeMap<String, Token>,
    pub claim_codes: BTreeMap<String, ClaimCode>,
    pub hooks: BTreeMap<HookId, Hook>,
    pub events_published: u64,
}

/// Waiting for a device that presents it at its next handshake.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClaimCode {
    pub owner: Owner,
    pub expires_at: i64,
}

/// A webhook as it was declared; `hooks` reads its fields when it fires.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub id: HookId,
    pub home: ClientHome,
    pub fields: Map<String, Value>,
    pub created_at: i64,
    pub sent: u64,
    pub failed: u64,
}

pub(crate) struct World {
    pub config: Arc<SimConfig>,
    pub clock: SimClock,
    pub registry: Registry,
    pub faults: Faults,
    pub limits: Limits,
    pub journal: Journal,
    pub bus: Bus,
    /// Second factors that wait for their one-time password.
    pub mfa_waiting: BTreeMap<String, UserId>,
    /// When each source last published under each name.
    published: HashMap<(String, String), i64>,
    hook_jobs: mpsc::Sender<HookJob>,
    chance: StdRng,
}

impl World {
    pub(crate) fn new(
        config: Arc<SimConfig>,
        clock: SimClock,
        found: Found,
        hook_jobs: mpsc::Sender<HookJob>,
        chance: StdRng,
    ) -> Self {
        let is_new = found.registry.is_none();
        let mut world = Self {
            config,
            clock,
            registry: found.registry.unwrap_or_default(),
            faults: Faults::default(),
            limits: Limits::default(),
            journal: found.journal,
            bus: Bus::default(),
            mfa_waiting: BTreeMap::new(),
            published: HashMap::new(),
            hook_jobs,
            chance,
        };
        if is_new {
            world.seed();
        } else if !world.clock.is_simulated() {
            world.wake_one_by_one();
        }
        world
    }

    /// After a restart everybody is overdue; they must not speak in chorus from now on.
    fn wake_one_by_one(&mut self) {
        let now = self.now();
        for device in self.registry.devices.values_mut() {
            device.next_turn_at = now + (device.seed % 5_000) as i64;
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// So many lower-case hexadecimal digits that nobody can foresee.
    pub(crate) fn random_hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(digits + 1);
        while text.len() < digits {
            write!(text, "{:02x}", self.chance.next_u32() as u8).expect("writing to a String cannot fail");
        }
        text.truncate(digits);
        text
    }

    /// Below `bound`; for numbers in names, where a small bias does no harm.
    pub(crate) fn random_below(&mut self, bound: u32) -> u32 {
        self.chance.next_u32() % bound
    }

    /// Gives the event its id and hands it to streams and webhooks.
    pub(crate) fn emit(&mut self, mut event: NewEvent) {
        event.published_at = self.distinct_time(&event);
        self.registry.events_published += 1;
        let position = self.registry.events_published;
        let (high, low) = (
            noise::mix(self.config.seed, position),
            noise::mix(self.config.seed ^ event.published_at as u64, position),
        );
        let event = Arc::new(Event {
            id: format!("{high:016x}{low:016x}"),
            name: event.name,
            data: event.data,
            ttl: event.ttl,
            published_at: event.published_at,
            coreid: event.coreid,
            origin: event.origin,
            product_id: event.product_id,
            firmware_version: event.firmware_version,
            private: event.private,
            owner: event.owner,
        });
        self.bus.deliver(&event);
        self.fire_hooks(&event);
    }

    /// Two events of one source and name never carry the same time, though both came within one
    /// millisecond or while the simulated clock stood still: readers tell redeliveries by it.
    fn distinct_time(&mut self, event: &NewEvent) -> i64 {
        if self.published.len() > SOURCES_REMEMBERED_MAX {
            self.published.retain(|_, at| *at >= event.published_at);
        }
        let last = self
            .published
            .entry((event.coreid.clone(), event.name.clone()))
            .or_insert(i64::MIN);
        *last = event.published_at.max(last.saturating_add(1));
        *last
    }

    fn fire_hooks(&self, event: &Arc<Event>) {
        if matches!(event.origin, Origin::Hook(_)) {
            return;
        }
        for hook in self.registry.hooks.values().filter(|hook| hook.wants(event)) {
            let job = HookJob {
                hook: hook.clone(),
                event: Arc::clone(event),
            };
            if self.hook_jobs.try_send(job).is_err() {
                // As at the vendor: what cannot be delivered is dropped, and only the log knows.
                tracing::warn!(hook.id = %hook.id, "webhook queue is full, event dropped");
            }
        }
    }

    /// Whether the cloud can reach the device now, injected faults included.
    pub(crate) fn is_online(&self, device: &Device) -> bool {
        device.link.is_up() && !self.faults.stands(FaultKind::Offline, Some(&device.id))
    }

    /// What firmware has published reaches the cloud, or waits in the device's store.
    pub(crate) fn publish_from(&mut self, id: &DeviceId, publications: Vec<Publication>, at_ms: i64) {
        let Some(device) = self.registry.devices.get(id) else {
            return;
        };
        let online = self.is_online(device);
        for publication in publications {
            if online {
                self.emit_from_device(id, &publication.name, Some(publication.data), at_ms);
            } else if publication.stored_offline
                && let Some(device) = self.registry.devices.get_mut(id)
            {
                device.store(publication);
            }
        }
    }

    pub(crate) fn emit_from_device(&mut self, id: &DeviceId, name: &str, data: Option<String>, at_ms: i64) {
        let Some(device) = self.registry.devices.get_mut(id) else {
            return;
        };
        device.last_heard_at = Some(at_ms);
        let event = NewEvent {
            name: name.to_owned(),
            data,
            ttl: 60,
            published_at: at_ms,
            coreid: id.to_string(),
            origin: Origin::Device(id.clone()),
            product_id: device.product_id,
            firmware_version: device.firmware_version,
            private: true,
            owner: device.owner.clone(),
        };
        self.emit(event);
    }
}

/// An event before the cloud has numbered it.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub name: String,
    pub data: Option<String>,
    pub ttl: u32,
    pub published_at: i64,
    pub coreid: String,
    pub origin: Origin,
    pub product_id: Option<ProductId>,
    pub firmware_version: u16,
    pub private: bool,
    pub owner: Option<Owner>,
}
