//! The simulated cloud with the world of the fixtures, and the adapter connected to it.

use ostler_app::device_cloud::CloudCredential;
use ostler_particle::ParticleOptions;
use ostler_sim::{AccountConfig, Custom, DeviceId, NewDevice, ProductId, Sim, SimConfig, SimHandle, TimeSource};
use serde_json::json;

use crate::permits::BARN_3;
use crate::support::{Adapter, START, options};

pub const MAKER: &str = "ops@example.com";
pub const PASSWORD: &str = "correct horse";

pub struct Barn {
    pub sim: Sim,
    pub cloud: SimHandle,
    pub product: ProductId,
    pub client: (String, String),
    pub device: DeviceId,
}

impl Barn {
    pub async fn new() -> Self {
        let sim = Sim::start(SimConfig {
            time: TimeSource::Simulated {
                start_ms: START.millis(),
            },
            thermostats: 0,
            vehicles: 0,
            unregistered: 0,
            heartbeat_ms: 50,
            account: AccountConfig {
                username: MAKER.to_owned(),
                password: Some(PASSWORD.to_owned()),
            },
            ..SimConfig::default()
        })
        .await
        .unwrap();
        let cloud = sim.handle();
        let product = cloud.add_product(40_123, "barn-v1");
        let client = cloud.add_client(product, "backend");
        let barn = Self {
            sim,
            cloud,
            product,
            client,
            device: DeviceId::new(BARN_3),
        };
        barn.add_device(Some(BARN_3), "barn-3");
        barn
    }

    pub fn add_device(&self, id: Option<&str>, name: &str) -> DeviceId {
        self.cloud.add_device(NewDevice {
            id: id.map(DeviceId::new),
            name: Some(name.to_owned()),
            product_id: Some(self.product),
            firmware: Custom {
                functions: [("setValve".to_owned(), 1)].into(),
                variables: [("volts".to_owned(), json!(3.91))].into(),
            },
            quarantined: false,
        })
    }

    pub fn credential(&self) -> CloudCredential {
        CloudCredential::Client {
            client_id: self.client.0.clone(),
            client_secret: self.client.1.clone().into(),
        }
    }

    pub fn adapter(&self) -> Adapter {
        self.adapter_with(options())
    }

    pub fn adapter_with(&self, options: ParticleOptions) -> Adapter {
        Adapter::with(options, &self.sim.base_url(), self.credential())
    }

    pub fn acts(&self) -> usize {
        self.cloud.acts(0).len()
    }

    /// How often `path` was asked for, whatever the method.
    pub fn asked(&self, path: &str) -> usize {
        let requests = self.cloud.requests(0);
        requests.iter().filter(|request| request.path.starts_with(path)).count()
    }
}
