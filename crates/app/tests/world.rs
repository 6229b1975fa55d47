//! One installation for one test: the real store and use cases, a clock that the test moves, and a
//! device cloud whose part the test plays.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ostler_app::device_cloud::{
    CloudConnection, CloudError, DeviceCloud, HookRequest, HookStep, ListedDevice, ReadOutcome, StreamItem,
};
use ostler_app::{App, Parts, Settings};
use ostler_core::caller::{Caller, Principal, ProductReach};
use ostler_core::command::CallOutcome;
use ostler_core::event::CloudEvent;
use ostler_core::grant::{Allowance, Grant, GrantSource};
use ostler_core::id::{CloudDeviceId, CustomerId, DeviceId, GrantId, ProductId};
use ostler_core::interval::Interval;
use ostler_core::policy::{CallPermit, ReadPermit};
use ostler_core::port::{Clock, Entropy};
use ostler_core::product_file::ProductFile;
use ostler_core::scope::ScopeSet;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;
use ostler_store::{
    Actor, Applied, DeviceImported, FaultPlan, FaultPoint, MIGRATIONS, MasterKey, MasterKeys, NewCustomer, NewDevice,
    NoFaults, Said, Store, StoreOptions,
};
use ostler_testkit::{Database, Postgres, Scratch};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

/// Runs one test on both databases.
macro_rules! on_both {
    ($(async fn $name:ident($world:ident) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn check($world: crate::world::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check(crate::world::World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                check(crate::world::World::postgres().await).await;
            }
        }
    )+};
}
pub(crate) use on_both;

pub const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

/// So many seconds after the beginning of the test.
pub fn after(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + 1000 * seconds)
}

/// Stands still until it is moved.
pub struct TestClock {
    origin: Instant,
    moved_ms: AtomicI64,
}

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.moved_ms
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    fn moved(&self) -> Duration {
        Duration::from_millis(self.moved_ms.load(Ordering::SeqCst).unsigned_abs())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        NOW + self.moved()
    }

    fn instant(&self) -> Instant {
        self.origin + self.moved()
    }
}

/// Bytes that differ at each call and are the same in each run.
#[derive(Default)]
pub struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        for (index, chunk) in bytes.chunks_mut(32).enumerate() {
            let block = Sha256::digest([count.to_be_bytes(), (index as u64).to_be_bytes()].concat());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// What no test looks at: the cloud is connected, reads nothing, and has the hooks that are wanted.
macro_rules! plays_no_other_part {
    () => {
        fn connect(&self, _product_id: ProductId, _connection: Option<CloudConnection>) {}

        fn read_variable<'a>(&'a self, _permit: &'a ReadPermit, _deadline: Duration) -> BoxFuture<'a, ReadOutcome> {
            async { ReadOutcome::Unavailable }.boxed()
        }

        fn check(&self, _product_id: ProductId) -> BoxFuture<'_, Result<(), CloudError>> {
            async { Ok(()) }.boxed()
        }

        fn ensure_hooks<'a>(
            &'a self,
            _product_id: ProductId,
            _request: &'a HookRequest,
            _dry_run: bool,
        ) -> BoxFuture<'a, Result<Vec<HookStep>, CloudError>> {
            async { Ok(Vec::new()) }.boxed()
        }

        fn publish<'a>(
            &'a self,
            _product_id: ProductId,
            _name: &'a str,
            _data: &'a str,
        ) -> BoxFuture<'a, Result<(), CloudError>> {
            async { Ok(()) }.boxed()
        }
    };
}
pub(crate) use plays_no_other_part;

/// The device cloud, as far as it lists devices and streams events.
#[derive(Default)]
pub struct TestCloud {
    pub devices: Mutex<Vec<ListedDevice>>,
    streams: Mutex<Vec<(ProductId, mpsc::Sender<StreamItem>)>>,
}

impl TestCloud {
    /// The stream that was opened last for this product.
    pub fn stream(&self, product_id: ProductId) -> Option<mpsc::Sender<StreamItem>> {
        let streams = self.streams.lock().unwrap();
        streams
            .iter()
            .rev()
            .find(|(of, _)| *of == product_id)
            .map(|(_, sender)| sender.clone())
    }
}

impl DeviceCloud for TestCloud {
    plays_no_other_part!();

    fn call_function<'a>(&'a self, _permit: &'a CallPermit, _deadline: Duration) -> BoxFuture<'a, CallOutcome> {
        async { CallOutcome::Unknown }.boxed()
    }

    fn events(&self, product_id: ProductId) -> mpsc::Receiver<StreamItem> {
        let (sender, receiver) = mpsc::channel(16);
        self.streams.lock().unwrap().push((product_id, sender));
        receiver
    }

    fn list_devices(&self, _product_id: ProductId) -> BoxFuture<'_, Result<Vec<ListedDevice>, CloudError>> {
        async { Ok(self.devices.lock().unwrap().clone()) }.boxed()
    }
}

/// Strikes the next so many passages of one point.
#[derive(Default)]
pub struct Strikes(Mutex<Option<(FaultPoint, u32)>>);

impl Strikes {
    pub fn arm(&self, point: FaultPoint, times: u32) {
        *self.0.lock().unwrap() = Some((point, times));
    }
}

impl FaultPlan for Strikes {
    fn strikes(&self, point: FaultPoint) -> bool {
        match &mut *self.0.lock().unwrap() {
            Some((armed, times)) if *armed == point && *times > 0 => {
                *times -= 1;
                true
            }
            Some(_) | None => false,
        }
    }
}

enum Place {
    Sqlite(Scratch),
    Postgres(Database),
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(scratch) => format!("sqlite:{}", scratch.path().join("ostler.db").display()),
            Self::Postgres(database) => database.url().to_owned(),
        }
    }
}

pub struct World {
    pub app: Arc<App>,
    pub store: Arc<Store>,
    pub cloud: Arc<TestCloud>,
    pub clock: Arc<TestClock>,
    pub entropy: Arc<Counting>,
    pub faults: Arc<Strikes>,
    _place: Place,
}

fn options(entropy: &Arc<Counting>, faults: Arc<dyn FaultPlan>) -> StoreOptions {
    let keys = MasterKeys::new(MasterKey::from_bytes([9; 32]), Vec::new());
    StoreOptions {
        faults,
        ..StoreOptions::new(keys, Arc::clone(entropy) as Arc<dyn Entropy>)
    }
}

impl World {
    pub async fn sqlite() -> Self {
        Self::at(Place::Sqlite(Scratch::new())).await
    }

    pub async fn postgres() -> Self {
        let server = Postgres::shared();
        let schema: String = MIGRATIONS.iter().map(|migration| migration.checksum()).collect();
        let name: String = Sha256::digest(schema)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let template = server
            .template(&format!("ostler_app_{name}"), |url| async move {
                Store::open(&url, options(&Arc::default(), Arc::new(NoFaults)), NOW)
                    .await
                    .unwrap()
                    .close()
                    .await;
            })
            .await;
        Self::at(Place::Postgres(server.fresh_database(Some(&template)))).await
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from a number")]
    async fn at(place: Place) -> Self {
        let entropy = Arc::new(Counting::default());
        let faults = Arc::new(Strikes::default());
        let opened = Store::open(
            &place.url(),
            options(&entropy, Arc::clone(&faults) as Arc<dyn FaultPlan>),
            NOW,
        )
        .await;
        let store = Arc::new(opened.unwrap());
        let cloud = Arc::new(TestCloud::default());
        let clock = Arc::new(TestClock {
            origin: Instant::now(),
            moved_ms: AtomicI64::new(0),
        });
        let app = App::new(Parts {
            store: Arc::clone(&store),
            cloud: Arc::clone(&cloud) as Arc<dyn DeviceCloud>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&entropy) as Arc<dyn Entropy>,
            settings: Settings::default(),
        });
        Self {
            app,
            store,
            cloud,
            clock,
            entropy,
            faults,
            _place: place,
        }
    }

    pub async fn product(&self, slug: &str) -> ProductId {
        let file = PRODUCT.replace("SLUG", slug);
        let file = ProductFile::from_json(&file).unwrap();
        match self.store.apply_product(&file, Actor::System, NOW).await.unwrap() {
            Applied::Created { id } | Applied::Changed { id, .. } | Applied::Unchanged { id, .. } => id,
        }
    }

    pub async fn device(&self, product_id: ProductId, number: u64) -> DeviceId {
        let device = NewDevice {
            product_id,
            cloud_device_id: cloud_id(number),
            name: None,
            credential_digest: None,
        };
        match self.store.import_devices(&[device], Actor::System, NOW).await.unwrap()[0] {
            DeviceImported::Imported(id) | DeviceImported::Known(id) => id,
            DeviceImported::ElsewhereAlready => panic!("device {number} belongs to another product"),
        }
    }

    /// A customer with a grant on a device; `change` says what is special about the grant.
    pub async fn holder(&self, name: &str, device_id: DeviceId, change: impl FnOnce(Grant) -> Grant) -> Caller {
        let customer_id = CustomerId::draw(NOW, &*self.entropy);
        let customer = NewCustomer {
            id: customer_id,
            email: format!("{name}@example.test").parse().unwrap(),
            name: None,
            password_hash: None,
            products: BTreeSet::new(),
        };
        self.store.create_customer(&customer, Actor::System, NOW).await.unwrap();
        let grant = change(share(GrantId::draw(NOW, &*self.entropy), customer_id, device_id));
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
        caller(Principal::Customer(customer_id))
    }
}

/// Everything that the device can do and has said, from now on without end.
pub fn share(id: GrantId, customer_id: CustomerId, device_id: DeviceId) -> Grant {
    Grant {
        id,
        version: 1,
        customer_id,
        device_id,
        source: GrantSource::Share,
        functions: Allowance::All,
        variables: Allowance::All,
        keys: Allowance::All,
        history: Interval::ALWAYS,
        starts_at: NOW,
        ends_at: None,
    }
}

pub fn caller(who: Principal) -> Caller {
    Caller {
        who,
        client_id: "cli_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
        family_id: "fam_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
        token: SecretDigest::of("a token"),
        scopes: ScopeSet::EMPTY,
    }
}

pub fn machine(products: ProductReach) -> Caller {
    caller(Principal::Machine { products })
}

pub fn cloud_id(number: u64) -> CloudDeviceId {
    format!("e00fce68{number:016x}").parse().unwrap()
}

/// Published by device `number`, so many seconds after the beginning.
pub fn event(number: u64, seconds: i64, name: &str, data: &str) -> CloudEvent {
    CloudEvent {
        source: Some(cloud_id(number)),
        name: name.to_owned(),
        data: Some(data.to_owned()),
        published_at: after(seconds),
        vendor_event_id: None,
    }
}

const PRODUCT: &str = r#"{"slug": "SLUG", "name": "Thermostat", "time_zone": "Europe/Berlin", "access_mode": "fleet",
    "telemetry": [
        {"event": "t/state", "time": {"pointer": "/time", "unit": "ms"}, "keys": [
            {"key": "temperature", "pointer": "/t", "type": "number", "unit": "Cel"},
            {"key": "heating", "pointer": "/heating", "type": "boolean"},
            {"key": "mode", "pointer": "/mode", "type": "text"}]},
        {"event": "loc*", "keys": [{"key": "position", "pointer": "/loc", "type": "location"}]}]}"#;
