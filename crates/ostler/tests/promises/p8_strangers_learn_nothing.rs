//! P8: to whoever has no grant, a device looks like no device: same status, same header fields, same
//! body. Asked of every operation of the served document that names a device or a command.

use reqwest::Method;
use serde_json::{Value, json};

use crate::operations::{Operation, Site, operations};
use crate::world::{Answer, Caller, Installation, On, on_both};

const NOBODYS_DEVICE: &str = "dev_01h455vb4pex5vsknk084sn02q";
const NOBODYS_COMMAND: &str = "cmd_01h455vb4pex5vsknk084sn02q";

const UNREADABLE: [&str; 6] = [
    "dev_",
    "1",
    "dev_01h455vb4pex5vsknk084sn02q0",
    "%F0%9F%90%B4",
    "cmd_..%2F..",
    "%FF",
];

/// All that a stranger can compare. The request id is drawn, the date passes.
fn seen(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().expect("a problem document").remove("request_id");
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let headers: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    json!({"status": answer.status.as_u16(), "headers": headers, "body": body})
}

/// Ways to ask that differ in how far a careless check would get with a device that exists.
const NAMES: [(&str, &str, &str); 3] = [
    ("setTarget", "target", "temperature"),
    ("nothing", "nothing", "nothing"),
    ("set%20Target", "%00", "%FF"),
];
const ARGUMENTS: [&str; 2] = ["20", "far too hot"];

async fn ask(
    caller: &Caller,
    operation: &Operation,
    device: &str,
    command: &str,
    names: (&str, &str, &str),
    argument: &str,
) -> Answer {
    let (function, variable, key) = names;
    let path = operation
        .path
        .replace("{device_id}", device)
        .replace("{command_id}", command)
        .replace("{function}", function)
        .replace("{variable}", variable);
    assert!(!path.contains('{'), "a parameter that this test does not know: {path}");
    let query = if operation.query.iter().any(|name| name == "key") {
        format!("?key={key}&from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z")
    } else {
        String::new()
    };
    let request = caller.request(operation.method.clone(), &format!("{path}{query}"));
    let body = match operation.id.as_str() {
        "callFunction" => Some(json!({"argument": argument})),
        "changeDevice" => Some(json!({"name": "mine now"})),
        _ => None,
    };
    assert_eq!(
        body.is_some(),
        operation.has_body(),
        "{}: a body that this test does not know",
        operation.id
    );
    caller
        .send(match body {
            Some(body) => request.header("Idempotency-Key", "a key").json(&body),
            None => request,
        })
        .await
}

on_both! {
    async fn p8_a_strangers_device_looks_like_no_device(installation) {
        let site = Site::new(&installation).await;
        let (device, _) = &site.fleet.devices[0];
        let strangers = [site.stranger().await, site.neighbour().await];
        let judged: Vec<_> = operations(&installation).await.into_iter()
            .filter(|operation| operation.is_for_customers() && (operation.path.contains("{device_id}") || operation.path.contains("{command_id}")))
            .collect();
        assert!(judged.len() >= 8, "{judged:?}");
        for operation in &judged {
            for (names, argument) in NAMES.into_iter().flat_map(|names| ARGUMENTS.map(|argument| (names, argument))) {
                for stranger in &strangers {
                    let existing = ask(stranger, operation, device, &site.command_id, names, argument).await;
                    // A query that cannot be read is refused before anything is looked up.
                    let is_readable = !(operation.query.iter().any(|name| name == "key") && names.2 == "%FF");
                    let existing = seen(&existing.expect(if is_readable { 404 } else { 400 }));
                    let unknown = ask(stranger, operation, NOBODYS_DEVICE, NOBODYS_COMMAND, names, argument).await;
                    assert_eq!(existing, seen(&unknown), "{} tells an unknown one apart", operation.id);
                    for unreadable in UNREADABLE {
                        let unreadable = ask(stranger, operation, unreadable, unreadable, names, argument).await;
                        assert_eq!(existing, seen(&unreadable), "{} tells an id apart that cannot be read", operation.id);
                    }
                }
            }
        }
        // Nothing happened to the device, and the test asked where its owner is answered.
        let shown = site.owner.get(&format!("/v1/devices/{device}")).await.expect(200);
        assert_ne!(shown.at("/name"), "mine now");
        assert_eq!(installation.sim().acts(0).len(), 1, "the owner's own call");
        site.owner.send(site.owner.request(Method::GET, &format!("/v1/commands/{}", site.command_id))).await.expect(200);
    }
}

on_both! {
    async fn p8_a_grant_on_one_device_tells_nothing_of_the_next(installation) {
        let site = Site::new(&installation).await;
        let neighbour = site.neighbour().await;
        let listed = neighbour.get("/v1/devices").await.expect(200);
        assert!(!listed.text.contains(&site.fleet.devices[0].0), "{listed:?}");
        // A cursor that was given to somebody else shows nothing of theirs either.
        let cursor = listed.at("/next_cursor");
        assert_eq!(cursor, Value::Null);
    }
}
