//! A product's team and its API users (reference §2.5). An API user has one valid token, which never
//! expires; changing its scopes replaces it.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use crate::http::{Answer, Call, Refusal, no_content, ok};
use crate::id::ProductId;
use crate::world::{ApiUser, Principal, ProductRole, Scope, TokenLife, World};

pub(super) async fn list(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::TeamList)?;
    let people = world.registry.products[&product].team.iter().filter_map(|(id, role)| {
        let user = world.registry.users.get(id)?;
        let name = match role {
            ProductRole::Administrator => "Administrator",
            ProductRole::Developer => "Developer",
        };
        Some(json!({"username": user.username, "role": {"id": name.to_lowercase(), "name": name}}))
    });
    let programs = world
        .registry
        .api_users
        .values()
        .filter(|one| one.product_id == product)
        .map(|one| json!({"username": one.username, "is_programmatic": true, "friendly_name": one.friendly_name}));
    let team: Vec<Value> = people.chain(programs).collect();
    ok(json!({"ok": true, "team": team}))
}

pub(super) async fn create(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let product = world.enter_team(&call.credentials, &product, Scope::TeamInvite)?;
    let Some(friendly_name) = call.body.filled("friendly_name") else {
        return invite(&mut world, product, &call);
    };
    let scopes = scopes(&call)?;
    let handle: String = friendly_name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let username = format!("{handle}+{}@api.particle.io", world.random_hex(10));
    let api_user = ApiUser {
        username: username.clone(),
        friendly_name,
        product_id: product,
        scopes,
    };
    world.registry.api_users.insert(username.clone(), api_user);
    ok(json!({"ok": true, "created": with_new_token(&mut world, &username)}))
}

/// People are invited by name; a simulated person accepts at once.
fn invite(world: &mut World, product: ProductId, call: &Call) -> Answer {
    let username = call
        .body
        .filled("username")
        .ok_or(Refusal::Missing { field: "username" })?;
    let user = world
        .user_by_name(&username)
        .ok_or(Refusal::NoSuchThing { what: "User" })?
        .id
        .clone();
    if let Some(product) = world.registry.products.get_mut(&product) {
        product.team.insert(user, ProductRole::Developer);
    }
    ok(json!({"ok": true}))
}

pub(super) async fn update(
    State(cloud): Shared,
    Path((product, username)): Path<(String, String)>,
    call: Call,
) -> Answer {
    let mut world = cloud.world();
    let product = world.enter_team(&call.credentials, &product, Scope::TeamUpdate)?;
    let scopes = scopes(&call)?;
    let api_user = world
        .registry
        .api_users
        .get_mut(&username)
        .filter(|one| one.product_id == product);
    let api_user = api_user.ok_or(Refusal::NoSuchThing { what: "Team member" })?;
    api_user.scopes = scopes;
    ok(json!({"ok": true, "updated": with_new_token(&mut world, &username)}))
}

pub(super) async fn delete(
    State(cloud): Shared,
    Path((product, username)): Path<(String, String)>,
    call: Call,
) -> Answer {
    let mut world = cloud.world();
    let product = world.enter_team(&call.credentials, &product, Scope::TeamRemove)?;
    let is_api_user = world
        .registry
        .api_users
        .get(&username)
        .is_some_and(|one| one.product_id == product);
    if is_api_user {
        world.registry.api_users.remove(&username);
        world.revoke_tokens_of(&Principal::ApiUser(username));
        return no_content();
    }
    let no_such_member = Refusal::NoSuchThing { what: "Team member" };
    let person = world.user_by_name(&username).ok_or(no_such_member.clone())?.id.clone();
    let product = world
        .registry
        .products
        .get_mut(&product)
        .ok_or(Refusal::ProductNotFound)?;
    product.team.remove(&person).ok_or(no_such_member)?;
    no_content()
}

fn scopes(call: &Call) -> Result<BTreeSet<String>, Refusal> {
    let scopes = call.body.list("scopes").ok_or(Refusal::Missing { field: "scopes" })?;
    let are_well_formed = !scopes.is_empty() && scopes.iter().all(|scope| scope.contains(':'));
    if are_well_formed {
        Ok(scopes.into_iter().collect())
    } else {
        Err(Refusal::Missing { field: "scopes" })
    }
}

/// Only one token of an API user is valid at a time.
fn with_new_token(world: &mut World, username: &str) -> Value {
    let principal = Principal::ApiUser(username.to_owned());
    world.revoke_tokens_of(&principal);
    let token = world.mint_token(principal, "particle", TokenLife::Forever);
    json!({
        "username": username,
        "is_programmatic": true,
        "tokens": [{"token": token.access_token}],
    })
}
