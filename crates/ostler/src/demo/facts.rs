//! The facts file: where to reach the demo and who may sign in. Its members are fixed in the outer
//! interface (§1); it appears at once and whole, readable by its owner only.

use std::path::Path;

use serde::Serialize;

use crate::keys::replace_private;

#[derive(Serialize)]
pub struct Facts {
    pub base_url: String,
    pub sim_url: String,
    pub operator: Account,
    pub particle: ParticleAccount,
    pub customers: Vec<Customer>,
    pub clients: Clients,
    pub products: Vec<Product>,
    pub vehicles: Vec<Vehicle>,
    pub unregistered: Vec<Unregistered>,
    /// Registered for the clients `web` and `app`.
    pub redirect_uris: Vec<String>,
}

#[derive(Serialize)]
pub struct Account {
    pub email: String,
    pub password: String,
}

#[derive(Serialize)]
pub struct ParticleAccount {
    pub username: String,
    pub password: String,
}

#[derive(Serialize)]
pub struct Customer {
    pub id: String,
    pub email: String,
    pub password: String,
    pub devices: Vec<String>,
}

#[derive(Serialize)]
pub struct Clients {
    pub web: Client,
    pub app: Client,
    pub device: Client,
    pub service: Client,
    pub linking: Client,
}

#[derive(Serialize)]
pub struct Client {
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

#[derive(Serialize)]
pub struct Product {
    pub id: String,
    pub slug: String,
    pub cloud_id: String,
    pub ingest_url: String,
    pub ingest_secret: String,
}

#[derive(Serialize)]
pub struct Vehicle {
    /// Null until rentals exist.
    pub vehicle_id: Option<String>,
    pub device_id: String,
    pub cloud_id: String,
}

#[derive(Serialize)]
pub struct Unregistered {
    pub cloud_id: String,
    pub credential: String,
}

impl Facts {
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).expect("text and lists");
        replace_private(path, &text)
    }

    /// Where to look and who may sign in, for whoever started the demo by hand.
    pub fn tell(&self) -> String {
        let mut lines = vec![
            format!("Ostler            {}", self.base_url),
            format!("Simulated cloud   {}", self.sim_url),
            format!("Operator          {} / {}", self.operator.email, self.operator.password),
        ];
        lines.extend(self.customers.iter().map(|customer| {
            format!(
                "Customer          {} / {}  ({} devices)",
                customer.email,
                customer.password,
                customer.devices.len()
            )
        }));
        lines.join("\n")
    }
}
