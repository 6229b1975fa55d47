//! Claiming by id and by code, unclaiming (reference §6).

use axum::extract::{Path, State};
use serde_json::json;

use super::Shared;
use crate::clock::rfc3339;
use crate::http::{Answer, Call, Refusal, ok};
use crate::id::DeviceId;
use crate::world::{Owner, Principal};

/// `POST /v1/devices` with the future owner's token. There is no product variant: the customer
/// implies the product.
pub(super) async fn claim(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, owner) = world.enter_as_owner(&call.credentials)?;
    let id = DeviceId::new(&call.body.filled("id").ok_or(Refusal::ClaimWithoutId)?);
    let claimed = world.claim(&id, &owner);
    if matches!(claimed, Err(Refusal::ClaimForeign { .. })) && call.body.flag("request_transfer") {
        // The owner gets an e-mail; here the matter rests.
        return ok(json!({"ok": true, "transfer_requested": true}));
    }
    claimed?;
    let device = &world.registry.devices[&id];
    let connected = world.is_online(device);
    match &owner {
        Owner::User(user) => ok(json!({"user_id": user, "id": id, "connected": connected, "ok": true})),
        Owner::Customer(customer) => ok(json!({
            "customer_id": customer,
            "product_id": device.product_id,
            "updated_at": rfc3339(world.now()),
            "id": id,
            "connected": connected,
            "ok": true,
        })),
    }
}

/// `DELETE /v1/devices/:id` by its owner; works while the device is offline.
pub(super) async fn unclaim(State(cloud): Shared, Path(id): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, id) = world.owned_device(&call.credentials, &id)?;
    world
        .registry
        .devices
        .get_mut(&id)
        .ok_or(Refusal::PermissionDenied)?
        .owner = None;
    ok(json!({"ok": true}))
}

pub(super) async fn claim_code(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, owner) = world.enter_as_owner(&call.credentials)?;
    let code = world.new_claim_code(owner.clone());
    let owned: Vec<_> = world.devices_of(&owner).map(|device| device.id.clone()).collect();
    ok(json!({"claim_code": code, "device_ids": owned}))
}

/// The one product route that a customer's token may use.
pub(super) async fn product_claim_code(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    {
        let world = cloud.world();
        let caller = world.authenticate(&call.credentials)?;
        let product = world.product_id(&product)?;
        let is_customer_of = match &caller.principal {
            Principal::Customer(id) => world
                .registry
                .customers
                .get(id)
                .is_some_and(|one| one.product_id == product),
            Principal::User(user) => world.registry.products[&product].role_of(user).is_some(),
            Principal::ProductClient(_) | Principal::ApiUser(_) => false,
        };
        if !is_customer_of {
            return Err(Refusal::WrongRoute);
        }
    }
    claim_code(State(cloud), call).await
}
