//! Products, as far as a back end reads them (reference §10).

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use crate::config::Profile;
use crate::http::{Answer, Call, Refusal, ok};
use crate::world::{Principal, Product, Scope, World};

pub(super) async fn list(State(cloud): Shared, call: Call) -> Answer {
    let world = cloud.world();
    let caller = world.authenticate(&call.credentials)?;
    let sees = |product: &&Product| match &caller.principal {
        Principal::User(user) => product.role_of(user).is_some(),
        Principal::ProductClient(own) => *own == product.id,
        Principal::ApiUser(name) => api_user_sees(&world, name, product),
        Principal::Customer(_) => false,
    };
    if matches!(caller.principal, Principal::Customer(_)) {
        return Err(Refusal::WrongRoute);
    }
    let products: Vec<Value> = world
        .registry
        .products
        .values()
        .filter(sees)
        .map(|product| world.product_wire(product))
        .collect();
    ok(json!({"products": products}))
}

fn api_user_sees(world: &World, name: &str, product: &Product) -> bool {
    world
        .registry
        .api_users
        .get(name)
        .is_some_and(|one| one.product_id == product.id && one.scopes.contains("products:list"))
}

/// In 2018 the product came in a list of one.
pub(super) async fn get(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, id) = world.enter_product(&call.credentials, &product, Scope::ProductsGet)?;
    let wire = world.product_wire(&world.registry.products[&id]);
    match world.config.profile {
        Profile::Current | Profile::Y2015 => ok(json!({"product": wire})),
        Profile::Y2018 => ok(json!({"product": [wire]})),
    }
}
