//! The world as it is found on the first start: one maker without an organisation, two products with
//! an OAuth client each, and a fleet. Ids and names follow from the seed; secrets never do.

use std::collections::{BTreeMap, VecDeque};

use super::device::Commissioning;
use super::{ClientHome, ClientKind, Device, Link, Product, ProductRole, Standing, User, World};
use crate::device::{Firmware, Thermostat, Vehicle, noise};
use crate::id::{DeviceId, ProductId, UserId};

pub(crate) const THERMOSTAT_PRODUCT: ProductId = ProductId(40_101);
pub(crate) const VEHICLE_PRODUCT: ProductId = ProductId(40_102);

/// What distinguishes one device from another at birth.
pub(crate) struct Birth {
    pub id: DeviceId,
    pub name: Option<String>,
    pub product_id: Option<ProductId>,
    pub seed: u64,
    pub commissioning: Commissioning,
    pub firmware: Firmware,
}

impl World {
    pub(super) fn seed(&mut self) {
        let maker = self.seed_account();
        self.add_product(THERMOSTAT_PRODUCT, "thermostat", "Thermostat", 32, &maker);
        self.add_product(VEHICLE_PRODUCT, "vehicle", "Vehicle", 26, &maker);
        for (product, name) in [(THERMOSTAT_PRODUCT, "thermostat"), (VEHICLE_PRODUCT, "vehicle")] {
            self.add_client(ClientHome::Product(product), name, ClientKind::Installed);
        }
        self.seed_fleet();
    }

    fn seed_account(&mut self) -> UserId {
        let account = self.config.account.clone();
        let password = account.password.unwrap_or_else(|| self.random_hex(20));
        self.add_user(&account.username, &password)
    }

    pub(crate) fn add_user(&mut self, username: &str, password: &str) -> UserId {
        let id = UserId::new(&self.random_hex(24));
        let user = User {
            id: id.clone(),
            username: username.to_owned(),
            password: password.to_owned(),
            otp: None,
        };
        self.registry.users.insert(id.clone(), user);
        id
    }

    pub(crate) fn add_product(&mut self, id: ProductId, slug: &str, name: &str, platform_id: u16, maker: &UserId) {
        let product = Product {
            id,
            slug: slug.to_owned(),
            name: name.to_owned(),
            description: format!("Simulated product {name}"),
            platform_id,
            team: BTreeMap::from([(maker.clone(), ProductRole::Administrator)]),
        };
        self.registry.products.insert(id, product);
    }

    fn seed_fleet(&mut self) {
        let now = self.now();
        let config = std::sync::Arc::clone(&self.config);
        for n in 0..config.thermostats + config.unregistered {
            let seed = noise::mix(config.seed, n as u64);
            let is_registered = n < config.thermostats;
            self.add_device(Birth {
                id: device_id(seed),
                name: is_registered.then(|| format!("thermostat-{:02}", n + 1)),
                product_id: Some(THERMOSTAT_PRODUCT),
                seed,
                commissioning: if is_registered {
                    Commissioning::InService
                } else {
                    Commissioning::FactoryFresh
                },
                firmware: Firmware::Thermostat(Thermostat::installed(now, seed)),
            });
        }
        for n in 0..config.vehicles {
            let seed = noise::mix(config.seed ^ 0x7665_6869_636c_6500, n as u64);
            let outages = config.vehicle_outages && n % 3 == 2;
            self.add_device(Birth {
                id: device_id(seed),
                name: Some(format!("vehicle-{:02}", n + 1)),
                product_id: Some(VEHICLE_PRODUCT),
                seed,
                commissioning: Commissioning::InService,
                firmware: Firmware::Vehicle(Vehicle::parked(now, seed, outages)),
            });
        }
    }

    /// Its first turn comes within five seconds, so that a fleet does not speak in chorus.
    pub(crate) fn add_device(&mut self, birth: Birth) {
        let now = self.now();
        let device = Device {
            number: self.registry.devices.len(),
            reports_itself: birth.commissioning == Commissioning::FactoryFresh,
            name: birth.name,
            serial_number: format!("OSTSIM{:09}", birth.seed % 1_000_000_000),
            product_id: birth.product_id,
            owner: None,
            notes: None,
            groups: Vec::new(),
            development: false,
            desired_firmware_version: None,
            firmware_version: 1,
            firmware_updates_forced: false,
            standing: Standing::Approved,
            link: Link::default(),
            last_heard_at: Some(now),
            last_handshake_at: Some(now),
            commissioning: birth.commissioning,
            credential: None,
            claim_code: None,
            seed: birth.seed,
            next_turn_at: now + (birth.seed % 5_000) as i64,
            stored: VecDeque::new(),
            firmware: birth.firmware,
            id: birth.id.clone(),
        };
        self.registry.devices.insert(birth.id, device);
    }
}

/// `e00fce68` is how ids of the third generation begin.
pub(crate) fn device_id(seed: u64) -> DeviceId {
    DeviceId::new(&format!("e00fce68{:016x}", noise::mix(seed, 77)))
}
