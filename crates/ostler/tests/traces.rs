//! The device cloud is invisible: nothing that a customer, or somebody who is nobody, is ever answered
//! names the vendor, its ids, tokens or address. Generated from the served document, so that a new
//! operation is searched from its first day.
//!
//! The document itself and its page are for makers, too: `/ingest/particle/{slug}` and the kinds of cloud
//! connection are in them. So the word may stand there, though in nothing that a customer's operation
//! says or refers to; what is secret or of one installation may not stand there at all.

use ostler_sim::{Fault, FaultKind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::operations::{Asked, AskedBody, Operation, Site, operations};
use crate::world::{Caller, Heard, Installation, On, REDIRECT_URI, on_both, sign_in};

/// What a customer's app might send, from what is right to what is nonsense.
fn variants(asked: &Asked, site: &Site<'_>) -> Vec<Asked> {
    let mut variants = vec![asked.clone()];
    let known = [
        &site.fleet.devices[0].0,
        &site.command_id,
        "setTarget",
        "target",
        &site.fleet.slug,
    ];
    for value in known {
        for strange in [
            "unknown",
            "dev_01h455vb4pex5vsknk084sn02q",
            &site.fleet.devices[1].0,
            &site.fleet.devices[0].1.to_string(),
        ] {
            let path = asked.path.replace(&format!("/{value}"), &format!("/{strange}"));
            if path != asked.path {
                variants.push(Asked { path, ..asked.clone() });
            }
        }
    }
    for query in [("limit", "0"), ("key", "no such key"), ("misspelt", "1")] {
        let mut asked = asked.clone();
        asked.query.retain(|(name, _)| name != query.0);
        asked.query.push((query.0.to_owned(), query.1.to_owned()));
        variants.push(asked);
    }
    if let AskedBody::Json(_) = asked.body {
        for body in [
            json!(7),
            json!({}),
            json!({"argument": 7}),
            json!({"argument": "99"}),
            json!({"surprise": "x"}),
        ] {
            variants.push(Asked {
                body: AskedBody::Json(body),
                ..asked.clone()
            });
        }
    }
    variants
}

/// Asked by people's browsers, and not in the document.
async fn visit_pages(anonymous: &Caller, app: &str) {
    let redirect_uri = "redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback";
    for path in [
        "/".to_owned(),
        "/nowhere".to_owned(),
        "/assets/ostler.css".to_owned(),
        "/problems/cloud-refused".to_owned(),
        "/problems/nothing".to_owned(),
        "/oauth/authorize".to_owned(),
        "/oauth/authorize?client_id=unknown".to_owned(),
        format!("/oauth/authorize?client_id={app}&redirect_uri=https%3A%2F%2Fevil.example"),
        format!("/oauth/authorize?client_id={app}&{redirect_uri}"),
        format!("/oauth/authorize?client_id={app}&{redirect_uri}&response_type=code&scope=fleet:control"),
        format!(
            "/oauth/authorize?client_id={app}&{redirect_uri}&response_type=code&scope=devices:read&state=s\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        ),
    ] {
        anonymous.get(&path).await;
        anonymous
            .send(
                anonymous
                    .request(Method::POST, &path)
                    .form(&[("email", "a@example.com"), ("password", "wrong")]),
            )
            .await;
        anonymous.send(anonymous.request(Method::DELETE, &path)).await;
    }
}

async fn ask_everything(heard: &Heard, callers: &[Caller], operations: &[Operation], site: &Site<'_>) {
    for operation in operations.iter().filter(|operation| !operation.is_for_staff()) {
        let asked = site.request_for(operation).await;
        for caller in callers {
            for variant in variants(&asked, site) {
                variant.by(&caller.heard_by(heard)).await;
            }
        }
    }
}

/// Every text that would betray the cloud.
fn betraying(installation: &Installation) -> Vec<String> {
    let sim = installation.sim();
    let facts = sim.facts();
    let host = installation.sim_url().trim_start_matches("http://").to_owned();
    let port = host.rsplit(':').next().expect("a port").to_owned();
    let mut texts = vec![
        "particle".to_owned(),
        "spark".to_owned(),
        host,
        format!(":{port}"),
        "last_ip_address".to_owned(),
    ];
    texts.extend(facts.devices.iter().map(|device| device.cloud_id.to_string()));
    texts.extend(facts.products.iter().map(|product| product.client_id.clone()));
    texts.extend(sim.secrets());
    texts
}

on_both! {
    async fn no_answer_to_a_customer_betrays_the_device_cloud(installation) {
        let site = Site::new(&installation).await;
        let operations = operations(&installation).await;
        let heard = Heard::default();
        let (device, cloud_id) = site.fleet.devices[0].clone();
        let callers = [installation.anonymous(), site.owner.clone(), site.stranger().await];
        ask_everything(&heard, &callers, &operations, &site).await;
        visit_pages(&installation.anonymous().heard_by(&heard), &site.app).await;
        let tokens = sign_in(installation.base(), &site.app, REDIRECT_URI, &site.account, "devices:read offline_access").await;
        assert!(tokens.pages.len() >= 2, "the page to sign in, and the one to agree: {}", tokens.pages.len());

        // What the customer did is told by the cloud in its own words; what goes wrong there, too.
        let owner = site.owner.heard_by(&heard);
        for fault in [
            Fault::new(FaultKind::Status).with_status(400),
            Fault::new(FaultKind::Status).with_status(401),
            Fault::new(FaultKind::Status).with_status(403),
            Fault::new(FaultKind::Status).with_status(404),
            Fault::new(FaultKind::Status).with_status(500),
            Fault::new(FaultKind::EdgeError),
            Fault::new(FaultKind::Offline),
            Fault::new(FaultKind::Stale).for_ms(100),
            Fault::new(FaultKind::ExecuteThenTimeout).for_ms(100),
            Fault::new(FaultKind::RateLimit),
        ] {
            let kind = fault.fault;
            installation.sim().add_fault(fault.on(&cloud_id));
            let called = owner.call(&device, "setTarget", "21").await;
            assert!(!called.status.is_success(), "{kind:?}: {called:?}");
            if let Some(command_id) = called.json().get("command_id").and_then(Value::as_str) {
                owner.get(&format!("/v1/commands/{command_id}")).await.expect(200);
            }
            owner.get(&format!("/v1/devices/{device}/variables/target")).await;
            installation.sim().clear_faults();
        }
        for path in ["", "/latest", "/events"] {
            owner.get(&format!("/v1/devices/{device}{path}")).await.expect(200);
        }

        let betraying = betraying(&installation);
        heard.assert_never(betraying.iter().map(String::as_str));
        heard.assert_no_token_shape();
        for page in &tokens.pages {
            let page = page.to_ascii_lowercase();
            assert!(!betraying.iter().any(|text| page.contains(&text.to_ascii_lowercase())), "{page}");
        }
        let asked = heard.exchanges();
        let customers = operations.iter().filter(|operation| operation.is_for_customers()).count();
        assert!(asked.len() > 20 * customers, "{} answers", asked.len());
    }
}

/// The parts of the document that speak of what is not for staff or the vendor's hook: all else of it
/// that is no operation, those operations, and every component they refer to.
fn as_customers_read_it(document: &Value) -> String {
    let mut rest = document.clone();
    let paths = rest["paths"].as_object_mut().expect("paths");
    paths.retain(|path, _| !path.starts_with("/admin/") && !path.starts_with("/ingest/"));
    rest["components"]
        .as_object_mut()
        .expect("components")
        .remove("schemas");
    let mut read = rest.to_string();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let referred = read.split("#/components/schemas/").skip(1);
        let names: Vec<_> = referred
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect();
        let Some(name) = names.into_iter().find(|name| seen.insert(name.clone())) else {
            assert!(seen.len() > 10, "the document refers to few schemas: {seen:?}");
            return read;
        };
        let schema = &document["components"]["schemas"][&name];
        assert!(schema.is_object(), "{name} is referred to, and not there");
        read += &schema.to_string();
    }
}

on_both! {
    async fn the_document_names_the_cloud_to_makers_alone_and_tells_nothing_of_it(installation) {
        let site = Site::new(&installation).await;
        let betraying = betraying(&installation);
        let heard = Heard::default();
        for caller in [installation.anonymous(), site.owner.clone(), site.stranger().await] {
            let caller = caller.heard_by(&heard);
            caller.get("/docs").await.expect(200);
            let document = caller.get("/openapi.json").await.expect(200);
            let read = as_customers_read_it(&document.json()).to_ascii_lowercase();
            for text in &betraying {
                assert!(!read.contains(&text.to_ascii_lowercase()), "{text} stands in what customers read");
            }
        }
        heard.assert_no_token_shape();
        heard.assert_never(betraying.iter().map(String::as_str).filter(|text| !["particle", "spark"].contains(text)));
    }
}

on_both! {
    async fn an_address_that_the_cloud_tells_is_told_to_nobody(installation) {
        let site = Site::new(&installation).await;
        let (device, cloud_id) = site.fleet.devices[0].clone();
        // As the vendor's `particle/device/updates` and diagnostics events tell it, and as a device may.
        let address = "203.0.113.77";
        let wire = installation.sim().device_wire(&cloud_id).expect("it is there");
        assert!(wire["last_ip_address"].is_string(), "{wire}");
        let event = json!({"event": "thermostat/state", "coreid": cloud_id.to_string(), "published_at": "2026-01-01T00:00:00.000Z",
            "last_ip_address": address, "mobile_secret": "mobile-secret-1", "data": json!({"t": 20.5}).to_string()});
        installation.post_event(&site.fleet, &event).await.expect(204);
        let heard = Heard::default();
        let owner = site.owner.heard_by(&heard);
        for path in ["", "/latest", "/events?limit=500"] {
            owner.get(&format!("/v1/devices/{device}{path}")).await.expect(200);
        }
        heard.assert_never([address, "mobile-secret-1"]);
    }
}
