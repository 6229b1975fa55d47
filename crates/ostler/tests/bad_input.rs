//! Bad input to the real binary. Whatever is sent, to any operation of the served document that reads
//! a path, a query or a body: never a 5xx, and a refusal is a problem document that names the place
//! and the rule. What is strange but allowed may well be done; that it is kept right is for others.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::operations::{Asked, AskedBody, Operation, Site, operations};
use crate::world::{Answer, Caller, Installation, On, on_both};

/// More than any text of the API may have, and less than any body.
const LONG: usize = 100_000;
const BODY_MAX: usize = 1_048_576;

/// A refusal of an OAuth endpoint is of another form (RFC 6749 §5.2).
fn is_oauth(operation: &Operation) -> bool {
    operation.path.starts_with("/oauth/")
}

/// What must hold of every answer to bad input.
#[track_caller]
fn judge(operation: &Operation, what: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    assert!(status < 500, "{} {what}: {answer:?}", operation.id);
    if status < 400 {
        return;
    }
    let body = answer.json();
    if is_oauth(operation) && body["error"].is_string() {
        return;
    }
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{} {what}: {answer:?}",
        operation.id
    );
    assert_eq!(body["status"], status, "{} {what}: {answer:?}", operation.id);
    if status == 400 {
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        assert!(
            !errors.is_empty(),
            "{} {what}: names no place: {answer:?}",
            operation.id
        );
        for error in errors {
            assert!(
                error["pointer"].is_string() || error["parameter"].is_string(),
                "{} {what}: {answer:?}",
                operation.id
            );
            assert!(
                !error["rule"].as_str().unwrap_or_default().is_empty(),
                "{} {what}: {answer:?}",
                operation.id
            );
        }
    }
    assert!(
        answer.text.len() < 20_000,
        "{} {what}: repeats what was sent",
        operation.id
    );
}

/// The caller to whom an operation opens.
fn entitled<'c>(site: &'c Site<'_>, operation: &Operation) -> &'c Caller {
    if operation.is_for_customers() {
        &site.owner
    } else {
        &site.maker
    }
}

/// Those that read JSON, with a good request for each. The ingest door takes whatever comes.
async fn readers_of_json(installation: &Installation, site: &Site<'_>) -> Vec<(Operation, Asked, Value)> {
    let mut readers = Vec::new();
    for operation in operations(installation).await {
        if operation.body.as_ref().is_some_and(|body| body.is_json) && operation.id != "ingestParticle" {
            let asked = site.request_for(&operation).await;
            let AskedBody::Json(body) = asked.body.clone() else {
                panic!("{} reads JSON", operation.id)
            };
            readers.push((operation, asked, body));
        }
    }
    assert!(readers.len() >= 15, "{}", readers.len());
    readers
}

async fn send_bytes(caller: &Caller, asked: &Asked, media_type: &str, bytes: Vec<u8>) -> Answer {
    let request = caller.request(asked.method.clone(), &asked.path).query(&asked.query);
    caller.send(request.header(CONTENT_TYPE, media_type).body(bytes)).await
}

on_both! {
    async fn what_is_no_json_is_refused_with_the_place_and_the_rule(installation) {
        let site = Site::new(&installation).await;
        for (operation, asked, body) in readers_of_json(&installation, &site).await {
            let caller = entitled(&site, &operation);
            let whole = body.to_string().into_bytes();
            let cut = whole[..whole.len() - 1].to_vec();
            let twice = [whole.clone(), whole.clone()].concat();
            let broken_text = b"{\"\xff\xfe\": 1}".to_vec();
            let half_a_pair = br#"{"\ud800": 1}"#.to_vec();
            let member = body.as_object().and_then(|members| members.keys().next()).expect("a member");
            let deep = format!("{{\"{member}\": {}", "[".repeat(50_000)).into_bytes();
            for (what, bytes) in [("cut off", cut), ("twice", twice), ("no UTF-8", broken_text), ("half a surrogate", half_a_pair), ("deep", deep)] {
                let answer = send_bytes(caller, &asked, "application/json", bytes).await;
                judge(&operation, what, &answer);
                answer.expect_problem(400, "invalid-request");
            }
            for (what, body) in [("a number", json!(7)), ("a text", json!("x")), ("an array", json!([[]])), ("a boolean", json!(true))] {
                let answer = Asked { body: AskedBody::Json(body), ..asked.clone() }.by(caller).await;
                judge(&operation, what, &answer);
                answer.expect_problem(400, "invalid-request");
            }
            let strange = send_bytes(caller, &asked, "text/plain", whole.clone()).await;
            strange.expect_problem(415, "unsupported-media-type");
            let mut huge = whole;
            huge.resize(BODY_MAX + 1, b' ');
            let huge = send_bytes(caller, &asked, "application/json", huge).await;
            huge.expect_problem(413, "too-large");
            // Without a body at all: only where the document says that it may be left out.
            let without = Asked { body: AskedBody::Nothing, ..asked.clone() }.by(caller).await;
            judge(&operation, "nothing", &without);
            let is_optional = operation.body.as_ref().is_some_and(|body| body.is_optional);
            assert_eq!(without.status.is_success(), is_optional, "{}: {without:?}", operation.id);
        }
    }
}

/// Values that hardly any member may have.
fn nonsense() -> Vec<(&'static str, Value)> {
    vec![
        ("an object", json!({"a": {"b": []}})),
        ("nested arrays", json!([[[]]])),
        ("null", Value::Null),
        ("true", json!(true)),
        ("a negative number", json!(-1)),
        ("a fraction", json!(0.5)),
        (
            "more than 64 bits",
            serde_json::from_str("123456789012345678901234567890").expect("a number"),
        ),
        ("a tiny exponent", serde_json::from_str("1e-400").unwrap_or(json!(0))),
        ("no text", json!("")),
        ("a long text", json!("x".repeat(LONG))),
        ("a long list", json!(vec!["x"; 20_000])),
        ("NUL", json!("a\u{0}b")),
        ("control characters", json!("a\u{1b}[31m\r\nSet-Cookie: x\u{7f}")),
        ("turned around", json!("\u{202e}evil\u{feff}\u{fffe}")),
        ("an absurd time", json!("+275760-09-13T00:00:00.001Z")),
        ("a time before time", json!("-9999-01-01T00:00:00Z")),
        ("no such day", json!("2026-02-30T25:61:61Z")),
        ("an expression", json!("' OR 1=1; DROP TABLE device; --")),
    ]
}

on_both! {
    async fn a_member_of_the_wrong_kind_is_named_in_the_refusal(installation) {
        let site = Site::new(&installation).await;
        for (operation, asked, body) in readers_of_json(&installation, &site).await {
            let caller = entitled(&site, &operation);
            let members = operation.body.as_ref().map(|body| body.members.clone()).unwrap_or_default();
            assert!(!members.is_empty(), "{}: the document names no member", operation.id);
            for member in &members {
                for (what, value) in nonsense() {
                    let mut body = body.clone();
                    body[member] = value;
                    let what = format!("with {member} being {what}");
                    let answer = Asked { body: AskedBody::Json(body), ..asked.clone() }.by(caller).await;
                    judge(&operation, &what, &answer);
                    if what.ends_with("an object") {
                        let answer = answer.expect_problem(400, "invalid-request");
                        let pointer = answer.at("/errors/0/pointer");
                        assert!(pointer.as_str().is_some_and(|pointer| pointer.starts_with(&format!("/{member}"))), "{} {what}: {answer:?}", operation.id);
                    }
                }
            }
            let mut misspelt = body.clone();
            misspelt["no such member"] = json!(1);
            let answer = Asked { body: AskedBody::Json(misspelt), ..asked.clone() }.by(caller).await;
            judge(&operation, "with an unknown member", &answer);
        }
        installation.anonymous().get("/readyz").await.expect(200);
    }
}

on_both! {
    async fn a_bad_query_names_the_parameter(installation) {
        let site = Site::new(&installation).await;
        let values = ["", " ", "x", "-1", "0", "501", "99999999999999999999", "1e9", "NaN", "%00", "%FF", "%F0%9F%90%B4", "+275760-09-13T00:00:00.001Z",
            "-9999-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "P99999999999999D", "PT0S", "'%20OR%201=1"];
        for operation in operations(&installation).await {
            if operation.id.starts_with("end") || is_oauth(&operation) {
                continue;
            }
            let asked = site.request_for(&operation).await;
            let caller = entitled(&site, &operation);
            for name in &operation.query {
                let long = "x".repeat(5_000);
                for value in values.iter().copied().chain([long.as_str()]) {
                    let others: Vec<_> = asked.query.iter().filter(|(other, _)| other != name).map(|(other, value)| format!("&{other}={value}")).collect();
                    let path = format!("{}?{name}={value}{}", asked.path, others.concat());
                    let answer = Asked { path, query: Vec::new(), ..asked.clone() }.by(caller).await;
                    judge(&operation, &format!("?{name}={value:.40}"), &answer);
                }
                let path = format!("{}?{name}=1&{name}=1", asked.path);
                let repeated = Asked { path, query: Vec::new(), ..asked.clone() }.by(caller).await.expect_problem(400, "invalid-request");
                assert_eq!(repeated.at("/errors/0/parameter"), *name, "{}: {repeated:?}", operation.id);
            }
            if !operation.query.is_empty() {
                let mut asked = asked.clone();
                asked.query.push(("misspelt".to_owned(), "1".to_owned()));
                let misspelt = asked.by(caller).await.expect_problem(400, "invalid-request");
                assert_eq!(misspelt.at("/errors/0/parameter"), "misspelt", "{}: {misspelt:?}", operation.id);
            }
        }
    }
}

on_both! {
    async fn a_path_that_cannot_be_read_is_not_found(installation) {
        let site = Site::new(&installation).await;
        let long = "x".repeat(5_000);
        for operation in operations(&installation).await {
            for parameter in operation.path_parameters() {
                let good = site.request_for(&operation).await;
                for value in ["%00", "%FF", "..%2F..", "%20", "%F0%9F%90%B4", "'%20OR%201=1", "%0D%0ASet-Cookie:x", &long] {
                    let path = operation.path.replace(&format!("{{{parameter}}}"), value);
                    let path = operation.path_parameters().iter().fold(path, |path, other| path.replace(&format!("{{{other}}}"), "x"));
                    let answer = Asked { path, ..good.clone() }.by(entitled(&site, &operation)).await;
                    judge(&operation, &format!("{parameter} = {value:.40}"), &answer);
                    let status = answer.status.as_u16();
                    let expected = if operation.path.starts_with("/ingest/") { 401 } else { 404 };
                    assert!([expected, 404].contains(&status), "{} {parameter} = {value:.40}: {answer:?}", operation.id);
                }
            }
        }
    }
}

on_both! {
    async fn well_formed_but_absurd_is_refused_by_its_rule(installation) {
        let site = Site::new(&installation).await;
        let (device, maker) = (&site.fleet.devices[0].0, &site.maker);
        let grant = |more: Value| {
            let mut grant = json!({"customer_id": site.account.id, "device_id": device, "functions": null});
            grant.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            grant
        };
        let product = |more: Value| {
            let mut product = json!({"slug": "absurd", "name": "Absurd", "time_zone": "Europe/Berlin"});
            product.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            product
        };
        let function = |argument: Value| product(json!({"functions": [{"name": "f", "argument": argument}]}));
        for (path, body, pointer) in [
            ("/admin/v1/grants", grant(json!({"starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"})), "/ends_at"),
            ("/admin/v1/grants", grant(json!({"starts_at": "2030-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"})), "/ends_at"),
            ("/admin/v1/grants", grant(json!({"functions": ["not a name"]})), "/functions"),
            ("/admin/v1/grants", grant(json!({"functions": ["notDeclared"]})), "/functions"),
            ("/admin/v1/products", product(json!({"slug": "Not A Slug"})), "/slug"),
            ("/admin/v1/products", product(json!({"time_zone": "Mars/Olympus"})), "/time_zone"),
            ("/admin/v1/products", product(json!({"access_mode": "by-magic"})), "/access_mode"),
            ("/admin/v1/products", function(json!({"type": "integer", "min": 5, "max": 4})), "/functions/0/argument"),
            ("/admin/v1/products", function(json!({"type": "enum", "values": []})), "/functions/0/argument"),
            ("/admin/v1/products", function(json!({"type": "pattern", "pattern": "^(((a{1,1000}){1,1000}){1,1000})$"})), "/functions/0/argument"),
            ("/admin/v1/products", function(json!({"type": "pattern", "pattern": "("})), "/functions/0/argument"),
            ("/admin/v1/products", product(json!({"functions": [{"name": "ping", "argument": {"type": "none"}}]})), "/functions/0/name"),
            ("/admin/v1/products", product(json!({"functions": [{"name": "undeclared", "argument": {"type": "none"}}]})), "/functions/0/name"),
            ("/admin/v1/products", product(json!({"telemetry": [{"event": "e", "keys": [{"key": "k", "pointer": "no slash", "type": "number"}]}]})), "/telemetry/0/keys/0/pointer"),
            ("/admin/v1/customers", json!({"email": "nobody"}), "/email"),
            ("/admin/v1/customers", json!({"email": "a@example.com", "password": "short"}), "/password"),
        ] {
            let refused = maker.post(path, &body).await.expect_problem(400, "invalid-request");
            let at = refused.at("/errors/0/pointer");
            assert!(at.as_str().is_some_and(|at| at.starts_with(pointer)), "{pointer} expected: {body} → {refused:?}");
        }
        // An argument is judged by its contract, however long it is, and reaches nobody.
        let acts = installation.sim().acts(0).len();
        for argument in ["9".repeat(LONG), "2\u{0}0".to_owned(), "２０".to_owned(), "20\n".to_owned()] {
            site.owner.call(device, "setTarget", &argument).await.expect_problem(403, "argument-not-allowed");
        }
        let path = format!("/v1/devices/{device}/functions/setTarget");
        for key in ["", "\"unbalanced", &"k".repeat(5_000)] {
            let request = site.owner.request(Method::POST, &path).header("Idempotency-Key", key).json(&json!({"argument": "20"}));
            let refused = site.owner.send(request).await.expect_problem(400, "invalid-request");
            assert_eq!(refused.at("/errors/0/parameter"), "Idempotency-Key");
        }
        assert_eq!(installation.sim().acts(0).len(), acts);
    }
}

on_both! {
    async fn the_ingest_door_keeps_what_it_cannot_read_and_refuses_what_is_too_much(installation) {
        let site = Site::new(&installation).await;
        let door = Caller::new(installation.base(), Some(site.fleet.ingest_secret.clone()));
        let path = format!("/ingest/particle/{}", site.fleet.slug);
        let event = |more: Value| {
            let mut event = json!({"event": "thermostat/state", "coreid": site.fleet.devices[0].1.to_string(),
                "published_at": "2026-01-01T00:00:00.000Z", "data": "{\"t\":20.5}"});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event.to_string().into_bytes()
        };
        let send = async |media_type: &str, bytes: Vec<u8>| {
            door.send(door.request(Method::POST, &path).header(CONTENT_TYPE, media_type).body(bytes)).await
        };
        for bytes in [
            Vec::new(),
            b"{".to_vec(),
            b"\xff\xfe\x00".to_vec(),
            vec![b'['; 50_000],
            b"[]".to_vec(),
            event(json!({"data": 7})),
            event(json!({"data": "a\u{0}b"})),
            event(json!({"data": "{\"t\":1e999}"})),
            event(json!({"data": "{\"t\":\"NaN\"}"})),
            event(json!({"data": "{\"t\":20.5,\"time\":99999999999999999999}"})),
            event(json!({"event": "a\u{0}b"})),
            event(json!({"event": "x".repeat(10_000)})),
            event(json!({"coreid": "not a device"})),
            event(json!({"coreid": "api"})),
            event(json!({"published_at": "+275760-09-13T00:00:00.001Z"})),
            event(json!({"published_at": "yesterday"})),
            event(json!({"published_at": null})),
        ] {
            for media_type in ["application/json", "application/x-www-form-urlencoded", "text/plain"] {
                send(media_type, bytes.clone()).await.expect(204);
            }
        }
        send("application/json", vec![b' '; 262_145]).await.expect_problem(413, "too-large");
        // It still takes what is right.
        send("application/json", event(json!({}))).await.expect(204);
        let rejected = format!("/admin/v1/rejected-events?product={}&limit=500", site.fleet.product_id);
        let rejected = site.maker.get(&rejected).await.expect(200);
        assert!(rejected.at("/items").as_array().is_some_and(|items| !items.is_empty()), "{rejected:?}");
        site.maker.get(&format!("/admin/v1/devices/{}/events?limit=500", site.fleet.devices[0].0)).await.expect(200);
        installation.anonymous().get("/readyz").await.expect(200);
    }
}
