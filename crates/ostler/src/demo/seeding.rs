//! Fills an installation for the demo: two products, three customers, five clients. Every step
//! first looks whether an earlier run has done it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use ostler_app::App;
use ostler_app::admin::{ConnectionRequest, Desk, Effect, GrantRequest, ImportRequest, Maker, Page};
use ostler_app::identity::{AccountError, CustomerRequest, Password, StaffRequest};
use ostler_core::caller::ProductReach;
use ostler_core::client::{ClientKind, ClientRegistration, RefreshPolicy};
use ostler_core::grant::GrantSource;
use ostler_core::id::{ClientId, CustomerId, DeviceId, ProductId};
use ostler_core::product_file::ProductFile;
use ostler_core::secret::ClientSecret;
use ostler_core::staff::StaffRole;
use ostler_core::time::Timestamp;
use ostler_sim::{DeviceFacts, ProductFacts, Sim};
use ostler_store::{Actor, Store};

use super::facts::{Account, Client, Clients, Customer, Facts, ParticleAccount, Product, Unregistered, Vehicle};
use super::secrets::Secrets;

const THERMOSTAT: &str = include_str!("thermostat.toml");
const VEHICLE: &str = include_str!("vehicle.toml");
const OPERATOR: &str = "operator@example.com";
const CUSTOMERS: [(&str, &str); 3] = [
    ("ada@example.com", "Ada"),
    ("bertha@example.com", "Bertha"),
    ("carl@example.com", "Carl"),
];
const DEFAULT_REDIRECT: &str = "http://127.0.0.1/callback";
const CUSTOMER_SCOPES: [&str; 9] = [
    "openid",
    "profile",
    "email",
    "offline_access",
    "devices:read",
    "devices:control",
    "history:read",
    "rentals",
    "account",
];

/// What was found or made.
pub struct Seeded {
    products: Vec<Product>,
    customers: Vec<(CustomerId, Vec<DeviceId>)>,
    clients: [ClientId; 5],
    vehicles: Vec<Vehicle>,
    unregistered: Vec<Unregistered>,
    redirect_uris: Vec<String>,
}

struct Fleet {
    product: Product,
    id: ProductId,
    /// In the simulator's order.
    devices: Vec<(DeviceFacts, DeviceId)>,
}

pub async fn seed(
    app: &App,
    store: &Store,
    sim: &Sim,
    secrets: &Secrets,
    redirect_uris: &[String],
) -> anyhow::Result<Seeded> {
    let maker = Maker::at_the_terminal();
    let seeder = Seeder {
        app,
        store,
        desk: app.desk(&maker),
        sim,
    };
    seeder.operator(&secrets.operator_password).await?;
    let thermostats = seeder.fleet(THERMOSTAT).await?;
    let vehicles = seeder.fleet(VEHICLE).await?;
    let customers = seeder.customers(secrets, [&thermostats, &vehicles]).await?;
    let redirect_uris = match redirect_uris {
        [] => vec![DEFAULT_REDIRECT.to_owned()],
        given => given.to_vec(),
    };
    Ok(Seeded {
        customers,
        clients: seeder.clients(secrets, &redirect_uris).await?,
        unregistered: seeder.unregistered(&thermostats).await?,
        vehicles: vehicles.devices.iter().map(|(facts, id)| vehicle(facts, *id)).collect(),
        products: vec![thermostats.product, vehicles.product],
        redirect_uris,
    })
}

fn vehicle(facts: &DeviceFacts, device_id: DeviceId) -> Vehicle {
    Vehicle {
        vehicle_id: None,
        device_id: device_id.to_string(),
        cloud_id: facts.cloud_id.to_string(),
    }
}

impl Seeded {
    pub fn facts(self, base_url: String, sim: &Sim, secrets: Secrets) -> Facts {
        let account = sim.handle().facts();
        let customers = CUSTOMERS.iter().zip(self.customers).zip(secrets.customer_passwords);
        let [web, app, device, service, linking] = self.clients;
        let public = |id: ClientId| Client {
            client_id: id.to_string(),
            client_secret: None,
        };
        let confidential = |id: ClientId, secret| Client {
            client_id: id.to_string(),
            client_secret: Some(secret),
        };
        Facts {
            base_url,
            sim_url: sim.base_url(),
            operator: Account {
                email: OPERATOR.to_owned(),
                password: secrets.operator_password,
            },
            particle: ParticleAccount {
                username: account.username,
                password: account.password,
            },
            customers: customers
                .map(|(((email, _), (id, devices)), password)| Customer {
                    id: id.to_string(),
                    email: (*email).to_owned(),
                    password,
                    devices: devices.iter().map(DeviceId::to_string).collect(),
                })
                .collect(),
            clients: Clients {
                web: confidential(web, secrets.web),
                app: public(app),
                device: public(device),
                service: confidential(service, secrets.service),
                linking: confidential(linking, secrets.linking),
            },
            products: self.products,
            vehicles: self.vehicles,
            unregistered: self.unregistered,
            redirect_uris: self.redirect_uris,
        }
    }
}

struct Seeder<'a> {
    app: &'a App,
    store: &'a Store,
    desk: Desk<'a>,
    sim: &'a Sim,
}

impl Seeder<'_> {
    async fn operator(&self, password: &str) -> anyhow::Result<()> {
        let request = StaffRequest {
            email: OPERATOR.to_owned(),
            password: Password::presented(password.to_owned()),
            name: Some("Operator".to_owned()),
            role: StaffRole::Owner,
            products: ProductReach::All,
        };
        match self.app.create_staff(request, Actor::System).await {
            Ok(_) | Err(AccountError::Taken) => Ok(()),
            Err(error) => Err(error).context("the operator cannot be made"),
        }
    }

    /// A product with its cloud connection, devices and hooks.
    async fn fleet(&self, file: &str) -> anyhow::Result<Fleet> {
        let file = ProductFile::from_toml(file)?;
        let id = self.product(&file).await?;
        let facts = self.sim.handle().facts();
        let of_cloud = facts.products.iter().find(|product| product.slug == file.slug);
        let of_cloud = of_cloud.with_context(|| format!("the simulated cloud has no product {}", file.slug))?;
        self.connect(id, of_cloud).await?;
        let devices = self.import(id, of_cloud, &facts.devices).await?;
        let secret = self.store.hook_secret(id, Actor::System, now(self.sim)).await?;
        self.desk
            .ensure_hooks(id, Effect::Apply)
            .await
            .context("the hooks cannot be made")?;
        let product = Product {
            id: id.to_string(),
            cloud_id: of_cloud.id.to_string(),
            ingest_url: self.app.ingest_url(&file.slug),
            ingest_secret: secrecy::ExposeSecret::expose_secret(&secret).to_owned(),
            slug: file.slug,
        };
        Ok(Fleet { product, id, devices })
    }

    async fn product(&self, file: &ProductFile) -> anyhow::Result<ProductId> {
        let slug = file.slug.parse()?;
        if let Some(known) = self.store.product_by_slug(&slug).await? {
            return Ok(known.id);
        }
        let created = self.desk.create_product(file, Effect::Apply).await?;
        created.id.context("a product that was created has an id")
    }

    /// Anew at each start: the simulated cloud may listen on another port.
    async fn connect(&self, id: ProductId, of_cloud: &ProductFacts) -> anyhow::Result<()> {
        let request = ConnectionRequest {
            base_url: self.sim.base_url(),
            cloud_product: of_cloud.id.to_string(),
            client_id: Some(of_cloud.client_id.clone()),
            client_secret: Some(of_cloud.client_secret.clone().into()),
            access_token: None,
        };
        self.desk
            .set_cloud_connection(id, request)
            .await
            .context("the cloud connection cannot be set")?;
        Ok(())
    }

    async fn import(
        &self,
        id: ProductId,
        of_cloud: &ProductFacts,
        devices: &[DeviceFacts],
    ) -> anyhow::Result<Vec<(DeviceFacts, DeviceId)>> {
        let mine: Vec<_> = devices
            .iter()
            .filter(|device| device.product_id == Some(of_cloud.id) && !device.reports_itself)
            .collect();
        let requests = mine.iter().map(|device| ImportRequest {
            cloud_id: device.cloud_id.to_string(),
            name: device.name.clone(),
            credential: None,
        });
        self.desk.import_devices(id, requests.collect(), Effect::Apply).await?;
        let mut imported = Vec::with_capacity(mine.len());
        for device in mine {
            let cloud_id = device.cloud_id.to_string().parse()?;
            let device_id = self.store.device_by_cloud_id(&cloud_id).await?;
            imported.push((
                device.clone(),
                device_id.context("a device that was imported is there")?,
            ));
        }
        Ok(imported)
    }

    /// Each customer owns a thermostat and a vehicle; the fourth thermostat is Ada's, shared with
    /// Bertha.
    async fn customers(
        &self,
        secrets: &Secrets,
        fleets: [&Fleet; 2],
    ) -> anyhow::Result<Vec<(CustomerId, Vec<DeviceId>)>> {
        let products: BTreeSet<_> = fleets.iter().map(|fleet| fleet.id).collect();
        let mut customers = Vec::new();
        for (index, ((email, name), password)) in CUSTOMERS.iter().zip(&secrets.customer_passwords).enumerate() {
            let id = self.customer(email, name, password, &products).await?;
            let mut devices = Vec::new();
            for (_, device_id) in fleets.iter().filter_map(|fleet| fleet.devices.get(index)) {
                self.grant(id, *device_id, GrantSource::Owner).await?;
                devices.push(*device_id);
            }
            customers.push((id, devices));
        }
        if let Some((_, family_room)) = fleets[0].devices.get(CUSTOMERS.len()) {
            let sources = [GrantSource::Owner, GrantSource::Share];
            for ((id, devices), source) in customers.iter_mut().zip(sources) {
                self.grant(*id, *family_room, source).await?;
                devices.push(*family_room);
            }
        }
        Ok(customers)
    }

    async fn customer(
        &self,
        email: &str,
        name: &str,
        password: &str,
        products: &BTreeSet<ProductId>,
    ) -> anyhow::Result<CustomerId> {
        if let Some(known) = self.store.customer_credentials(&email.parse()?).await? {
            return Ok(known.id);
        }
        let request = CustomerRequest {
            email: email.to_owned(),
            password: Some(Password::presented(password.to_owned())),
            name: Some(name.to_owned()),
            products: products.clone(),
        };
        Ok(self.app.create_customer(request, Actor::System).await?)
    }

    async fn grant(&self, customer_id: CustomerId, device_id: DeviceId, source: GrantSource) -> anyhow::Result<()> {
        let held = self
            .desk
            .grants(Some(customer_id), Some(device_id), Page::first(1))
            .await?;
        if !held.items.is_empty() {
            return Ok(());
        }
        let request = GrantRequest {
            customer_id,
            device_id,
            source,
            functions: None,
            variables: None,
            keys: None,
            history_from: Some(Timestamp::from_millis(0)),
            starts_at: None,
            ends_at: None,
            reason: None,
        };
        self.desk.create_grant(request).await?;
        Ok(())
    }

    async fn clients(&self, secrets: &Secrets, redirect_uris: &[String]) -> anyhow::Result<[ClientId; 5]> {
        let machine = ["admin:read", "admin:write", "fleet:read", "fleet:control"];
        let linking = ["https://ifttt.com/channels/ostler/authorize".to_owned()];
        let origins = origins(redirect_uris);
        Ok([
            self.client(
                "web",
                Some(&secrets.web),
                &["authorization_code"],
                &CUSTOMER_SCOPES,
                redirect_uris,
                RefreshPolicy::Rotating,
                &origins,
            )
            .await?,
            self.client(
                "app",
                None,
                &["authorization_code"],
                &CUSTOMER_SCOPES,
                redirect_uris,
                RefreshPolicy::Rotating,
                &origins,
            )
            .await?,
            self.client(
                "device",
                None,
                &["device_authorization"],
                &CUSTOMER_SCOPES,
                &[],
                RefreshPolicy::Rotating,
                &[],
            )
            .await?,
            self.client(
                "service",
                Some(&secrets.service),
                &["client_credentials"],
                &machine,
                &[],
                RefreshPolicy::None,
                &[],
            )
            .await?,
            self.client(
                "linking",
                Some(&secrets.linking),
                &["authorization_code"],
                &CUSTOMER_SCOPES,
                &linking,
                RefreshPolicy::Linking,
                &[],
            )
            .await?,
        ])
    }

    #[expect(clippy::too_many_arguments, reason = "a row of the table above")]
    async fn client(
        &self,
        name: &str,
        secret: Option<&String>,
        flows: &[&str],
        scopes: &[&str],
        redirect_uris: &[String],
        refresh_policy: RefreshPolicy,
        cors_origins: &[String],
    ) -> anyhow::Result<ClientId> {
        let known = self.app.clients(Page::first(100)).await?;
        if let Some(known) = known.items.iter().find(|client| client.name == name) {
            return Ok(known.id);
        }
        let words = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let registration = ClientRegistration {
            name: name.to_owned(),
            kind: if secret.is_some() {
                ClientKind::Confidential
            } else {
                ClientKind::Public
            },
            flows: words(flows),
            redirect_uris: redirect_uris.to_vec(),
            scopes: words(scopes),
            default_scopes: None,
            refresh_policy,
            cors_origins: cors_origins.to_vec(),
            products: None,
        };
        let secret = secret.map(|secret| ClientSecret::presented(secret.clone()));
        let (client, _) = self
            .app
            .create_client(registration, secret, Actor::System)
            .await
            .with_context(|| format!("the client {name} cannot be made"))?;
        Ok(client.id)
    }

    /// Devices that will report themselves at their first start, with the credentials that the
    /// factory gave them.
    async fn unregistered(&self, thermostats: &Fleet) -> anyhow::Result<Vec<Unregistered>> {
        let key = self
            .store
            .registration_key(thermostats.id)
            .await?
            .context("every product has a registration key")?;
        let handle = self.sim.handle();
        let mut unregistered = Vec::new();
        for device in handle
            .facts()
            .devices
            .into_iter()
            .filter(|device| device.reports_itself)
        {
            let credential = key.credential_of(&device.cloud_id.to_string().parse()?);
            handle.set_credential(&device.cloud_id, credential.clone());
            unregistered.push(Unregistered {
                cloud_id: device.cloud_id.to_string(),
                credential,
            });
        }
        Ok(unregistered)
    }
}

fn now(sim: &Sim) -> Timestamp {
    Timestamp::from_millis(sim.clock().now_ms())
}

/// Browser apps on the redirect URIs may call the API.
fn origins(redirect_uris: &[String]) -> Vec<String> {
    let origins: BTreeSet<_> = redirect_uris
        .iter()
        .filter_map(|uri| url::Url::parse(uri).ok())
        .map(|url| url.origin())
        .filter(url::Origin::is_tuple)
        .map(|origin| origin.ascii_serialization())
        .collect();
    origins.into_iter().collect()
}
