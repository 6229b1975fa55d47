//! What the maker sets up before customers come: products, devices, customers, clients, grants.

use ostler_sim::DeviceId as CloudDeviceId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Caller, Installation, sign_in};

pub const THERMOSTAT: &str = include_str!("../../src/demo/thermostat.toml");
pub const VEHICLE: &str = include_str!("../../src/demo/vehicle.toml");
pub const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// A product in front of the simulated cloud, with its devices.
pub struct Fleet {
    pub product_id: String,
    pub slug: String,
    pub ingest_secret: String,
    /// Ours and the cloud's ids, in the simulator's order.
    pub devices: Vec<(String, CloudDeviceId)>,
}

pub struct Customer {
    pub id: String,
    pub email: String,
    pub password: String,
}

impl Installation {
    /// The thermostats of the simulated cloud.
    pub async fn thermostats(&self) -> Fleet {
        self.fleet(&product_file(THERMOSTAT)).await
    }

    pub async fn vehicles(&self) -> Fleet {
        self.fleet(&product_file(VEHICLE)).await
    }

    /// Declares a product, connects it, imports its devices and makes its hooks.
    pub async fn fleet(&self, file: &Value) -> Fleet {
        let maker = self.maker().await;
        let slug = file["slug"].as_str().expect("a slug").to_owned();
        let created = maker.post("/admin/v1/products", file).await;
        assert!(created.status.is_success(), "{created:?}");
        let product_id = created.at("/id").as_str().expect("an id").to_owned();
        let facts = self.sim().facts();
        let of_cloud = facts
            .products
            .iter()
            .find(|product| product.slug == slug)
            .expect("a product of the cloud");
        let connection = json!({"kind": "particle", "base_url": self.sim_url(), "product": of_cloud.id.to_string(),
            "client_id": of_cloud.client_id, "client_secret": of_cloud.client_secret});
        let connected = maker
            .put(&format!("/admin/v1/products/{product_id}/cloud"), &connection)
            .await;
        assert!(connected.status.is_success(), "{connected:?}");
        let devices: Vec<_> = facts
            .devices
            .iter()
            .filter(|device| device.product_id == Some(of_cloud.id) && device.in_service)
            .map(|device| device.cloud_id.clone())
            .collect();
        let wanted: Vec<_> = devices
            .iter()
            .map(|cloud_id| json!({"cloud_id": cloud_id.to_string()}))
            .collect();
        let imported = maker
            .post(
                "/admin/v1/devices",
                &json!({"product_id": product_id, "devices": wanted}),
            )
            .await;
        assert!(imported.status.is_success(), "{imported:?}");
        let secret = maker
            .post(&format!("/admin/v1/products/{product_id}/ingest-secret"), &json!({}))
            .await;
        let hooks = maker
            .post(&format!("/admin/v1/products/{product_id}/webhook"), &json!({}))
            .await;
        assert!(hooks.status.is_success(), "{hooks:?}");
        let listed = maker
            .get(&format!("/admin/v1/devices?product={product_id}&limit=500"))
            .await
            .expect(200);
        let id_of = |cloud_id: &CloudDeviceId| {
            let items = listed.at("/items");
            let device = items
                .as_array()
                .into_iter()
                .flatten()
                .find(|device| device["cloud_id"] == cloud_id.to_string());
            device
                .and_then(|device| device["id"].as_str())
                .expect("a device that was imported")
                .to_owned()
        };
        Fleet {
            devices: devices
                .iter()
                .map(|cloud_id| (id_of(cloud_id), cloud_id.clone()))
                .collect(),
            ingest_secret: secret.at("/ingest_secret").as_str().expect("a secret").to_owned(),
            product_id,
            slug,
        }
    }

    pub async fn customer(&self, name: &str) -> Customer {
        let (email, password) = (format!("{name}@example.com"), format!("correct horse {name}"));
        let request = json!({"email": email, "password": password, "name": name});
        let created = self.maker().await.post("/admin/v1/customers", &request).await;
        assert!(created.status.is_success(), "{created:?}");
        Customer {
            id: created.at("/id").as_str().expect("an id").to_owned(),
            email,
            password,
        }
    }

    /// A public app with every scope that a customer's app may have.
    pub async fn app_client(&self) -> String {
        let request = json!({"name": "app", "kind": "public", "flows": ["authorization_code"],
            "redirect_uris": [REDIRECT_URI], "refresh_policy": "rotating",
            "scopes": ["openid", "profile", "email", "offline_access", "devices:read", "devices:control",
                "history:read", "rentals", "account"]});
        let created = self.maker().await.post("/admin/v1/clients", &request).await;
        assert!(created.status.is_success(), "{created:?}");
        created.at("/client_id").as_str().expect("an id").to_owned()
    }

    /// Everything that the product declares, from now on and back to the beginning, unless `limits`
    /// says otherwise. Returns the grant's id.
    pub async fn grant(&self, customer: &Customer, device: &str, limits: Value) -> String {
        let mut request = json!({"customer_id": customer.id, "device_id": device, "source": "owner",
            "functions": null, "history_from": "1970-01-01T00:00:00.000Z"});
        let (Value::Object(request_members), Value::Object(limits)) = (&mut request, limits) else {
            panic!("no object")
        };
        request_members.extend(limits);
        let created = self.maker().await.post("/admin/v1/grants", &request).await;
        assert!(created.status.is_success(), "{created:?}");
        created.at("/id").as_str().expect("an id").to_owned()
    }

    /// The customer as the app sees them after signing in, through the browser's pages.
    pub async fn signed_in(&self, client_id: &str, customer: &Customer) -> Caller {
        let tokens = sign_in(
            self.base(),
            client_id,
            REDIRECT_URI,
            customer,
            "devices:read devices:control history:read",
        )
        .await;
        Caller::new(self.base(), Some(tokens.access_token))
    }

    /// A customer with one device, signed in.
    pub async fn customer_with(&self, name: &str, device: &str) -> (Customer, Caller) {
        let customer = self.customer(name).await;
        self.grant(&customer, device, json!({})).await;
        let client_id = self.app_client().await;
        let caller = self.signed_in(&client_id, &customer).await;
        (customer, caller)
    }

    /// What the cloud's hook would post.
    pub async fn post_event(&self, fleet: &Fleet, body: &Value) -> super::Answer {
        let caller = Caller::new(self.base(), Some(fleet.ingest_secret.clone()));
        caller
            .send(
                caller
                    .request(Method::POST, &format!("/ingest/particle/{}", fleet.slug))
                    .json(body),
            )
            .await
    }
}

pub fn product_file(toml: &str) -> Value {
    let table: toml::Table = toml.parse().expect("a product file");
    serde_json::to_value(table).expect("TOML that JSON can say")
}
