//! Lets the devices live: runs their loops when they are due, carries their connections up and down,
//! executes functions on them. In simulated time it steps from one due moment to the next, so that a
//! run depends on the seed and the advances only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::device::Loop;
use crate::faults::FaultKind;
use crate::id::DeviceId;
use crate::journal::{Act, CredentialKind};
use crate::world::{Commissioning, World};

/// How a device reports itself on its first start.
const REGISTRATION_EVENT: &str = "ostler/register";
/// A device that cannot run now is looked at again after this time.
const RESTING_MS: i64 = 5_000;

impl World {
    /// Runs all loops that are due by now, once: what was missed while the process slept or was not
    /// there is not made up for.
    pub(crate) fn run_due(&mut self) {
        let now = self.now();
        let due: Vec<DeviceId> = self
            .registry
            .devices
            .values()
            .filter(|device| device.next_turn_at <= now)
            .map(|device| device.id.clone())
            .collect();
        for id in due {
            self.turn(&id, now);
        }
    }

    /// Moves the clock. Simulated devices live through the time; real ones wake up later.
    pub(crate) fn advance(&mut self, by_ms: i64) {
        if self.clock.is_simulated() {
            self.live_until(self.now() + by_ms);
            return;
        }
        self.clock.advance(by_ms);
        for device in self.registry.devices.values_mut() {
            device.next_turn_at += by_ms;
        }
    }

    /// Turn by turn, in the order of time; those of one moment in the order of their ids.
    fn live_until(&mut self, target: i64) {
        let mut waiting: BinaryHeap<Reverse<(i64, DeviceId)>> = self
            .registry
            .devices
            .values()
            .map(|device| Reverse((device.next_turn_at, device.id.clone())))
            .collect();
        while let Some(Reverse((due_at, id))) = waiting.pop().filter(|next| next.0.0 <= target) {
            self.clock.advance((due_at - self.now()).max(0));
            self.turn(&id, due_at);
            let next = self.registry.devices.get(&id).map(|device| device.next_turn_at);
            waiting.extend(next.map(|at| Reverse((at, id))));
        }
        self.clock.advance(target - self.now());
    }

    fn turn(&mut self, id: &DeviceId, at_ms: i64) {
        self.follow_coverage(id, at_ms);
        let Some(device) = self.registry.devices.get_mut(id) else {
            return;
        };
        if device.commissioning == Commissioning::FactoryFresh {
            device.next_turn_at = at_ms + RESTING_MS;
            return;
        }
        let mut published = Vec::new();
        let mut turn = Loop {
            now_ms: at_ms,
            seed: device.seed,
            published: &mut published,
        };
        device.next_turn_at = device.firmware.tick(&mut turn);
        if !self.faults.stands(FaultKind::Stale, Some(id)) {
            self.publish_from(id, published, at_ms);
        }
    }

    fn follow_coverage(&mut self, id: &DeviceId, at_ms: i64) {
        let Some(device) = self.registry.devices.get(id) else {
            return;
        };
        let out_of_coverage = !device.firmware.has_coverage(at_ms, device.seed);
        self.change_link(id, at_ms, |link| link.out_of_coverage = out_of_coverage);
    }

    /// False if there is no such device.
    pub(crate) fn switch(&mut self, id: &DeviceId, online: bool) -> bool {
        let now = self.now();
        self.change_link(id, now, |link| link.switched_off = !online)
    }

    fn change_link(&mut self, id: &DeviceId, at_ms: i64, change: impl FnOnce(&mut crate::world::Link)) -> bool {
        let Some(device) = self.registry.devices.get_mut(id) else {
            return false;
        };
        let was_up = device.link.is_up();
        change(&mut device.link);
        match (was_up, device.link.is_up()) {
            (false, true) => self.handshake(id, at_ms),
            (true, false) => self.emit_presence(id, "offline", at_ms),
            (true, true) | (false, false) => {}
        }
        true
    }

    /// A connection begins: presence, claim code, registration, and what waited in the store, with
    /// its old device time.
    fn handshake(&mut self, id: &DeviceId, at_ms: i64) {
        let Some(device) = self.registry.devices.get_mut(id) else {
            return;
        };
        device.last_handshake_at = Some(at_ms);
        let stored: Vec<_> = device.stored.drain(..).collect();
        self.redeem_claim_code(id);
        self.emit_presence(id, "online", at_ms);
        self.register(id);
        self.publish_from(id, stored, at_ms);
    }

    fn emit_presence(&mut self, id: &DeviceId, word: &str, at_ms: i64) {
        let last_heard_at = self.registry.devices.get(id).and_then(|device| device.last_heard_at);
        self.emit_from_device(id, "spark/status", Some(word.to_owned()), at_ms);
        // The cloud itself notices a loss: the device has not been heard.
        if word == "offline"
            && let Some(device) = self.registry.devices.get_mut(id)
        {
            device.last_heard_at = last_heard_at;
        }
    }

    /// The device reports itself with its credential, as at every start. Without one, or without a
    /// connection, nothing happens.
    pub(crate) fn register(&mut self, id: &DeviceId) -> bool {
        let now = self.now();
        let Some(device) = self.registry.devices.get_mut(id) else {
            return false;
        };
        let Some(credential) = device.credential.clone() else {
            return false;
        };
        if !device.link.is_up() {
            return false;
        }
        device.commissioning = Commissioning::InService;
        self.emit_from_device(id, REGISTRATION_EVENT, Some(credential), now);
        true
    }

    /// Publishes on the device's behalf. A registration so made also puts the device into service.
    pub(crate) fn publish_as(&mut self, id: &DeviceId, name: &str, data: Option<String>) -> bool {
        let now = self.now();
        let Some(device) = self.registry.devices.get_mut(id) else {
            return false;
        };
        if name == REGISTRATION_EVENT {
            device.commissioning = Commissioning::InService;
        }
        self.emit_from_device(id, name, data, now);
        true
    }

    /// The device acts, and the journal bears witness.
    pub(crate) fn execute(&mut self, order: Order) -> i32 {
        let now = self.now();
        let Some(device) = self.registry.devices.get_mut(&order.device_id) else {
            return -1;
        };
        let mut published = Vec::new();
        let mut turn = Loop {
            now_ms: now,
            seed: device.seed,
            published: &mut published,
        };
        let return_value = device.firmware.call(&order.function, &order.argument, &mut turn);
        device.last_heard_at = Some(now);
        let device_id = order.device_id.clone();
        self.journal.acted(Act {
            seq: 0,
            at: now,
            request_at: order.request_at,
            device_id: order.device_id,
            function: order.function,
            argument: order.argument,
            return_value,
            credential: order.credential,
        });
        self.publish_from(&device_id, published, now);
        return_value
    }
}

/// A function call on its way to the device.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub device_id: DeviceId,
    pub function: String,
    pub argument: String,
    pub request_at: i64,
    pub credential: CredentialKind,
}
