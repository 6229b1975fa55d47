//! Looking at tokens and ending them (reference §2.3).

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use crate::clock::rfc3339;
use crate::http::{Answer, Call, Refusal, ok};
use crate::id::UserId;
use crate::limits::Counted;
use crate::world::{Principal, Token, World};

/// With the account's own password, not with a token.
pub(super) async fn list(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let user = by_password(&mut world, &call)?;
    let principal = Principal::User(user);
    let tokens: Vec<Value> = world
        .registry
        .tokens
        .iter()
        .filter(|(_, token)| token.principal == principal)
        .map(|(text, token)| {
            json!({"token": text, "expires_at": token.expires_at.map(rfc3339), "client": token.client_id})
        })
        .collect();
    ok(json!(tokens))
}

fn by_password(world: &mut World, call: &Call) -> Result<UserId, Refusal> {
    let (limits, now) = (world.config.limits, world.now());
    if !world.limits.admit(Counted::TokenManagement(call.source), &limits, now) {
        return Err(Refusal::RateLimited { status: 429 });
    }
    let (username, password) = call.credentials.basic.clone().ok_or(Refusal::NoToken)?;
    let user = world.user_by_name(&username).ok_or(Refusal::BasicUnknownUser)?;
    if user.password == password {
        Ok(user.id.clone())
    } else {
        Err(Refusal::BasicWrongPassword)
    }
}

/// Who sends no password must at least know the token, as the vendor's JavaScript client does.
pub(super) async fn delete_one(State(cloud): Shared, Path(token): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    if call.credentials.basic.is_some() {
        by_password(&mut world, &call)?;
    }
    world
        .registry
        .tokens
        .remove(&token)
        .ok_or(Refusal::NoSuchThing { what: "Access token" })?;
    ok(json!({"ok": true}))
}

pub(super) async fn delete_all(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let caller = world.authenticate(&call.credentials)?;
    world.revoke_tokens_of(&caller.principal);
    ok(json!({"ok": true}))
}

pub(super) async fn current(State(cloud): Shared, call: Call) -> Answer {
    let world = cloud.world();
    let caller = world.authenticate(&call.credentials)?;
    let token = world.registry.tokens.get(&caller.token).ok_or(Refusal::UnknownToken)?;
    ok(json!({
        "expires_at": token.expires_at.map(rfc3339),
        "client": token.client_id,
        "client_id": token.client_id,
        "scopes": scopes(&world, token),
        "orgs": [],
    }))
}

fn scopes(world: &World, token: &Token) -> Vec<String> {
    match &token.principal {
        Principal::ApiUser(name) => world
            .registry
            .api_users
            .get(name)
            .map(|one| one.scopes.iter().cloned().collect())
            .unwrap_or_default(),
        Principal::User(_) | Principal::ProductClient(_) | Principal::Customer(_) => Vec::new(),
    }
}

pub(super) async fn delete_current(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let caller = world.authenticate(&call.credentials)?;
    world.registry.tokens.remove(&caller.token);
    ok(json!({"ok": true}))
}
