//! OAuth clients of an account or of a product (reference §2.4). The secret is shown once.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{HomePath, Shared};
use crate::http::{Answer, Call, Refusal, no_content, ok};
use crate::world::{Client, ClientHome, ClientKind, Scope, World};

pub(super) async fn list(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let world = cloud.world();
    let home = world.enter_home(&call.credentials, path.product.as_deref(), Scope::ClientsList)?;
    let clients: Vec<Value> = world
        .registry
        .clients
        .values()
        .filter(|client| client.home == home)
        .map(wire)
        .collect();
    ok(json!({"ok": true, "clients": clients}))
}

pub(super) async fn create(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let home = world.enter_home(&call.credentials, path.product.as_deref(), Scope::ClientsCreate)?;
    let name = call.body.filled("name").ok_or(Refusal::Missing { field: "name" })?;
    let kind = match call.body.text("type").as_deref() {
        Some("installed") | None => ClientKind::Installed,
        Some("web") => ClientKind::Web,
        Some(_) => return Err(Refusal::Missing { field: "type" }),
    };
    let redirect_uri = call.body.filled("redirect_uri");
    if kind == ClientKind::Web && redirect_uri.is_none() {
        return Err(Refusal::Missing { field: "redirect_uri" });
    }
    let created = world.add_client(home, &name, kind);
    let client = change(&mut world, &created.id, |client| {
        client.redirect_uri = redirect_uri;
        client.customers_only = call
            .body
            .text("scope")
            .is_some_and(|scope| scope.contains("create_customer"));
    })?;
    let mut wire = wire(&client);
    wire["secret"] = json!(client.secret);
    ok(json!({"ok": true, "client": wire}))
}

pub(super) async fn update(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let id = enter_client(&world, &call, &path, Scope::ClientsUpdate)?;
    let client = change(&mut world, &id, |client| {
        if let Some(name) = call.body.filled("name") {
            client.name = name;
        }
        if let Some(scope) = call.body.text("scope") {
            client.customers_only = scope.contains("create_customer");
        }
    })?;
    ok(json!({"ok": true, "client": wire(&client)}))
}

/// Its tokens end with it.
pub(super) async fn delete(State(cloud): Shared, Path(path): Path<HomePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let id = enter_client(&world, &call, &path, Scope::ClientsRemove)?;
    world.registry.clients.remove(&id);
    world.registry.tokens.retain(|_, token| token.client_id != id);
    no_content()
}

fn enter_client(world: &World, call: &Call, path: &HomePath, scope: Scope) -> Result<String, Refusal> {
    let home: ClientHome = world.enter_home(&call.credentials, path.product.as_deref(), scope)?;
    match world.registry.clients.get(&path.id) {
        Some(client) if client.home == home => Ok(client.id.clone()),
        Some(_) | None => Err(Refusal::NoSuchThing { what: "Client" }),
    }
}

fn change(world: &mut World, id: &str, change: impl FnOnce(&mut Client)) -> Result<Client, Refusal> {
    let client = world
        .registry
        .clients
        .get_mut(id)
        .ok_or(Refusal::NoSuchThing { what: "Client" })?;
    change(client);
    Ok(client.clone())
}

fn wire(client: &Client) -> Value {
    let mut wire = json!({"name": client.name, "type": client.kind, "id": client.id});
    if let Some(redirect_uri) = &client.redirect_uri {
        wire["redirect_uri"] = json!(redirect_uri);
    }
    wire
}
