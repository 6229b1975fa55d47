//! One installation for one test, and builders that say only what matters to it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ostler_core::grant::{Allowance, Grant, GrantSource};
use ostler_core::id::{ClientId, CommandId, CustomerId, DeviceId, GrantId, ProductId};
use ostler_core::interval::Interval;
use ostler_core::policy::{Facts, Right};
use ostler_core::port::Entropy;
use ostler_core::product_file::ProductFile;
use ostler_core::time::Timestamp;
use ostler_store::{
    Actor, Applied, By, DeviceImported, FaultPlan, FaultPoint, MIGRATIONS, MasterKey, MasterKeys, NewCommand,
    NewCustomer, NewDevice, Said, Store, StoreOptions,
};
use ostler_testkit::{Database, Postgres, Scratch};
use sha2::{Digest as _, Sha256};

/// Runs one test on both databases.
macro_rules! on_both {
    ($(async fn $name:ident($world:ident) $body:block)+) => {$(
        async fn $name($world: crate::suite::world::World) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(crate::suite::world::World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(crate::suite::world::World::postgres().await).await;
            }
        }
    )+};
}
pub(crate) use on_both;

/// Bytes that differ at each call, and between instances, but not between runs.
pub struct Counting {
    seed: u64,
    calls: AtomicU64,
}

impl Counting {
    pub const fn seeded(seed: u64) -> Self {
        Self {
            seed,
            calls: AtomicU64::new(0),
        }
    }
}

impl Default for Counting {
    fn default() -> Self {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        Self::seeded(INSTANCES.fetch_add(1, Ordering::Relaxed))
    }
}

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        for (index, chunk) in bytes.chunks_mut(32).enumerate() {
            let block = Sha256::digest([self.seed, call, index as u64].map(u64::to_be_bytes).concat());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

impl Counting {
    /// A number below `bound`.
    pub fn small(&self, bound: u8) -> u8 {
        let mut byte = [0];
        self.fill(&mut byte);
        byte[0] % bound
    }
}

/// Strikes where it is told, as often as it is told.
#[derive(Default)]
pub struct Armed(Mutex<Vec<FaultPoint>>);

impl Armed {
    pub fn disarm(&self) {
        self.0.lock().unwrap().clear();
    }

    pub fn arm(&self, points: &[FaultPoint]) {
        self.0.lock().unwrap().extend_from_slice(points);
    }
}

impl FaultPlan for Armed {
    fn strikes(&self, point: FaultPoint) -> bool {
        let mut armed = self.0.lock().unwrap();
        match armed.iter().position(|each| *each == point) {
            Some(index) => {
                armed.remove(index);
                true
            }
            None => false,
        }
    }
}

pub const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

pub fn later(millis: u64) -> Timestamp {
    NOW + Duration::from_millis(millis)
}

pub enum Place {
    Sqlite(Scratch),
    Postgres(Database),
}

pub struct World {
    pub store: Store,
    pub entropy: Arc<Counting>,
    pub place: Place,
}

impl Place {
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(scratch) => format!("sqlite:{}", scratch.path().join("ostler.db").display()),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }

    pub fn sqlite() -> Self {
        Self::Sqlite(Scratch::new())
    }

    /// A database without any table.
    pub fn empty_postgres() -> Self {
        Self::Postgres(Postgres::shared().fresh_database(None))
    }

    /// A copy of a migrated database. The copy's first chain comes with it.
    pub async fn postgres() -> Self {
        let server = Postgres::shared();
        let schema: String = MIGRATIONS.iter().map(|migration| migration.checksum()).collect();
        let name = format!("ostler_store_{}", &hex(&Sha256::digest(schema))[..16]);
        let template = server
            .template(&name, |url| async move {
                Store::open(&url, options(&Arc::new(Counting::seeded(u64::MAX))), NOW)
                    .await
                    .unwrap()
                    .close()
                    .await;
            })
            .await;
        Self::Postgres(server.fresh_database(Some(&template)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn options(entropy: &Arc<Counting>) -> StoreOptions {
    let keys = MasterKeys::new(MasterKey::from_bytes([9; 32]), Vec::new());
    StoreOptions::new(keys, Arc::clone(entropy) as Arc<dyn Entropy>)
}

impl World {
    pub async fn sqlite() -> Self {
        Self::at(Place::sqlite()).await
    }

    pub async fn postgres() -> Self {
        Self::at(Place::postgres().await).await
    }

    pub async fn at(place: Place) -> Self {
        Self::with(place, |options| options).await
    }

    pub async fn with(place: Place, change: impl FnOnce(StoreOptions) -> StoreOptions) -> Self {
        let entropy = Arc::new(Counting::default());
        let store = Store::open(&place.url(), change(options(&entropy)), NOW).await.unwrap();
        Self { store, entropy, place }
    }

    /// Stops and starts again, as after a deployment.
    pub async fn reopened(self) -> Self {
        let Self { store, entropy, place } = self;
        store.close().await;
        let store = Store::open(&place.url(), options(&entropy), NOW).await.unwrap();
        Self { store, entropy, place }
    }

    pub async fn product(&self, slug: &str) -> ProductId {
        match self
            .store
            .apply_product(&product_file(slug), Actor::System, NOW)
            .await
            .unwrap()
        {
            Applied::Created { id } | Applied::Changed { id, .. } | Applied::Unchanged { id, .. } => id,
        }
    }

    pub async fn device(&self, product_id: ProductId, number: u64) -> DeviceId {
        let device = NewDevice {
            product_id,
            cloud_device_id: format!("e00fce68{number:016x}").parse().unwrap(),
            name: Some(format!("Device {number}")),
            credential_digest: None,
        };
        match self.store.import_devices(&[device], Actor::System, NOW).await.unwrap()[0] {
            DeviceImported::Imported(id) | DeviceImported::Known(id) => id,
            DeviceImported::ElsewhereAlready => panic!("device {number} belongs to another product"),
        }
    }

    pub async fn customer(&self, name: &str) -> CustomerId {
        let id = CustomerId::draw(NOW, &*self.entropy);
        let customer = NewCustomer {
            id,
            email: format!("{name}@example.test").parse().unwrap(),
            name: None,
            password_hash: None,
            products: BTreeSet::new(),
        };
        self.store.create_customer(&customer, Actor::System, NOW).await.unwrap();
        id
    }

    pub fn grant(&self, customer_id: CustomerId, device_id: DeviceId, source: GrantSource) -> Grant {
        Grant {
            id: GrantId::draw(NOW, &*self.entropy),
            version: 1,
            customer_id,
            device_id,
            source,
            functions: Allowance::All,
            variables: Allowance::All,
            keys: Allowance::All,
            history: Interval::ALWAYS,
            starts_at: NOW,
            ends_at: None,
        }
    }

    /// A customer, a device, and a grant between them.
    pub async fn held_device(&self) -> (CustomerId, DeviceId, GrantId) {
        let product_id = self.product("thermostat").await;
        let device_id = self.device(product_id, 1).await;
        let customer_id = self.customer("ada").await;
        let grant = self.grant(customer_id, device_id, GrantSource::Owner);
        let grant_id = grant.id;
        self.store.create_grant(grant, said(), NOW).await.unwrap();
        (customer_id, device_id, grant_id)
    }

    pub fn command(&self, device_id: DeviceId) -> NewCommand {
        NewCommand {
            id: CommandId::draw(NOW, &*self.entropy),
            product_id: None,
            device_id,
            by: By {
                client_id: self.client_id(),
                customer_id: None,
                staff_id: None,
            },
            right: Some(Right::Maker),
            function: "setTarget".parse().unwrap(),
            argument: "20".into(),
            reason: None,
            idempotency: None,
            cool_down: Duration::ZERO,
            created_at: NOW,
            deadline_at: later(60_000),
        }
    }

    pub fn client_id(&self) -> ClientId {
        "cli_01h455vb4pex5vsknk084sn02q".parse().unwrap()
    }

    /// What the model says, and that the database says the same.
    pub async fn facts(&self, customer_id: CustomerId, device_id: DeviceId) -> Facts {
        let function = "setTarget".parse().unwrap();
        let at = Instant::now();
        let recalled = self
            .store
            .facts(Some(customer_id), device_id, Some(&function), at)
            .await
            .unwrap();
        let read = self
            .store
            .facts_from_database(Some(customer_id), device_id, Some(&function), at)
            .await
            .unwrap();
        assert_eq!(format!("{recalled:?}"), format!("{read:?}"));
        assert!(self.store.model_agrees().await.unwrap());
        recalled
    }
}

pub fn said() -> Said {
    Said {
        by: Actor::System,
        reason: Some("because".to_owned()),
    }
}

pub fn product_file(slug: &str) -> ProductFile {
    ProductFile::from_json(&format!(
        r#"{{"slug": "{slug}", "name": "Thermostat", "time_zone": "Europe/Berlin", "access_mode": "fleet",
             "functions": [{{"name": "setTarget", "argument": {{"type": "integer", "min": 5, "max": 30}}}}]}}"#
    ))
    .unwrap()
}
