//! Customers of a product (reference §7), with the vendor's traps: names are folded, and a customer
//! shows in the list only once it owns a device.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{Shared, oauth};
use crate::http::{Answer, Call, Refusal, no_content, ok};
use crate::id::{CustomerId, ProductId};
use crate::world::{DeviceView, Owner, Principal, Scope, TokenLife, World};

const PER_PAGE: usize = 25;

/// With client credentials or a team member's token; a product client's bearer token is not enough.
pub(super) async fn create(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let product = world.product_id(&product)?;
    let client_id = creator(&world, &call, product)?;
    let name = call.body.filled("email").or_else(|| call.body.filled("username"));
    let name = name.ok_or(Refusal::Missing { field: "email" })?;
    let password = call.body.filled("password");
    if password.is_none() && !call.body.flag("no_password") {
        return Err(Refusal::Missing { field: "password" });
    }
    let status = world.config.inference.customer_exists_status;
    let id = world
        .add_customer(product, &name, password)
        .ok_or(Refusal::CustomerExists { status })?;
    let life = TokenLife::Seconds(crate::world::DEFAULT_LIFE_S);
    ok(oauth::customer_token(&mut world, &id, &client_id, life))
}

fn creator(world: &World, call: &Call, product: ProductId) -> Result<String, Refusal> {
    if oauth::presented_client(call).is_some() {
        return Ok(oauth::product_client(world, call, product)?.id);
    }
    match world.authenticate(&call.credentials)?.principal {
        Principal::User(user) if world.registry.products[&product].role_of(&user).is_some() => {
            Ok("particle".to_owned())
        }
        Principal::ApiUser(_) => Err(Refusal::ApiUsersNotAllowed),
        Principal::User(_) | Principal::ProductClient(_) | Principal::Customer(_) => Err(Refusal::WrongRoute),
    }
}

pub(super) async fn list(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::CustomersList)?;
    let owners: Vec<_> = world
        .registry
        .customers
        .values()
        .filter(|one| one.product_id == product)
        .filter(|one| world.devices_of(&Owner::Customer(one.id.clone())).next().is_some())
        .collect();
    let per_page = call.query.number("perPage").or_else(|| call.query.number("per_page"));
    let per_page = per_page.unwrap_or(PER_PAGE).clamp(1, 100);
    let page = call.query.number("page").unwrap_or(1_usize).max(1);
    let shown = owners.iter().skip((page - 1) * per_page).take(per_page);
    let customers: Vec<Value> = shown
        .clone()
        .map(|one| json!({"id": one.id, "username": one.username}))
        .collect();
    let devices: Vec<Value> = shown.flat_map(|one| owned(&world, &one.id)).collect();
    ok(json!({
        "customers": customers,
        "devices": devices,
        "meta": {"total_pages": owners.len().div_ceil(per_page).max(1)},
    }))
}

fn owned(world: &World, id: &CustomerId) -> Vec<Value> {
    let owner = Owner::Customer(id.clone());
    world
        .devices_of(&owner)
        .map(|device| world.device_wire(device, DeviceView::Product))
        .collect()
}

/// A new password; shadow customers have none to change.
pub(super) async fn update(State(cloud): Shared, Path((product, name)): Path<(String, String)>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::CustomersUpdate)?;
    let id = find(&world, product, &name)?;
    let password = call
        .body
        .filled("password")
        .ok_or(Refusal::Missing { field: "password" })?;
    let customer = world
        .registry
        .customers
        .get_mut(&id)
        .filter(|one| one.password.is_some());
    customer.ok_or(Refusal::Missing { field: "password" })?.password = Some(password);
    ok(json!({"ok": true}))
}

pub(super) async fn delete(State(cloud): Shared, Path((product, name)): Path<(String, String)>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::CustomersRemove)?;
    let id = find(&world, product, &name)?;
    world.remove_customer(&id);
    if world.config.inference.customer_delete_is_empty {
        no_content()
    } else {
        ok(json!({"ok": true}))
    }
}

fn find(world: &World, product: ProductId, name: &str) -> Result<CustomerId, Refusal> {
    let customer = world
        .customer_by_name(product, name)
        .ok_or(Refusal::NoSuchThing { what: "Customer" })?;
    Ok(customer.id.clone())
}
