//! `POST /oauth/token` (reference §2.2): form only, and unforgiving to those who fail ten times.

use axum::extract::State;
use serde_json::{Value, json};

use super::Shared;
use crate::clock::parse_iso;
use crate::config::LockoutScope;
use crate::http::{Answer, Call, Encoding, Refusal, ok};
use crate::id::{CustomerId, ProductId, UserId};
use crate::limits::Counted;
use crate::world::{Client, ClientHome, DEFAULT_LIFE_S, MintedToken, Principal, TokenLife, WELL_KNOWN_CLIENTS, World};

pub(super) async fn token(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let now = world.now();
    let limits = world.config.limits;
    let culprit = culprit(&world, &call);
    if !world.limits.admit(Counted::TokenRequest(call.source), &limits, now)
        || world.limits.is_locked_out(&culprit, now)
    {
        return Err(Refusal::RateLimited { status: 429 });
    }
    let granted = grant(&mut world, &call);
    match &granted {
        Ok(_) => world.limits.token_request_succeeded(&culprit),
        // A second factor is the next step, not a failure.
        Err(Refusal::MfaRequired { .. }) => {}
        Err(_) => world.limits.token_request_failed(&culprit, now),
    }
    ok(granted?)
}

/// Whom failures are counted against.
fn culprit(world: &World, call: &Call) -> String {
    match world.config.lockout {
        LockoutScope::PerAddress => call.source.to_string(),
        LockoutScope::PerClient => presented_client(call).map(|(id, _)| id).unwrap_or_default(),
    }
}

/// By HTTP Basic or by fields.
pub(super) fn presented_client(call: &Call) -> Option<(String, String)> {
    call.credentials.basic.clone().or_else(|| {
        let secret = call.body.text("client_secret").unwrap_or_default();
        Some((call.body.filled("client_id")?, secret))
    })
}

/// Which client speaks: one of the vendor's tools, or one that somebody has created.
enum Speaker {
    Tool(String),
    Created(Client),
}

impl Speaker {
    fn client_id(&self) -> &str {
        match self {
            Self::Tool(id) => id,
            Self::Created(client) => &client.id,
        }
    }
}

fn speaker(world: &World, call: &Call) -> Result<Speaker, Refusal> {
    let wrong = Refusal::WrongClient {
        status: world.config.inference.invalid_client_status,
    };
    let (id, secret) = presented_client(call).ok_or_else(|| wrong.clone())?;
    if WELL_KNOWN_CLIENTS.contains(&(id.as_str(), secret.as_str())) {
        return Ok(Speaker::Tool(id));
    }
    match world.registry.clients.get(&id) {
        Some(client) if client.secret == secret => Ok(Speaker::Created(client.clone())),
        Some(_) | None => Err(wrong),
    }
}

fn grant(world: &mut World, call: &Call) -> Result<Value, Refusal> {
    if call.encoding != Encoding::Form {
        return Err(Refusal::NotAForm);
    }
    let speaker = speaker(world, call)?;
    let life = life(call, world.now());
    match call.body.text("grant_type").as_deref() {
        Some("password") => password_grant(world, call, &speaker, life),
        Some("client_credentials") => client_grant(world, call, &speaker, life),
        Some("refresh_token") => refresh_grant(world, call, &speaker, life),
        Some("urn:custom:mfa-otp") => second_factor(world, call, &speaker, life),
        Some(_) | None => Err(Refusal::NoGrantType),
    }
}

/// `expires_in` in seconds, 0 for ever; or `expires_at`, a date.
fn life(call: &Call, now_ms: i64) -> TokenLife {
    if let Some(at) = call.body.filled("expires_at").and_then(|text| parse_iso(&text)) {
        return TokenLife::Seconds(((at - now_ms) / 1000).max(0));
    }
    match call.body.number("expires_in") {
        Some(0) => TokenLife::Forever,
        Some(seconds) => TokenLife::Seconds(seconds),
        None => TokenLife::Seconds(DEFAULT_LIFE_S),
    }
}

fn password_grant(world: &mut World, call: &Call, speaker: &Speaker, life: TokenLife) -> Result<Value, Refusal> {
    let username = call.body.text("username").unwrap_or_default();
    let password = call.body.text("password").unwrap_or_default();
    if let Speaker::Created(Client {
        home: ClientHome::Product(product),
        ..
    }) = speaker
    {
        let product = *product;
        let customer = world.customer_by_name(product, &username);
        let customer = customer
            .filter(|one| one.password.as_ref() == Some(&password))
            .ok_or(Refusal::WrongUser)?;
        let id = customer.id.clone();
        return Ok(customer_token(world, &id, speaker.client_id(), life));
    }
    let user = world
        .user_by_name(&username)
        .filter(|user| user.password == password)
        .ok_or(Refusal::WrongUser)?;
    let (id, otp) = (user.id.clone(), user.otp.clone());
    if otp.is_some() {
        let mfa_token = world.random_hex(40);
        world.mfa_waiting.insert(mfa_token.clone(), id);
        return Err(Refusal::MfaRequired { mfa_token });
    }
    Ok(user_token(world, id, speaker.client_id(), life))
}

fn second_factor(world: &mut World, call: &Call, speaker: &Speaker, life: TokenLife) -> Result<Value, Refusal> {
    let mfa_token = call.body.text("mfa_token").unwrap_or_default();
    let id = world.mfa_waiting.get(&mfa_token).cloned().ok_or(Refusal::WrongOtp)?;
    let expected = world.registry.users.get(&id).and_then(|user| user.otp.clone());
    if expected.is_none() || call.body.text("otp") != expected {
        return Err(Refusal::WrongOtp);
    }
    world.mfa_waiting.remove(&mfa_token);
    Ok(user_token(world, id, speaker.client_id(), life))
}

fn client_grant(world: &mut World, call: &Call, speaker: &Speaker, life: TokenLife) -> Result<Value, Refusal> {
    let wrong = Refusal::WrongClient {
        status: world.config.inference.invalid_client_status,
    };
    let Speaker::Created(client) = speaker else {
        return Err(wrong);
    };
    match (&client.home, customer_in_scope(call)) {
        (ClientHome::Product(product), Some(name)) => {
            let status = world.config.inference.unknown_customer_status;
            let customer = world
                .customer_by_name(*product, &name)
                .ok_or(Refusal::UnknownCustomer { status })?;
            let id = customer.id.clone();
            Ok(customer_token(world, &id, &client.id, life))
        }
        // A client that may only create customers gets no power over the product.
        (ClientHome::Product(_), None) if client.customers_only => Err(Refusal::MissingScope {
            status: world.config.inference.missing_scope_status,
        }),
        (ClientHome::Product(product), None) => Ok(product_token(world, *product, &client.id, life)),
        (ClientHome::Account(user), None) => Ok(user_token(world, user.clone(), &client.id, life)),
        (ClientHome::Account(_), Some(_)) => Err(wrong),
    }
}

/// `scope=customer=<email or id>`; the inner `=` may be encoded or bare.
fn customer_in_scope(call: &Call) -> Option<String> {
    call.body.text("scope")?.strip_prefix("customer=").map(str::to_owned)
}

/// Only tokens made with a product client can be refreshed, and only by it.
fn refresh_grant(world: &mut World, call: &Call, speaker: &Speaker, life: TokenLife) -> Result<Value, Refusal> {
    let presented = call.body.filled("refresh_token").ok_or(Refusal::WrongRefreshToken)?;
    let now = world.now();
    let Speaker::Created(Client {
        id: client_id,
        home: ClientHome::Product(_),
        ..
    }) = speaker
    else {
        return Err(Refusal::WrongRefreshToken);
    };
    let token = world
        .registry
        .tokens
        .values_mut()
        .find(|token| token.refresh.as_ref().is_some_and(|refresh| refresh.token == presented))
        .filter(|token| token.client_id == *client_id)
        .ok_or(Refusal::WrongRefreshToken)?;
    let refresh = token.refresh.take().filter(|refresh| now < refresh.expires_at);
    let principal = token.principal.clone();
    refresh.ok_or(Refusal::WrongRefreshToken)?;
    Ok(match principal {
        Principal::Customer(id) => customer_token(world, &id, client_id, life),
        principal @ (Principal::User(_) | Principal::ProductClient(_) | Principal::ApiUser(_)) => {
            wire(world.mint_token(principal, client_id, life), None)
        }
    })
}

fn user_token(world: &mut World, id: UserId, client_id: &str, life: TokenLife) -> Value {
    wire(world.mint_token(Principal::User(id), client_id, life), None)
}

fn product_token(world: &mut World, product: ProductId, client_id: &str, life: TokenLife) -> Value {
    wire(
        world.mint_token(Principal::ProductClient(product), client_id, life),
        None,
    )
}

pub(super) fn customer_token(world: &mut World, id: &CustomerId, client_id: &str, life: TokenLife) -> Value {
    let name = world
        .registry
        .customers
        .get(id)
        .map(|customer| customer.username.clone());
    wire(world.mint_token(Principal::Customer(id.clone()), client_id, life), name)
}

fn wire(token: MintedToken, customer: Option<String>) -> Value {
    let expires_in = match token.life {
        TokenLife::Seconds(seconds) => seconds,
        TokenLife::Forever => 0,
    };
    let mut wire = json!({
        "token_type": "bearer",
        "access_token": token.access_token,
        "expires_in": expires_in,
    });
    if let Some(refresh_token) = token.refresh_token {
        wire["refresh_token"] = json!(refresh_token);
    }
    if let Some(customer) = customer {
        wire["scope"] = json!(format!("customer={customer}"));
    }
    wire
}

/// For a route that takes client credentials instead of a token: the client, if it is this product's.
pub(super) fn product_client(world: &World, call: &Call, product: ProductId) -> Result<Client, Refusal> {
    match speaker(world, call)? {
        Speaker::Created(client) if client.home == ClientHome::Product(product) => Ok(client),
        Speaker::Created(_) | Speaker::Tool(_) => Err(Refusal::WrongClient {
            status: world.config.inference.invalid_client_status,
        }),
    }
}
