//! A whole Ostler in process for each test: the real router, use cases and SQLite store, with the
//! adapter to the device cloud pointed at nothing until a test connects it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use ostler_app::device_cloud::DeviceCloud;
use ostler_app::{App, Parts, Settings};
use ostler_core::client::{ClientKind, ClientRegistration, RefreshPolicy};
use ostler_core::id::{CustomerId, ProductId};
use ostler_core::port::Clock as _;
use ostler_particle::{Particle, ParticleOptions};
use ostler_server::edge::{OsEntropy, SystemClock};
use ostler_server::openapi;
use ostler_server::state::ServerState;
use ostler_store::{Actor, MasterKey, MasterKeys, Store, StoreOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::contract::contract;
use crate::world::{Answer, ask, world};

pub struct House {
    pub app: Arc<App>,
    pub router: Router,
    _scratch: TempDir,
}

/// Somebody with an access token.
#[derive(Clone)]
pub struct Visitor<'h> {
    house: &'h House,
    token: String,
}

pub async fn house() -> House {
    let scratch = tempfile::tempdir().unwrap();
    let app = open(scratch.path()).await;
    let router = openapi::router(ServerState::new(world().frame(), Arc::clone(&app)));
    House {
        app,
        router,
        _scratch: scratch,
    }
}

async fn open(directory: &std::path::Path) -> Arc<App> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let keys = MasterKeys::new(MasterKey::from_bytes([7; 32]), Vec::new());
    let url = format!("sqlite:{}", directory.join("ostler.db").display());
    let options = StoreOptions::new(keys, entropy.clone());
    let store = Store::open(&url, options, clock.now()).await.unwrap();
    let cloud: Arc<dyn DeviceCloud> = Arc::new(Particle::new(
        ParticleOptions::default(),
        clock.clone(),
        entropy.clone(),
    ));
    App::new(Parts {
        store: Arc::new(store),
        cloud,
        clock,
        entropy,
        settings: Settings::default(),
    })
}

/// Use cases for tests that only look at the frame around them. One for all: nobody changes it.
pub fn idle_app() -> Arc<App> {
    static APP: OnceLock<Arc<App>> = OnceLock::new();
    let begin = || {
        // The store's own tasks live as long as this runtime: as long as the process.
        let runtime = Box::leak(Box::new(tokio::runtime::Runtime::new().unwrap()));
        // So does its folder, which nobody removes: it lies where `cargo clean` finds it.
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        runtime.block_on(open(&scratch))
    };
    Arc::clone(APP.get_or_init(|| std::thread::spawn(begin).join().unwrap()))
}

impl House {
    /// A machine of the maker that reaches all products.
    pub async fn machine(&self, scopes: &[&str]) -> Visitor<'_> {
        self.machine_for(scopes, None).await
    }

    /// A machine that is bound to these products.
    pub async fn bound_machine(&self, scopes: &[&str], products: &[&str]) -> Visitor<'_> {
        let products: BTreeSet<ProductId> = products.iter().map(|id| id.parse().unwrap()).collect();
        self.machine_for(scopes, Some(products)).await
    }

    pub async fn staff(&self) -> Visitor<'_> {
        self.machine(&["admin:read", "admin:write"]).await
    }

    async fn machine_for(&self, scopes: &[&str], products: Option<BTreeSet<ProductId>>) -> Visitor<'_> {
        let registration = ClientRegistration {
            name: "a machine".into(),
            kind: ClientKind::Confidential,
            flows: vec!["client_credentials".into()],
            redirect_uris: Vec::new(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            default_scopes: None,
            refresh_policy: RefreshPolicy::None,
            cors_origins: Vec::new(),
            products,
        };
        let (client, _secret) = self.app.create_client(registration, None, Actor::System).await.unwrap();
        let issued = self.app.machine_tokens(&client, None).await.unwrap();
        Visitor {
            house: self,
            token: issued.access_token.reveal().to_owned(),
        }
    }

    pub async fn customer(&self, email: &str) -> CustomerId {
        let request = ostler_app::identity::CustomerRequest {
            email: email.into(),
            password: None,
            name: None,
            products: BTreeSet::new(),
        };
        self.app.create_customer(request, Actor::System).await.unwrap()
    }

    /// Somebody who shows no token.
    pub async fn stranger(&self, method: Method, path: &str) -> Answer {
        ask(
            &self.router,
            Request::builder().method(method).uri(path).body(Body::empty()).unwrap(),
        )
        .await
    }
}

impl Visitor<'_> {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Without a body where none is asked for.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// Every answer that a test sees is held against the contract.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        let request = match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let answer = ask(&self.house.router, request.unwrap()).await;
        contract().fits(&method, path, &answer);
        answer
    }
}
