//! A whole Ostler with a clock that the test moves, a few clients and one customer; and a browser
//! that keeps its cookies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{Method, Request};
use ostler_app::identity::{CustomerRequest, NewClientSecret, Password, StaffRequest};
use ostler_app::{App, Parts, PasswordCost, Settings};
use ostler_core::caller::ProductReach;
use ostler_core::client::{Client, ClientKind, ClientRegistration, RefreshPolicy};
use ostler_core::id::CustomerId;
use ostler_core::port::Clock;
use ostler_core::secret::ClientSecret;
use ostler_core::staff::StaffRole;
use ostler_core::time::Timestamp;
use ostler_particle::{Particle, ParticleOptions};
use ostler_server::edge::{OsEntropy, SystemClock};
use ostler_server::openapi;
use ostler_server::state::{Frame, ServerState};
use ostler_store::{Actor, MasterKey, MasterKeys, Store, StoreOptions};
use ostler_testkit::{Database, Postgres, Scratch};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::contract::contract;
use crate::world::{Answer, ask, world};

/// Runs one test on both databases.
macro_rules! on_both {
    ($(async fn $name:ident($door:ident) $body:block)+) => {$(
        async fn $name($door: crate::oauth::door::Door) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(crate::oauth::door::Door::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(crate::oauth::door::Door::postgres().await).await;
            }
        }
    )+};
}
pub(crate) use on_both;

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const EMAIL: &str = "ada@example.com";
pub const PASSWORD: &str = "correct horse";
pub const CALLBACK: &str = "https://web.example.com/callback";

/// A calendar that only the test moves.
pub struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
}

pub struct Door {
    pub app: Arc<App>,
    pub store: Arc<Store>,
    pub router: Router,
    pub ada: CustomerId,
    clock: Arc<HandClock>,
    _place: Place,
}

enum Place {
    Sqlite { _scratch: Scratch },
    Postgres { _database: Database },
}

/// A client as it knows itself.
#[derive(Clone)]
pub struct Registered {
    pub client: Client,
    pub secret: Option<ClientSecret>,
}

impl Registered {
    pub fn id(&self) -> String {
        self.client.id.to_string()
    }

    pub fn basic(&self) -> String {
        let secret = self.secret.as_ref().unwrap();
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.client.id, secret.reveal()))
        )
    }
}

impl Door {
    pub async fn sqlite() -> Self {
        let scratch = Scratch::new();
        let url = format!("sqlite:{}", scratch.path().join("ostler.db").display());
        Self::open(&url, Place::Sqlite { _scratch: scratch }).await
    }

    pub async fn postgres() -> Self {
        let database = Postgres::shared().fresh_database(None);
        let url = database.url().to_owned();
        Self::open(&url, Place::Postgres { _database: database }).await
    }

    async fn open(url: &str, place: Place) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(1_900_000_000_000)));
        let entropy = Arc::new(OsEntropy);
        let keys = MasterKeys::new(MasterKey::from_bytes([7; 32]), Vec::new());
        let store = Arc::new(
            Store::open(url, StoreOptions::new(keys, entropy.clone()), clock.now())
                .await
                .unwrap(),
        );
        let app = App::new(Parts {
            store: Arc::clone(&store),
            cloud: Arc::new(Particle::new(
                ParticleOptions::default(),
                clock.clone(),
                entropy.clone(),
            )),
            clock: clock.clone(),
            entropy,
            settings: Settings {
                public_url: "https://api.example.com".into(),
                password_cost: PasswordCost {
                    memory_kib: 64,
                    iterations: 1,
                    parallelism: 1,
                },
                ..Settings::default()
            },
        });
        let frame = Frame {
            clock: clock.clone(),
            ..world().frame()
        };
        let router = openapi::router(ServerState::new(frame, Arc::clone(&app)));
        let request = CustomerRequest {
            email: EMAIL.into(),
            password: Some(Password::presented(PASSWORD.into())),
            name: Some("Ada".into()),
            products: BTreeSet::new(),
        };
        let ada = app.create_customer(request, Actor::System).await.unwrap();
        Self {
            app,
            store,
            router,
            ada,
            clock,
            _place: place,
        }
    }

    pub fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn client(&self, registration: ClientRegistration) -> Registered {
        let (client, secret) = self.app.create_client(registration, None, Actor::System).await.unwrap();
        let secret = match secret {
            NewClientSecret::None => None,
            NewClientSecret::Drawn(secret) => Some(secret),
        };
        Registered { client, secret }
    }

    /// A web server's client.
    pub async fn web(&self) -> Registered {
        self.client(web()).await
    }

    /// A native app.
    pub async fn native(&self) -> Registered {
        self.client(ClientRegistration {
            kind: ClientKind::Public,
            redirect_uris: texts(&["http://127.0.0.1/callback"]),
            ..web()
        })
        .await
    }

    pub async fn linking(&self) -> Registered {
        self.client(ClientRegistration {
            refresh_policy: RefreshPolicy::Linking,
            ..web()
        })
        .await
    }

    pub async fn machine(&self) -> Registered {
        self.client(machine()).await
    }

    pub async fn staff(&self, role: StaffRole) {
        let request = StaffRequest {
            email: "operator@example.com".into(),
            password: Password::presented(PASSWORD.into()),
            name: None,
            role,
            products: ProductReach::All,
        };
        self.app.create_staff(request, Actor::System).await.unwrap();
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser {
            door: self,
            cookies: BTreeMap::new(),
        }
    }

    /// Posts a form to an endpoint for programs.
    pub async fn form(&self, path: &str, authorization: Option<&str>, pairs: &[(&str, &str)]) -> Answer {
        self.raw_form(path, authorization, &encoded(pairs)).await
    }

    pub async fn raw_form(&self, path: &str, authorization: Option<&str>, body: &str) -> Answer {
        let mut request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = ask(&self.router, request.body(Body::from(body.to_owned())).unwrap()).await;
        contract().fits(&Method::POST, path, &answer);
        answer
    }

    /// A form by a client that authenticates as it should.
    pub async fn form_by(&self, client: &Registered, path: &str, pairs: &[(&str, &str)]) -> Answer {
        match &client.secret {
            Some(_) => self.form(path, Some(&client.basic()), pairs).await,
            None => {
                let id = client.id();
                let pairs: Vec<_> = pairs.iter().copied().chain([("client_id", id.as_str())]).collect();
                self.form(path, None, &pairs).await
            }
        }
    }

    pub async fn token(&self, client: &Registered, pairs: &[(&str, &str)]) -> Answer {
        self.form_by(client, "/oauth/token", pairs).await
    }

    pub async fn redeem(&self, client: &Registered, code: &str) -> Answer {
        let redirect_uri = client.client.redirect_uris[0].as_str();
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        self.token(client, &pairs).await
    }

    pub async fn refresh(&self, client: &Registered, token: &str) -> Answer {
        self.token(client, &[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    /// The tokens of a customer who went all the way through the browser.
    pub async fn signed_in(&self, client: &Registered) -> Tokens {
        let code = self.browser().code(client).await;
        Tokens::of(&self.redeem(client, &code).await)
    }

    pub async fn me(&self, access_token: &str) -> Answer {
        self.bearer(Method::GET, "/v1/me", access_token).await
    }

    pub async fn bearer(&self, method: Method, path: &str, access_token: &str) -> Answer {
        let request = Request::builder().method(method.clone()).uri(path);
        let request = request
            .header(AUTHORIZATION, format!("Bearer {access_token}"))
            .body(Body::empty())
            .unwrap();
        let answer = ask(&self.router, request).await;
        contract().fits(&method, path, &answer);
        answer
    }

    /// Whether the token opens anything, asked the way that a request does.
    pub async fn is_good(&self, access_token: &str) -> bool {
        self.me(access_token).await.status == 200
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub scope: String,
}

impl Tokens {
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let json = answer.json();
        assert_eq!(json["token_type"], "Bearer");
        assert_eq!(json["expires_in"], 3600);
        let text = |member: &str| json[member].as_str().map(str::to_owned);
        Self {
            access: text("access_token").unwrap(),
            refresh: text("refresh_token"),
            scope: text("scope").unwrap(),
        }
    }

    pub fn refresh(&self) -> &str {
        self.refresh.as_deref().unwrap()
    }
}

/// RFC 6749 §5.2: the error's code.
pub fn error(answer: &Answer) -> String {
    assert_eq!(answer.headers["content-type"], "application/json", "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json()["error"].as_str().unwrap().to_owned()
}

pub fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn web() -> ClientRegistration {
    ClientRegistration {
        name: "Web <b>& Co</b>".into(),
        kind: ClientKind::Confidential,
        flows: texts(&["authorization_code"]),
        redirect_uris: texts(&[CALLBACK]),
        scopes: texts(&["devices:read", "devices:control", "history:read", "offline_access"]),
        default_scopes: Some(texts(&["devices:read", "offline_access"])),
        refresh_policy: RefreshPolicy::Rotating,
        cors_origins: texts(&["https://app.example.org"]),
        products: None,
    }
}

pub fn machine() -> ClientRegistration {
    ClientRegistration {
        name: "Service".into(),
        flows: texts(&["client_credentials"]),
        redirect_uris: vec![],
        scopes: texts(&["admin:read", "admin:write", "fleet:read", "devices:read"]),
        default_scopes: Some(texts(&["fleet:read", "devices:read"])),
        refresh_policy: RefreshPolicy::None,
        cors_origins: vec![],
        ..web()
    }
}

pub fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))
}

pub fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// An authorization request's address; an empty value leaves a parameter of the usual ones out.
pub fn authorize_path(client: &Registered, changes: &[(&str, &str)]) -> String {
    let id = client.id();
    let challenge = challenge();
    let redirect_uri = client.client.redirect_uris.first().map_or("", |uri| uri.as_str());
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", id.as_str()),
        ("redirect_uri", redirect_uri),
        ("state", "s t&te"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        pairs.retain(|(own, _)| own != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    format!("/oauth/authorize?{}", encoded(&pairs))
}

pub struct Browser<'d> {
    pub door: &'d Door,
    pub cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path)
            .header(COOKIE, self.cookie_field())
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }

    /// Sends a page's form back, as a browser does.
    pub async fn submit(&mut self, path: &str, page: &Answer, pairs: &[(&str, &str)]) -> Answer {
        let token = form_token(page);
        let pairs: Vec<_> = pairs.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post(path, Some("https://api.example.com"), &pairs).await
    }

    pub async fn post(&mut self, path: &str, origin: Option<&str>, pairs: &[(&str, &str)]) -> Answer {
        let mut request = Request::post(path)
            .header(COOKIE, self.cookie_field())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        self.send(request.body(Body::from(encoded(pairs))).unwrap()).await
    }

    pub async fn sign_in(&mut self, path: &str) -> Answer {
        let page = self.get(path).await;
        self.submit(
            path,
            &page,
            &[("action", "sign-in"), ("email", EMAIL), ("password", PASSWORD)],
        )
        .await
    }

    /// All the way: signs in, agrees, and takes the code out of the redirect.
    pub async fn code(&mut self, client: &Registered) -> String {
        let path = authorize_path(client, &[]);
        let done = self.agree(&path).await;
        redirected(&done)["code"].clone()
    }

    pub async fn agree(&mut self, path: &str) -> Answer {
        let signed_in = self.sign_in(path).await;
        assert_eq!(signed_in.status, 303, "{}", signed_in.text);
        let next = signed_in.headers[LOCATION].to_str().unwrap().to_owned();
        let consent = self.get(&next).await;
        if consent.status == 303 {
            return consent;
        }
        self.submit(&next, &consent, &[("action", "allow")]).await
    }

    fn cookie_field(&self) -> String {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    async fn send(&mut self, request: Request<Body>) -> Answer {
        let answer = ask(&self.door.router, request).await;
        for field in answer.headers.get_all(SET_COOKIE) {
            let (name, rest) = field.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

pub fn form_token(page: &Answer) -> String {
    let (_, rest) = page
        .text
        .split_once("name=\"form_token\" value=\"")
        .unwrap_or_else(|| panic!("{}", page.text));
    rest.split('"').next().unwrap().to_owned()
}

/// The parameters that a redirect carries.
pub fn redirected(answer: &Answer) -> BTreeMap<String, String> {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let location = answer.headers[LOCATION].to_str().unwrap();
    let (_, query) = location.split_once('?').unwrap();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

pub fn as_json(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
