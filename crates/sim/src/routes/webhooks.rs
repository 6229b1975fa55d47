//! Webhooks under both spellings, `integrations` and `webhooks` (reference §9.1). Creating the same
//! one twice makes two, and both fire.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{HomePath, Shared};
use crate::event::Origin;
use crate::hooks::check_declaration;
use crate::http::{Answer, Call, Refusal, created, no_content, ok};
use crate::id::HookId;
use crate::world::{ClientHome, Hook, NewEvent, Owner, Scope, World};

pub(super) async fn list(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let world = cloud.world();
    let home = world.enter_home(&call.credentials, path.product.as_deref(), Scope::IntegrationsList)?;
    let mut hooks: Vec<&Hook> = world.registry.hooks.values().filter(|hook| hook.home == home).collect();
    hooks.sort_by_key(|hook| hook.created_at);
    ok(hooks.into_iter().map(Hook::to_wire).collect())
}

pub(super) async fn create(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let home = world.enter_home(&call.credentials, path.product.as_deref(), Scope::IntegrationsCreate)?;
    let mut fields = call.body.into_map();
    fields.remove("access_token");
    let hook = world.add_hook(home, fields)?;
    let mut wire = hook.to_wire();
    wire["ok"] = json!(true);
    wire["hookUrl"] = json!(format!("https://api.particle.io/v1/webhooks/{}", hook.id));
    created(wire)
}

pub(super) async fn get_integration(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let world = cloud.world();
    let hook = enter_hook(&world, &call, &path, Scope::IntegrationsGet)?;
    ok(json!({"integration": with_history(&hook)}))
}

pub(super) async fn get_webhook(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let world = cloud.world();
    let hook = enter_hook(&world, &call, &path, Scope::IntegrationsGet)?;
    ok(json!({"webhook": with_history(&hook)}))
}

fn with_history(hook: &Hook) -> Value {
    let mut wire = hook.to_wire();
    wire["logs"] = json!([]);
    wire["errors"] = json!([]);
    wire["counters"] = json!([{"success": hook.sent, "error": hook.failed}]);
    wire
}

pub(super) async fn update(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let mut hook = enter_hook(&world, &call, &path, Scope::IntegrationsUpdate)?;
    let mut changes = call.body.into_map();
    for unchangeable in ["access_token", "id", "created_at"] {
        changes.remove(unchangeable);
    }
    hook.fields.extend(changes);
    check_declaration(&hook.fields)?;
    let wire = hook.to_wire();
    world.registry.hooks.insert(hook.id.clone(), hook);
    ok(wire)
}

pub(super) async fn delete(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let hook = enter_hook(&world, &call, &path, Scope::IntegrationsRemove)?;
    world.registry.hooks.remove(&hook.id);
    no_content()
}

/// Publishes an event that the hook wants, from the API.
pub(super) async fn test(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let hook = enter_hook(&world, &call, &path, Scope::IntegrationsTest)?;
    let (product_id, owner) = match hook.home {
        ClientHome::Product(product) => (Some(product), None),
        ClientHome::Account(user) => (None, Some(Owner::User(user))),
    };
    let name = hook
        .fields
        .get("event")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let event = NewEvent {
        name,
        data: Some("test-event".to_owned()),
        ttl: 60,
        published_at: world.now(),
        coreid: world.config.inference.api_coreid.clone(),
        origin: Origin::Api,
        product_id,
        firmware_version: 0,
        private: true,
        owner,
    };
    world.emit(event);
    ok(json!({"ok": true}))
}

fn enter_hook(world: &World, call: &Call, path: &HomePath, scope: Scope) -> Result<Hook, Refusal> {
    let home = world.enter_home(&call.credentials, path.product.as_deref(), scope)?;
    let hook = world
        .registry
        .hooks
        .get(&HookId::new(&path.id))
        .filter(|hook| hook.home == home);
    hook.cloned().ok_or(Refusal::WebhookNotFound)
}
