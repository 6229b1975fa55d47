//! Control from inside the process: what the control API offers and more, for tests and for
//! `ostler demo`. Every method acts at once; what it changes reaches the state file soon after.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::clock::SimClock;
use crate::cloud::Cloud;
use crate::device::{Custom, Firmware, noise};
use crate::event::{Event, View};
use crate::faults::Fault;
use crate::id::{CustomerId, DeviceId, HookId, ProductId, UserId};
use crate::journal::{Act, RequestRecord};
use crate::world::{
    Birth, ClientHome, ClientKind, Commissioning, Device, DeviceView, Owner, Principal, Standing, TokenLife, World,
    device_id,
};

/// See the module. Cheap to clone; works as long as the process does.
#[derive(Clone)]
pub struct SimHandle {
    cloud: Arc<Cloud>,
}

/// Who may sign in, and what there is.
#[derive(Clone)]
pub struct Facts {
    pub username: String,
    pub password: String,
    pub products: Vec<ProductFacts>,
    pub devices: Vec<DeviceFacts>,
}

#[derive(Clone)]
pub struct ProductFacts {
    pub id: ProductId,
    pub slug: String,
    pub client_id: String,
    pub client_secret: String,
}

#[derive(Clone, Debug)]
pub struct DeviceFacts {
    pub cloud_id: DeviceId,
    pub name: Option<String>,
    pub product_id: Option<ProductId>,
    pub online: bool,
    /// Whether its firmware's loop runs; that of a factory-fresh device waits until it has reported
    /// itself.
    pub in_service: bool,
    /// Whether it began, or still is, factory-fresh: one of the settings' `unregistered`.
    pub reports_itself: bool,
}

/// A device to be made.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Made up if absent.
    pub id: Option<DeviceId>,
    pub name: Option<String>,
    pub product_id: Option<ProductId>,
    pub firmware: Custom,
    pub quarantined: bool,
}

impl SimHandle {
    pub(crate) fn new(cloud: Arc<Cloud>) -> Self {
        Self { cloud }
    }

    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.cloud.world());
        self.cloud.keep_soon();
        changed
    }

    /// Waits until all changes so far would survive a crash.
    pub async fn kept(&self) {
        self.cloud.kept().await;
    }

    pub fn clock(&self) -> SimClock {
        self.cloud.clock.clone()
    }

    pub fn now_ms(&self) -> i64 {
        self.cloud.clock.now_ms()
    }

    /// Moves the clock; in simulated time the devices live through it before this returns.
    pub fn advance_ms(&self, by_ms: i64) {
        self.change(|world| world.advance(by_ms));
    }

    /// The maker's account, its products with their first client, and all devices in the order of
    /// their making: the same after a restart.
    pub fn facts(&self) -> Facts {
        let world = self.cloud.world();
        let maker = world.user_by_name(&world.config.account.username);
        let products = world.registry.products.values().filter_map(|product| {
            let home = ClientHome::Product(product.id);
            let clients = world.registry.clients.values().filter(|client| client.home == home);
            let client = clients.min_by_key(|client| client.number)?;
            Some(ProductFacts {
                id: product.id,
                slug: product.slug.clone(),
                client_id: client.id.clone(),
                client_secret: client.secret.clone(),
            })
        });
        let mut devices: Vec<&Device> = world.registry.devices.values().collect();
        devices.sort_by_key(|device| device.number);
        Facts {
            username: maker.map(|user| user.username.clone()).unwrap_or_default(),
            password: maker.map(|user| user.password.clone()).unwrap_or_default(),
            products: products.collect(),
            devices: devices.into_iter().map(|device| device_facts(&world, device)).collect(),
        }
    }

    pub fn device(&self, id: &DeviceId) -> Option<DeviceFacts> {
        let world = self.cloud.world();
        world
            .registry
            .devices
            .get(id)
            .map(|device| device_facts(&world, device))
    }

    /// The device object as the product routes show it.
    pub fn device_wire(&self, id: &DeviceId) -> Option<Value> {
        let world = self.cloud.world();
        world
            .registry
            .devices
            .get(id)
            .map(|device| world.device_wire(device, DeviceView::Product))
    }

    /// What a variable would read, without a request.
    pub fn variable(&self, id: &DeviceId, name: &str) -> Option<Value> {
        self.cloud.world().registry.devices.get(id)?.firmware.read(name)
    }

    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.change(|world| world.add_fault(fault))
    }

    /// False if it no longer stands.
    pub fn clear_fault(&self, id: u64) -> bool {
        self.cloud.world().faults.clear(id)
    }

    pub fn clear_faults(&self) {
        self.cloud.world().faults.clear_all();
    }

    pub fn acts(&self, after: u64) -> Vec<Act> {
        self.cloud.world().journal.acts_after(after)
    }

    pub fn requests(&self, after: u64) -> Vec<RequestRecord> {
        self.cloud.world().journal.requests_after(after)
    }

    /// How many event streams are open over HTTP.
    pub fn open_streams(&self) -> usize {
        self.cloud.world().bus.open()
    }

    /// All events from now on, of all products.
    pub fn subscribe(&self) -> mpsc::Receiver<Arc<Event>> {
        self.cloud.world().bus.subscribe(View::Everything, "", None).1
    }

    /// False if there is no such device.
    pub fn set_online(&self, id: &DeviceId, online: bool) -> bool {
        self.change(|world| world.switch(id, online))
    }

    /// False if there is no such device.
    pub fn publish_as(&self, id: &DeviceId, name: &str, data: Option<&str>) -> bool {
        self.change(|world| world.publish_as(id, name, data.map(str::to_owned)))
    }

    /// Gives the device what it will publish as `ostler/register`, now if the settings say so and at
    /// every later start.
    pub fn set_credential(&self, id: &DeviceId, credential: String) -> bool {
        self.change(|world| {
            let Some(device) = world.registry.devices.get_mut(id) else {
                return false;
            };
            device.credential = Some(credential);
            if world.config.register_at_start {
                world.register(id);
            }
            true
        })
    }

    /// The first start of a factory-fresh device. False without a credential or a connection.
    pub fn register(&self, id: &DeviceId) -> bool {
        self.change(|world| world.register(id))
    }

    /// The device will present this code at its next handshake.
    pub fn give_claim_code(&self, id: &DeviceId, code: String) -> bool {
        self.change(|world| {
            let device = world.registry.devices.get_mut(id);
            device.map(|device| device.claim_code = Some(code)).is_some()
        })
    }

    pub fn add_user(&self, username: &str, password: &str) -> UserId {
        self.change(|world| world.add_user(username, password))
    }

    /// Signing in with the password now needs this one-time password as well.
    pub fn set_otp(&self, user: &UserId, otp: &str) -> bool {
        self.change(|world| {
            let user = world.registry.users.get_mut(user);
            user.map(|user| user.otp = Some(otp.to_owned())).is_some()
        })
    }

    /// A product of the maker's.
    pub fn add_product(&self, id: u32, slug: &str) -> ProductId {
        let maker = self.maker();
        self.change(|world| world.add_product(ProductId(id), slug, slug, 13, &maker));
        ProductId(id)
    }

    /// The account from the settings.
    pub fn maker(&self) -> UserId {
        let world = self.cloud.world();
        let maker = world.user_by_name(&world.config.account.username);
        maker.map_or_else(|| UserId::new(""), |user| user.id.clone())
    }

    /// A client of a product: its id and secret.
    pub fn add_client(&self, product: ProductId, name: &str) -> (String, String) {
        let client = self.change(|world| world.add_client(ClientHome::Product(product), name, ClientKind::Installed));
        (client.id, client.secret)
    }

    /// None if the name is taken.
    pub fn add_customer(&self, product: ProductId, name: &str, password: Option<&str>) -> Option<CustomerId> {
        self.change(|world| world.add_customer(product, name, password.map(str::to_owned)))
    }

    pub fn add_device(&self, device: NewDevice) -> DeviceId {
        self.change(|world| {
            let seed = noise::mix(world.config.seed ^ 0x6d61_6465, world.registry.devices.len() as u64);
            let id = device.id.unwrap_or_else(|| device_id(seed));
            world.add_device(Birth {
                id: id.clone(),
                name: device.name,
                product_id: device.product_id,
                seed,
                commissioning: Commissioning::InService,
                firmware: Firmware::Custom(device.firmware),
            });
            if device.quarantined
                && let Some(device) = world.registry.devices.get_mut(&id)
            {
                device.standing = Standing::Quarantined;
            }
            id
        })
    }

    /// Ownership without a claim. False if there is no such device.
    pub fn give_to_customer(&self, id: &DeviceId, customer: &CustomerId) -> bool {
        self.give(id, Owner::Customer(customer.clone()))
    }

    /// Ownership without a claim. False if there is no such device.
    pub fn give_to_user(&self, id: &DeviceId, user: &UserId) -> bool {
        self.give(id, Owner::User(user.clone()))
    }

    fn give(&self, id: &DeviceId, owner: Owner) -> bool {
        self.change(|world| {
            let device = world.registry.devices.get_mut(id);
            device.map(|device| device.owner = Some(owner)).is_some()
        })
    }

    /// A bearer token of a product client that never expires, without a request.
    pub fn product_token(&self, product: ProductId) -> String {
        self.mint(Principal::ProductClient(product))
    }

    pub fn user_token(&self, user: &UserId) -> String {
        self.mint(Principal::User(user.clone()))
    }

    pub fn customer_token(&self, customer: &CustomerId) -> String {
        self.mint(Principal::Customer(customer.clone()))
    }

    fn mint(&self, principal: Principal) -> String {
        self.change(|world| {
            world
                .mint_token(principal, "in-process", TokenLife::Forever)
                .access_token
        })
    }

    /// Every access and refresh token that stands, and every client's secret: what a test looks for
    /// where it must not be.
    pub fn secrets(&self) -> Vec<String> {
        let registry = &self.cloud.world().registry;
        let tokens = registry.tokens.iter().flat_map(|(access, token)| {
            let refresh = token.refresh.as_ref().map(|refresh| refresh.token.clone());
            std::iter::once(access.clone()).chain(refresh)
        });
        let secrets = registry.clients.values().map(|client| client.secret.clone());
        tokens.chain(secrets).filter(|secret| !secret.is_empty()).collect()
    }

    /// A webhook of a product, declared as over the API. None if it could never be delivered.
    pub fn add_hook(&self, product: ProductId, declaration: Value) -> Option<HookId> {
        let Value::Object(fields) = declaration else {
            return None;
        };
        self.change(|world| {
            world
                .add_hook(ClientHome::Product(product), fields)
                .ok()
                .map(|hook| hook.id)
        })
    }

    /// All webhooks, as the API shows them.
    pub fn hooks(&self) -> Vec<(HookId, Value)> {
        let world = self.cloud.world();
        world
            .registry
            .hooks
            .values()
            .map(|hook| (hook.id.clone(), hook.to_wire()))
            .collect()
    }
}

fn device_facts(world: &World, device: &Device) -> DeviceFacts {
    DeviceFacts {
        cloud_id: device.id.clone(),
        name: device.name.clone(),
        product_id: device.product_id,
        online: world.is_online(device),
        in_service: device.commissioning == Commissioning::InService,
        reports_itself: device.reports_itself,
    }
}
