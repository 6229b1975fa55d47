//! Claiming and unclaiming (reference §6): by id, by claim code at the next handshake.

use super::{ClaimCode, Device, Owner, World};
use crate::http::Refusal;
use crate::id::DeviceId;

/// A claim code is valid for one hour, once.
const CLAIM_CODE_LIFE_MS: i64 = 3_600_000;
const CLAIM_CODE_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl World {
    /// `POST /v1/devices`. A team member may claim a product device while it is offline; everybody
    /// else needs it online (reference §6.1).
    pub(crate) fn claim(&mut self, id: &DeviceId, owner: &Owner) -> Result<(), Refusal> {
        let device = self.registry.devices.get(id).ok_or(Refusal::ClaimUnknown)?;
        if device.owner.as_ref() == Some(owner) {
            return Ok(());
        }
        if device.owner.is_some() {
            return Err(Refusal::ClaimForeign {
                status: self.config.inference.foreign_claim_status,
            });
        }
        if !self.belongs_where(device, owner) {
            return Err(Refusal::ClaimUnknown);
        }
        if !self.is_online(device) && !self.is_team_member_of(device, owner) {
            return Err(Refusal::ClaimOffline);
        }
        if let Some(device) = self.registry.devices.get_mut(id) {
            device.owner = Some(owner.clone());
        }
        Ok(())
    }

    /// A customer can own devices of its own product only: they must have been imported first.
    fn belongs_where(&self, device: &Device, owner: &Owner) -> bool {
        match owner {
            Owner::User(_) => true,
            Owner::Customer(id) => self
                .registry
                .customers
                .get(id)
                .is_some_and(|one| device.product_id == Some(one.product_id)),
        }
    }

    fn is_team_member_of(&self, device: &Device, owner: &Owner) -> bool {
        let Owner::User(user) = owner else { return false };
        let product = device.product_id.and_then(|id| self.registry.products.get(&id));
        product.is_some_and(|product| product.role_of(user).is_some())
    }

    pub(crate) fn new_claim_code(&mut self, owner: Owner) -> String {
        let code: String = (0..63)
            .map(|_| char::from(CLAIM_CODE_ALPHABET[self.random_below(64) as usize]))
            .collect();
        let expires_at = self.now() + CLAIM_CODE_LIFE_MS;
        self.registry
            .claim_codes
            .insert(code.clone(), ClaimCode { owner, expires_at });
        code
    }

    /// At a handshake the device presents the code it was given over SoftAP, USB or BLE.
    pub(crate) fn redeem_claim_code(&mut self, id: &DeviceId) {
        let now = self.now();
        let Some(device) = self.registry.devices.get_mut(id) else {
            return;
        };
        let Some(presented) = device.claim_code.take() else {
            return;
        };
        let Some(code) = self.registry.claim_codes.remove(&presented) else {
            return;
        };
        if now < code.expires_at {
            device.owner = Some(code.owner);
        }
    }

    pub(crate) fn devices_of<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = &'a Device> {
        self.registry
            .devices
            .values()
            .filter(move |device| device.owner.as_ref() == Some(owner))
    }
}
