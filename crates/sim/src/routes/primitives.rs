//! What devices do: functions, variables, ping; and publishing through the API (reference §5, §8.2).
//! A call that has left for the device is carried out even if its caller hangs up meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use super::{DevicePath, Shared};
use crate::clock::rfc3339;
use crate::cloud::Cloud;
use crate::event::Origin;
use crate::faults::FaultKind;
use crate::fleet::Order;
use crate::http::{Answer, Call, Primitive, Refusal, ok};
use crate::id::{DeviceId, ProductId};
use crate::world::{NewEvent, Owner, Scope, World};

/// Device OS 3 and later (reference §4.2).
const ARGUMENT_MAX: usize = 1024;
const EVENT_NAME_MAX: usize = 64;
const EVENT_DATA_MAX: usize = 1024;

pub(super) async fn function(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    // The documentation says `arg`, the JavaScript client sends `args`; absent is empty.
    let argument = call
        .body
        .text("arg")
        .or_else(|| call.body.text("args"))
        .unwrap_or_default();
    if argument.len() > ARGUMENT_MAX {
        return Err(Refusal::Missing { field: "arg" });
    }
    let (order, fate) = {
        let mut world = cloud.world();
        let (caller, id) = world.device_at(&call, &path, Scope::DeviceFunctionCall)?;
        let function = known_function(&world, &id, &path.name)?;
        let order = Order {
            device_id: id.clone(),
            function,
            argument,
            request_at: call.arrived_at,
            credential: caller.principal.credential_kind(),
        };
        (order, fate(&mut world, &id))
    };
    let id = order.device_id.clone();
    let return_value = perform(&cloud, order, fate).await?;
    if is_raw(&call) {
        return Ok(raw(&json!(return_value)));
    }
    let world = cloud.world();
    let device = world.registry.devices.get(&id).ok_or(Refusal::PermissionDenied)?;
    ok(json!({"id": id, "name": device.name, "connected": true, "return_value": return_value}))
}

fn known_function(world: &World, id: &DeviceId, name: &str) -> Result<String, Refusal> {
    let device = world.registry.devices.get(id).ok_or(Refusal::PermissionDenied)?;
    let folds_case = world.config.inference.function_names_fold_case;
    device
        .firmware
        .functions()
        .into_iter()
        .find(|known| *known == name || (folds_case && known.eq_ignore_ascii_case(name)))
        .map(str::to_owned)
        .ok_or_else(|| Refusal::FunctionNotFound {
            function: name.to_owned(),
        })
}

/// What will become of a request to a device.
enum Fate {
    Answered,
    /// The cloud knows: 408 at once.
    KnownOffline,
    /// The cloud believes in vain and gives up.
    Silent {
        after: Duration,
    },
    /// The device acts, its answer is lost.
    AnswerLost {
        after: Duration,
    },
}

fn fate(world: &mut World, id: &DeviceId) -> Fate {
    let patience = world.config.calls.silent_after_ms;
    let wait = |ms: Option<u64>| Duration::from_millis(ms.unwrap_or(patience));
    if world.faults.strike(FaultKind::Offline, Some(id)).is_some() {
        return Fate::KnownOffline;
    }
    if let Some(fault) = world.faults.strike(FaultKind::Stale, Some(id)) {
        return Fate::Silent { after: wait(fault.ms) };
    }
    if !world.registry.devices.get(id).is_some_and(|device| device.link.is_up()) {
        return Fate::KnownOffline;
    }
    match world.faults.strike(FaultKind::ExecuteThenTimeout, Some(id)) {
        Some(fault) => Fate::AnswerLost { after: wait(fault.ms) },
        None => Fate::Answered,
    }
}

async fn perform(cloud: &Arc<Cloud>, order: Order, fate: Fate) -> Result<i32, Refusal> {
    let timed_out = Refusal::TimedOut {
        primitive: Primitive::Function,
        profile: cloud.config.profile,
    };
    match fate {
        Fate::KnownOffline => Err(timed_out),
        Fate::Silent { after } => {
            tokio::time::sleep(after).await;
            Err(timed_out)
        }
        Fate::AnswerLost { after } => {
            carry_out(cloud, order).await?;
            tokio::time::sleep(after).await;
            Err(timed_out)
        }
        Fate::Answered => carry_out(cloud, order).await,
    }
}

/// A task of its own: hyper drops a handler whose client has gone, but the command is on its way.
async fn carry_out(cloud: &Arc<Cloud>, order: Order) -> Result<i32, Refusal> {
    let delay = Duration::from_millis(cloud.config.calls.delay_ms);
    if delay.is_zero() {
        return Ok(cloud.world().execute(order));
    }
    let travelling = Arc::clone(cloud);
    let call = cloud.tasks.spawn(async move {
        tokio::select! {
            () = travelling.stopping.cancelled() => None,
            () = tokio::time::sleep(delay) => {
                let return_value = travelling.world().execute(order);
                travelling.keep_soon();
                Some(return_value)
            }
        }
    });
    call.await.ok().flatten().ok_or(Refusal::Injected { status: 503 })
}

pub(super) async fn variable(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    let timed_out = Refusal::TimedOut {
        primitive: Primitive::Variable,
        profile: cloud.config.profile,
    };
    let (id, fate) = {
        let mut world = cloud.world();
        let (_, id) = world.device_at(&call, &path, Scope::DeviceVariableGet)?;
        read(&world, &id, &path.name)?;
        let fate = fate(&mut world, &id);
        (id, fate)
    };
    match fate {
        Fate::KnownOffline => return Err(timed_out),
        Fate::Silent { after } | Fate::AnswerLost { after } => {
            tokio::time::sleep(after).await;
            return Err(timed_out);
        }
        Fate::Answered => tokio::time::sleep(Duration::from_millis(cloud.config.calls.delay_ms)).await,
    }
    let mut world = cloud.world();
    let now = world.now();
    if let Some(device) = world.registry.devices.get_mut(&id) {
        device.last_heard_at = Some(now);
    }
    let result = read(&world, &id, &path.name)?;
    if is_raw(&call) {
        return Ok(raw(&result));
    }
    ok(json!({"name": path.name, "result": result, "coreInfo": core_info(&world, &id)}))
}

fn read(world: &World, id: &DeviceId, variable: &str) -> Result<Value, Refusal> {
    let device = world.registry.devices.get(id).ok_or(Refusal::PermissionDenied)?;
    device.firmware.read(variable).ok_or_else(|| Refusal::VariableNotFound {
        variable: variable.to_owned(),
        profile: world.config.profile,
    })
}

fn core_info(world: &World, id: &DeviceId) -> Value {
    let Some(device) = world.registry.devices.get(id) else {
        return Value::Null;
    };
    json!({
        "name": device.name,
        "deviceID": id,
        "connected": true,
        "last_handshake_at": device.last_handshake_at.map(rfc3339),
        "last_heard": device.last_heard_at.map(rfc3339),
        "product_id": device.product_id.map_or(u32::from(device.firmware.platform_id()), |product| product.0),
    })
}

/// `format=raw`: the bare value, strings unquoted.
fn is_raw(call: &Call) -> bool {
    [&call.query, &call.body]
        .into_iter()
        .any(|fields| fields.text("format").as_deref() == Some("raw"))
}

fn raw(value: &Value) -> Response {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
}

/// An offline device answers the ping too: with `online: false` (reference §3.3).
pub(super) async fn ping(State(cloud): Shared, Path(path): Path<DevicePath>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, id) = world.device_at(&call, &path, Scope::DevicesPing)?;
    let now = world.now();
    let is_silent = world.faults.stands(FaultKind::Stale, Some(&id));
    let device = world.registry.devices.get(&id).ok_or(Refusal::PermissionDenied)?;
    let online = world.is_online(device) && !is_silent;
    if online && let Some(device) = world.registry.devices.get_mut(&id) {
        device.last_heard_at = Some(now);
    }
    ok(json!({"online": online, "ok": true}))
}

/// `POST /v1/devices/events`
pub(super) async fn publish(State(cloud): Shared, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, owner) = world.enter_as_owner(&call.credentials)?;
    publish_for(&mut world, &call, None, Some(owner))
}

/// `POST /v1/products/:product/events`
pub(super) async fn product_publish(State(cloud): Shared, Path(product): Path<String>, call: Call) -> Answer {
    let mut world = cloud.world();
    let (_, product) = world.enter_product(&call.credentials, &product, Scope::EventsSend)?;
    publish_for(&mut world, &call, Some(product), None)
}

/// A line break would end the `event:` line of a stream.
fn is_event_name(name: &str) -> bool {
    name.len() <= EVENT_NAME_MAX && !name.contains(char::is_control)
}

fn publish_for(world: &mut World, call: &Call, product_id: Option<ProductId>, owner: Option<Owner>) -> Answer {
    let name = call.body.filled("name").filter(|name| is_event_name(name));
    let name = name.ok_or(Refusal::Missing { field: "name" })?;
    let data = call.body.text("data");
    if data.as_ref().is_some_and(|data| data.len() > EVENT_DATA_MAX) {
        return Err(Refusal::Missing { field: "data" });
    }
    let event = NewEvent {
        name,
        data,
        ttl: call.body.number("ttl").unwrap_or(60),
        published_at: world.now(),
        coreid: world.config.inference.api_coreid.clone(),
        origin: Origin::Api,
        product_id,
        firmware_version: 0,
        // Documentation speaks of both; since the public stream was narrowed: private (§15).
        private: !call.body.has("private") || call.body.flag("private"),
        owner,
    };
    world.emit(event);
    ok(json!({"ok": true}))
}
