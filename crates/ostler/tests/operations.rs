//! The operations of the document that the server serves at `/openapi.json`, and for each a request
//! that whoever may make it is answered with success. Tests that range over the whole API start here,
//! so that a new operation cannot be forgotten: it has no request, and they fail.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Caller, Customer, Fleet, Installation, REDIRECT_URI, VEHICLE, product_file, sign_in};

#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    /// With its parameters in braces.
    pub path: String,
    /// The names of the query's parameters.
    pub query: Vec<String>,
    pub body: Option<BodySchema>,
}

#[derive(Debug, Clone)]
pub struct BodySchema {
    pub is_json: bool,
    pub is_optional: bool,
    /// The members that the document names.
    pub members: Vec<String>,
}

impl Operation {
    /// The API for customers' apps; other operations are for staff, machines, programs and pages.
    pub fn is_for_customers(&self) -> bool {
        self.path.starts_with("/v1/")
    }

    pub fn is_for_staff(&self) -> bool {
        self.path.starts_with("/admin/")
    }

    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The names in braces.
    pub fn path_parameters(&self) -> Vec<&str> {
        let parts = self.path.split('{').skip(1);
        parts
            .map(|part| part.split('}').next().expect("a closing brace"))
            .collect()
    }
}

pub async fn operations(installation: &Installation) -> Vec<Operation> {
    let document = installation.anonymous().get("/openapi.json").await.expect(200).json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, described) in item.as_object().expect("methods") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                panic!("no method: {method}")
            };
            operations.push(operation(&document, method, path, described));
        }
    }
    operations
}

fn operation(document: &Value, method: Method, path: &str, described: &Value) -> Operation {
    let parameters = described["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|parameter| parameter["in"] == "query");
    Operation {
        id: described["operationId"].as_str().expect("an id").to_owned(),
        method,
        path: path.to_owned(),
        query: query
            .map(|parameter| parameter["name"].as_str().expect("a name").to_owned())
            .collect(),
        body: described.get("requestBody").map(|body| body_schema(document, body)),
    }
}

fn body_schema(document: &Value, body: &Value) -> BodySchema {
    let content = body["content"].as_object().expect("media types");
    let json = content.get("application/json");
    let described = json.or_else(|| content.values().next()).expect("a media type");
    let schema = resolved(document, &described["schema"]);
    let members = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(|members| members.keys());
    BodySchema {
        is_json: json.is_some(),
        is_optional: body["required"] != true,
        members: members.cloned().collect(),
    }
}

/// What a schema refers to; of alternatives, the first.
fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        return resolved(document, document.pointer(pointer).expect("a schema"));
    }
    match schema["oneOf"].get(0) {
        Some(first) => resolved(document, first),
        None => schema,
    }
}

/// A request, all but who makes it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: AskedBody,
}

#[derive(Debug, Clone)]
pub enum AskedBody {
    Nothing,
    Json(Value),
    Form(Vec<(&'static str, String)>),
}

impl Asked {
    pub async fn by(&self, caller: &Caller) -> Answer {
        let request = caller.request(self.method.clone(), &self.path).query(&self.query);
        let request = match &self.body {
            AskedBody::Nothing => request,
            AskedBody::Json(json) => request.json(json),
            AskedBody::Form(form) => request.form(form),
        };
        caller.send(request).await
    }
}

/// An installation with something of everything.
pub struct Site<'i> {
    pub installation: &'i Installation,
    pub maker: Caller,
    /// The product in use.
    pub fleet: Fleet,
    /// A product that nobody uses, to be changed at will.
    pub spare_product: String,
    /// A device of the product in use that nobody has a grant on.
    pub spare_device: String,
    pub app: String,
    pub account: Customer,
    pub grant_id: String,
    /// Everything on the first device.
    pub owner: Caller,
    /// A command of the owner's.
    pub command_id: String,
    drawn: AtomicU32,
}

const EVERY_SCOPE: &str =
    "openid profile email offline_access devices:read devices:control history:read rentals account";

impl<'i> Site<'i> {
    pub async fn new(installation: &'i Installation) -> Self {
        let maker = installation.maker().await;
        let fleet = installation.thermostats().await;
        let mut spare = product_file(VEHICLE);
        spare["slug"] = json!("spare");
        let spare = maker.post("/admin/v1/products", &spare).await.expect(201);
        let account = installation.customer("owner").await;
        let device = fleet.devices[0].0.clone();
        let grant_id = installation.grant(&account, &device, json!({})).await;
        let app = installation.app_client().await;
        let owner = signed_in(installation, &app, &account, EVERY_SCOPE).await;
        let called = owner.call(&device, "setTarget", "20").await.expect(200);
        Self {
            installation,
            spare_product: text(&spare, "/id"),
            spare_device: fleet.devices.last().expect("a device").0.clone(),
            command_id: text(&called, "/command_id"),
            maker,
            fleet,
            app,
            account,
            grant_id,
            owner,
            drawn: AtomicU32::new(0),
        }
    }

    /// A customer without any grant.
    pub async fn stranger(&self) -> Caller {
        let account = self.installation.customer("stranger").await;
        signed_in(self.installation, &self.app, &account, EVERY_SCOPE).await
    }

    /// A customer with a grant on another device of the same product.
    pub async fn neighbour(&self) -> Caller {
        let account = self.installation.customer("neighbour").await;
        self.installation
            .grant(&account, &self.fleet.devices[1].0, json!({}))
            .await;
        signed_in(self.installation, &self.app, &account, EVERY_SCOPE).await
    }

    /// The owner, through an app that was allowed less.
    pub async fn narrow(&self) -> Caller {
        signed_in(self.installation, &self.app, &self.account, "openid").await
    }

    /// A machine of the maker with all of `fleet:*` on one product.
    pub async fn fleet_key(&self, product_id: &str) -> Caller {
        let client = json!({"name": "fleet key", "kind": "confidential", "flows": ["client_credentials"], "redirect_uris": [],
            "scopes": ["fleet:read", "fleet:control"], "refresh_policy": "none", "products": [product_id]});
        let made = self.maker.post("/admin/v1/clients", &client).await.expect(201);
        self.installation
            .machine_caller(&text(&made, "/client_id"), &text(&made, "/client_secret"))
            .await
    }

    /// A request that an entitled caller is answered with success; what it uses up is made for it.
    pub async fn request_for(&self, operation: &Operation) -> Asked {
        Asked {
            method: operation.method.clone(),
            path: self.path_for(operation).await,
            query: self.query_for(operation),
            body: self.body_for(operation).await,
        }
    }

    async fn path_for(&self, operation: &Operation) -> String {
        let mut path = operation.path.clone();
        for name in operation.path_parameters() {
            let value = self.path_value(&operation.id, name).await;
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        path
    }

    async fn path_value(&self, operation: &str, name: &str) -> String {
        match (operation, name) {
            ("quarantineDevice" | "releaseDevice" | "changeStaffDevice", "device_id") => self.spare_device.clone(),
            (_, "device_id") => self.fleet.devices[0].0.clone(),
            (_, "function") => "setTarget".to_owned(),
            (_, "variable") => "target".to_owned(),
            (_, "command_id") => self.command_id.clone(),
            ("closeCustomer", "customer_id") => self.new_customer().await,
            (_, "customer_id") => self.account.id.clone(),
            ("changeClient" | "endClient" | "replaceClientSecret", "client_id") => self.new_client().await,
            (_, "client_id") => self.app.clone(),
            ("endGrant", "grant_id") => self.new_grant().await,
            (_, "grant_id") => self.grant_id.clone(),
            ("endCloudConnection", "product_id") => self.connected_spare_product().await,
            (
                "changeProduct"
                | "revertProduct"
                | "setCloudConnection"
                | "rotateIngestSecret"
                | "endFormerIngestSecrets"
                | "rotateRegistrationKey",
                "product_id",
            ) => self.spare_product.clone(),
            (_, "product_id") => self.fleet.product_id.clone(),
            (_, "slug") => self.fleet.slug.clone(),
            (operation, name) => panic!("{operation} has a parameter {name} that no value is known for"),
        }
    }

    fn query_for(&self, operation: &Operation) -> Vec<(String, String)> {
        let value = |name: &str| match (operation.id.as_str(), name) {
            ("getHistory" | "getFleetHistory", "key") => Some("temperature"),
            ("getHistory" | "getFleetHistory", "from") => Some("2030-01-01T00:00:00Z"),
            ("getHistory" | "getFleetHistory", "to") => Some("2030-01-02T00:00:00Z"),
            ("ensureWebhook" | "importDevicesFromCloud", "dry_run") => Some("true"),
            ("listRejectedEvents", "product") => Some(self.fleet.product_id.as_str()),
            _ => None,
        };
        operation
            .query
            .iter()
            .filter_map(|name| Some((name.clone(), value(name)?.to_owned())))
            .collect()
    }

    async fn body_for(&self, operation: &Operation) -> AskedBody {
        let (machine, secret) = self.installation.machine();
        let form = |more: [(&'static str, &str); 1]| {
            let client = [("client_id", machine.clone()), ("client_secret", secret.clone())];
            AskedBody::Form(
                client
                    .into_iter()
                    .chain(more.map(|(name, value)| (name, value.to_owned())))
                    .collect(),
            )
        };
        AskedBody::Json(match operation.id.as_str() {
            "token" => return form([("grant_type", "client_credentials")]),
            "revoke" | "introspect" => return form([("token", "ost_at_unknown")]),
            "callFunction" | "staffCallFunction" => json!({"argument": "20"}),
            "changeDevice" => json!({"notes": "by the window"}),
            "changeStaffDevice" => json!({"name": "Spare", "time_zone": "Europe/Zurich"}),
            "createClient" => self.client_request(),
            "changeClient" => json!({"name": "renamed"}),
            "createCustomer" => json!({"email": format!("{}@example.com", self.draw("new"))}),
            "createGrant" => {
                json!({"customer_id": self.new_customer().await, "device_id": self.spare_device, "functions": []})
            }
            "endGrant" => json!({"reason": "sold"}),
            "quarantineDevice" => json!({"reason": "brakes"}),
            "importDevices" => {
                let cloud_id = format!("e00fce68{:016x}", self.drawn.fetch_add(1, Ordering::Relaxed));
                json!({"product_id": self.spare_product, "devices": [{"cloud_id": cloud_id}]})
            }
            "createProduct" => json!({"slug": self.draw("made"), "name": "Made", "time_zone": "Europe/Berlin"}),
            "changeProduct" => json!({"slug": "spare", "name": "Spare", "time_zone": "Europe/Berlin"}),
            "revertProduct" => json!({"version": 1}),
            "setCloudConnection" => self.connection(),
            "startStaffSession" => {
                let (email, password) = self.installation.owner_credentials();
                json!({"email": email, "password": password})
            }
            "ingestParticle" => json!({"event": "thermostat/state", "coreid": self.fleet.devices[0].1.to_string(),
                "data": "{\"t\":21.5}", "published_at": "2030-05-01T10:00:00.123Z"}),
            "registerDevice" => {
                json!({"cloud_id": self.fleet.devices[0].1.to_string(), "credential": "not the right one"})
            }
            _ if !operation.has_body() => return AskedBody::Nothing,
            unknown => panic!("{unknown} has a body that nothing is known about"),
        })
    }

    fn draw(&self, name: &str) -> String {
        format!("{name}-{}", self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    fn client_request(&self) -> Value {
        json!({"name": self.draw("client"), "kind": "confidential", "flows": ["client_credentials"], "redirect_uris": [],
            "scopes": ["fleet:read"], "refresh_policy": "none"})
    }

    fn connection(&self) -> Value {
        json!({"kind": "particle", "base_url": self.installation.sim_url(), "product": "1", "client_id": "a-client", "client_secret": "a-secret"})
    }

    async fn new_client(&self) -> String {
        text(
            &self
                .maker
                .post("/admin/v1/clients", &self.client_request())
                .await
                .expect(201),
            "/client_id",
        )
    }

    async fn new_customer(&self) -> String {
        let request = json!({"email": format!("{}@example.com", self.draw("customer"))});
        text(
            &self.maker.post("/admin/v1/customers", &request).await.expect(201),
            "/id",
        )
    }

    async fn new_grant(&self) -> String {
        let request =
            json!({"customer_id": self.new_customer().await, "device_id": self.spare_device, "functions": []});
        text(&self.maker.post("/admin/v1/grants", &request).await.expect(201), "/id")
    }

    async fn connected_spare_product(&self) -> String {
        let path = format!("/admin/v1/products/{}/cloud", self.spare_product);
        self.maker.put(&path, &self.connection()).await.expect(200);
        self.spare_product.clone()
    }
}

async fn signed_in(installation: &Installation, client_id: &str, customer: &Customer, scope: &str) -> Caller {
    let tokens = sign_in(installation.base(), client_id, REDIRECT_URI, customer, scope).await;
    Caller::new(installation.base(), Some(tokens.access_token))
}

fn text(answer: &Answer, pointer: &str) -> String {
    answer
        .at(pointer)
        .as_str()
        .unwrap_or_else(|| panic!("no text at {pointer}: {answer:?}"))
        .to_owned()
}
