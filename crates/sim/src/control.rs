//! `/_sim`: control of the simulator from outside, for tests and demos. Loopback only: a page in a
//! browser that reaches this port by a foreign name is refused, and there is no CORS.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Host, Url};

use crate::cloud::Cloud;
use crate::faults::{Fault, FaultKind};
use crate::http::{Answer, Call, Refusal, created, json_response, no_content, ok};
use crate::id::DeviceId;
use crate::world::World;

type Shared = State<Arc<Cloud>>;

pub(crate) fn routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/_sim/acts", get(acts))
        .route("/_sim/requests", get(requests))
        .route("/_sim/faults", post(add_fault).delete(clear_faults))
        .route("/_sim/faults/{id}", delete(clear_fault))
        .route("/_sim/devices", get(devices))
        .route("/_sim/devices/{id}", put(switch))
        .route("/_sim/devices/{id}/publish", post(publish))
        .route("/_sim/clock", get(clock).post(advance))
        .layer(from_fn(loopback_only))
}

async fn loopback_only(request: Request, next: Next) -> Response {
    if is_local(request.headers()) {
        next.run(request).await
    } else {
        json_response(
            StatusCode::FORBIDDEN,
            &json!({"ok": false, "error": "the control API is for this machine only"}),
        )
    }
}

/// `Host` guards against DNS rebinding, `Origin` against pages that post blindly.
fn is_local(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default().to_owned())
    };
    let host_is_local = text(header::HOST).is_none_or(|host| is_loopback_url(&format!("http://{host}")));
    let origin_is_local = text(header::ORIGIN).is_none_or(|origin| is_loopback_url(&origin));
    host_is_local && origin_is_local
}

fn is_loopback_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

async fn acts(State(cloud): Shared, call: Call) -> Answer {
    let world = cloud.world();
    let acts = world.journal.acts_after(call.query.number("after").unwrap_or(0));
    let acts: Vec<Value> = acts.iter().map(crate::journal::Act::to_wire).collect();
    ok(json!({"acts": acts, "last_seq": world.journal.last_act}))
}

async fn requests(State(cloud): Shared, call: Call) -> Answer {
    let world = cloud.world();
    let requests = world.journal.requests_after(call.query.number("after").unwrap_or(0));
    let requests: Vec<Value> = requests.iter().map(crate::journal::RequestRecord::to_wire).collect();
    ok(json!({"requests": requests, "last_seq": world.journal.last_request}))
}

async fn add_fault(State(cloud): Shared, call: Call) -> Answer {
    let fault: Fault =
        serde_json::from_value(Value::Object(call.body.into_map())).map_err(|_| Refusal::Missing { field: "fault" })?;
    created(json!({"id": cloud.world().add_fault(fault)}))
}

async fn clear_faults(State(cloud): Shared) -> Answer {
    cloud.world().faults.clear_all();
    no_content()
}

async fn clear_fault(State(cloud): Shared, Path(id): Path<u64>) -> Answer {
    if cloud.world().faults.clear(id) {
        no_content()
    } else {
        Err(Refusal::NoSuchThing { what: "Fault" })
    }
}

async fn devices(State(cloud): Shared) -> Answer {
    let world = cloud.world();
    let devices: Vec<Value> = world
        .registry
        .devices
        .values()
        .map(|device| {
            json!({
                "cloud_id": device.id,
                "name": device.name,
                "product_id": device.product_id,
                "online": world.is_online(device),
            })
        })
        .collect();
    ok(json!({"devices": devices, "open_streams": world.bus.open()}))
}

async fn switch(State(cloud): Shared, Path(id): Path<String>, call: Call) -> Answer {
    let online = call
        .body
        .get("online")
        .and_then(Value::as_bool)
        .ok_or(Refusal::Missing { field: "online" })?;
    if !cloud.world().switch(&DeviceId::new(&id), online) {
        return Err(Refusal::NoSuchThing { what: "Device" });
    }
    ok(json!({"cloud_id": id, "online": online}))
}

async fn publish(State(cloud): Shared, Path(id): Path<String>, call: Call) -> Answer {
    let name = call.body.filled("name").filter(|name| !name.contains(char::is_control));
    let name = name.ok_or(Refusal::Missing { field: "name" })?;
    if !cloud
        .world()
        .publish_as(&DeviceId::new(&id), &name, call.body.text("data"))
    {
        return Err(Refusal::NoSuchThing { what: "Device" });
    }
    ok(json!({"ok": true}))
}

async fn clock(State(cloud): Shared) -> Answer {
    ok(now_wire(&cloud))
}

#[derive(Deserialize)]
struct Advance {
    advance_ms: u64,
}

async fn advance(State(cloud): Shared, call: Call) -> Answer {
    let advance: Advance = serde_json::from_value(Value::Object(call.body.into_map()))
        .map_err(|_| Refusal::Missing { field: "advance_ms" })?;
    let by_ms = i64::try_from(advance.advance_ms).map_err(|_| Refusal::Missing { field: "advance_ms" })?;
    cloud.world().advance(by_ms);
    ok(now_wire(&cloud))
}

fn now_wire(cloud: &Cloud) -> Value {
    let now_ms = cloud.clock.now_ms();
    json!({"now": crate::clock::rfc3339(now_ms), "now_ms": now_ms})
}

impl World {
    /// Some faults strike when they are added.
    pub(crate) fn add_fault(&mut self, fault: Fault) -> u64 {
        match fault.fault {
            FaultKind::ExpireTokens => {
                self.expire_tokens();
                self.faults.note()
            }
            FaultKind::DropStream => self.drop_streams(fault),
            FaultKind::Latency
            | FaultKind::Offline
            | FaultKind::Stale
            | FaultKind::ExecuteThenTimeout
            | FaultKind::Status
            | FaultKind::EdgeError
            | FaultKind::DeafStream
            | FaultKind::DuplicateHooks
            | FaultKind::ReorderHooks
            | FaultKind::RateLimit => self.faults.add(fault),
        }
    }

    /// Closes what is open; what is left of `times` waits for new streams.
    fn drop_streams(&mut self, mut fault: Fault) -> u64 {
        let at_most = fault.times.map_or(usize::MAX, |times| times as usize);
        let closed = self.bus.close(fault.cloud_id.as_ref(), at_most);
        fault.times = fault.times.map(|times| times - u32::try_from(closed).unwrap_or(times));
        if fault.times == Some(0) {
            self.faults.note()
        } else {
            self.faults.add(fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_this_machine_is_local() {
        for host in ["127.0.0.1:8081", "localhost:8081", "[::1]:8081", "127.0.0.1"] {
            assert!(is_local(&headers(host, None)), "{host}");
        }
        for host in [
            "sim.example:8081",
            "127.0.0.1.example",
            "192.0.2.1:8081",
            "localhost.example",
        ] {
            assert!(!is_local(&headers(host, None)), "{host}");
        }
        assert!(is_local(&headers("localhost", Some("http://127.0.0.1:3000"))));
        assert!(!is_local(&headers("localhost", Some("https://evil.example"))));
        assert!(!is_local(&headers("localhost", Some("null"))));
    }
}
