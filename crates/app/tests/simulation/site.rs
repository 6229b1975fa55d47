//! An installation as every run finds it: a product, devices, customers with grants and tokens.
//! Made once; on SQLite each run gets a copy of the file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ostler_core::caller::{Caller, Principal};
use ostler_core::client::{ClientKind, ClientRegistration, RefreshPolicy};
use ostler_core::id::{ClientId, CustomerId, DeviceId, GrantId, ProductId, TokenFamilyId};
use ostler_core::port::Entropy;
use ostler_core::product_file::ProductFile;
use ostler_core::scope::{Scope, ScopeSet};
use ostler_core::secret::{AccessToken, IngestSecret};
use ostler_core::time::Timestamp;
use ostler_store::{
    Actor, Applied, DeviceImported, FaultPlan, MasterKey, MasterKeys, NewCustomer, NewDevice, NewTokens, NoFaults,
    RegisteredClient, Said, Store, StoreOptions, TokenFacts,
};
use ostler_testkit::Scratch;

use super::chance::SeededEntropy;
use crate::world::{NOW, cloud_id, share};

pub const CUSTOMERS: usize = 3;
/// On each of these, each customer has a grant.
pub const SHARED: usize = 3;
/// Nobody's.
pub const FREE: usize = SHARED;

#[derive(Clone)]
pub struct Site {
    pub product_id: ProductId,
    pub devices: Vec<DeviceId>,
    pub customers: Vec<Customer>,
    pub ingest_secret: IngestSecret,
    /// Of a device that has not reported itself yet.
    pub credential: String,
}

#[derive(Clone)]
pub struct Customer {
    pub id: CustomerId,
    pub token: AccessToken,
    /// By device.
    pub grants: Vec<GrantId>,
}

/// The cloud's number of the device that will register itself.
pub const NEWCOMER: u64 = 70;

pub fn options(entropy: &Arc<SeededEntropy>, faults: Arc<dyn FaultPlan>) -> StoreOptions {
    let keys = MasterKeys::new(MasterKey::from_bytes([9; 32]), Vec::new());
    StoreOptions {
        faults,
        ..StoreOptions::new(keys, Arc::clone(entropy) as Arc<dyn Entropy>)
    }
}

pub fn url(folder: &Path) -> String {
    format!("sqlite:{}", file(folder).display())
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("ostler.db")
}

/// Copies the installation into a folder.
pub fn copied_to(folder: &Path) -> Site {
    static MADE: OnceLock<(Vec<u8>, Site)> = OnceLock::new();
    let (bytes, site) = MADE.get_or_init(|| {
        let scratch = Scratch::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let site = runtime.block_on(made_at(&url(scratch.path())));
        (std::fs::read(file(scratch.path())).unwrap(), site)
    });
    std::fs::write(file(folder), bytes).unwrap();
    site.clone()
}

pub async fn made_at(url: &str) -> Site {
    let entropy = Arc::new(SeededEntropy::new(u64::MAX));
    let store = Store::open(url, options(&entropy, Arc::new(NoFaults)), NOW)
        .await
        .unwrap();
    let builder = Builder {
        store: &store,
        entropy: &entropy,
    };
    let site = builder.site().await;
    store.close().await;
    site
}

struct Builder<'a> {
    store: &'a Store,
    entropy: &'a SeededEntropy,
}

impl Builder<'_> {
    async fn site(&self) -> Site {
        let file = ProductFile::from_json(PRODUCT).unwrap();
        let product_id = match self.store.apply_product(&file, Actor::System, NOW).await.unwrap() {
            Applied::Created { id } | Applied::Changed { id, .. } | Applied::Unchanged { id, .. } => id,
        };
        let new = |number| NewDevice {
            product_id,
            cloud_device_id: cloud_id(number),
            name: None,
            credential_digest: None,
        };
        let wanted: Vec<_> = (0..=FREE as u64).map(new).collect();
        let imported = self.store.import_devices(&wanted, Actor::System, NOW).await.unwrap();
        let devices: Vec<_> = imported
            .into_iter()
            .filter_map(|device| match device {
                DeviceImported::Imported(id) | DeviceImported::Known(id) => Some(id),
                DeviceImported::ElsewhereAlready => None,
            })
            .collect();
        let client_id = self.client().await;
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            customers.push(self.customer(number, client_id, &devices[..SHARED]).await);
        }
        let key = self.store.registration_key(product_id).await.unwrap().unwrap();
        Site {
            product_id,
            devices,
            customers,
            ingest_secret: self
                .store
                .rotate_ingest_secret(product_id, Actor::System, NOW)
                .await
                .unwrap(),
            credential: key.credential_of(&cloud_id(NEWCOMER)),
        }
    }

    async fn client(&self) -> ClientId {
        let registration = ClientRegistration {
            name: "App".into(),
            kind: ClientKind::Public,
            flows: vec!["authorization_code".into()],
            redirect_uris: vec!["https://app.example.com/".into()],
            scopes: vec!["devices:control".into(), "history:read".into()],
            default_scopes: None,
            refresh_policy: RefreshPolicy::None,
            cors_origins: Vec::new(),
            products: None,
        };
        let client = registration.check(ClientId::draw(NOW, self.entropy), NOW).unwrap();
        let id = client.id;
        self.store
            .create_client(
                &RegisteredClient {
                    client,
                    secret_digest: None,
                },
                Actor::System,
                NOW,
            )
            .await
            .unwrap();
        id
    }

    async fn customer(&self, number: usize, client_id: ClientId, devices: &[DeviceId]) -> Customer {
        let id = CustomerId::draw(NOW, self.entropy);
        let customer = NewCustomer {
            id,
            email: format!("customer-{number}@example.test").parse().unwrap(),
            name: None,
            password_hash: None,
            products: BTreeSet::new(),
        };
        self.store.create_customer(&customer, Actor::System, NOW).await.unwrap();
        let token = AccessToken::draw(self.entropy);
        let caller = Caller {
            who: Principal::Customer(id),
            client_id,
            family_id: TokenFamilyId::draw(NOW, self.entropy),
            scopes: ScopeSet::EMPTY.with(Scope::DevicesControl).with(Scope::HistoryRead),
            token: token.digest(),
        };
        let facts = TokenFacts {
            caller,
            issued_at: NOW,
            expires_at: Timestamp::MAX,
            confirms: None,
        };
        self.store
            .issue_tokens(
                &NewTokens {
                    facts: Arc::new(facts),
                    refresh: None,
                },
                NOW,
            )
            .await
            .unwrap();
        let mut grants = Vec::new();
        for device_id in devices {
            let grant = share(GrantId::draw(NOW, self.entropy), id, *device_id);
            grants.push(grant.id);
            self.store
                .create_grant(
                    grant,
                    Said {
                        by: Actor::System,
                        reason: None,
                    },
                    NOW,
                )
                .await
                .unwrap();
        }
        Customer { id, token, grants }
    }
}

const PRODUCT: &str = r#"{"slug": "thermostat", "name": "Thermostat", "time_zone": "Europe/Berlin", "access_mode": "fleet",
    "functions": [{"name": "set", "argument": {"type": "integer", "min": 0, "max": 1000000}}],
    "telemetry": [{"event": "t/state", "keys": [{"key": "temperature", "pointer": "/n", "type": "number"}]}]}"#;
