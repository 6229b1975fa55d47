//! The webhooks by which the cloud delivers events to us: exactly one for each prefix (§9.1).
//!
//! Creating the same hook twice makes two that both fire, so the list comes first. Ours are known
//! by host and path of their URL; hooks of others are never touched. A drifted hook is replaced,
//! the new one first: an event that comes twice is stored once, one that does not come is lost.

use std::collections::BTreeSet;

use http::Method;
use ostler_app::device_cloud::{CloudError, HookRequest, HookStep};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::connection::Connection;
use crate::request::{CloudRequest, Purpose};
use crate::wire;

const NAME: &str = "Ostler";

/// What to do about one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Keep { event: String },
    Create { event: String },
    Replace { event: String, id: String, what: String },
    Remove { event: String, id: String },
}

impl Connection {
    pub(crate) async fn ensure_hooks(&self, request: &HookRequest, dry_run: bool) -> Result<Vec<HookStep>, CloudError> {
        let changes = plan(request, self.list_hooks().await?);
        if !dry_run {
            for change in &changes {
                self.carry_out(request, change).await?;
            }
        }
        Ok(changes.into_iter().map(HookStep::from).collect())
    }

    async fn list_hooks(&self) -> Result<Vec<wire::Integration>, CloudError> {
        let path = self.product.path().segment("integrations");
        let answer = self.exchange(&CloudRequest::get(Purpose::Hooks, path)).await?;
        Ok(answer.json::<wire::IntegrationList>()?.into_inner())
    }

    async fn carry_out(&self, request: &HookRequest, change: &Change) -> Result<(), CloudError> {
        match change {
            Change::Keep { .. } => Ok(()),
            Change::Create { event } => self.create_hook(request, event).await,
            Change::Replace { event, id, .. } => {
                self.create_hook(request, event).await?;
                self.remove_hook(id).await
            }
            Change::Remove { id, .. } => self.remove_hook(id).await,
        }
    }

    async fn create_hook(&self, request: &HookRequest, event: &str) -> Result<(), CloudError> {
        let path = self.product.path().segment("integrations");
        let hook = wire::IntegrationRequest {
            integration_type: "Webhook",
            name: NAME,
            event,
            url: &request.url,
            request_type: "POST",
            no_defaults: true,
            reject_unauthorized: true,
            headers: headers(request),
            json: template(),
        };
        let request = CloudRequest::json(Purpose::Hooks, Method::POST, path, &hook);
        self.exchange(&request).await.map(|_| ())
    }

    async fn remove_hook(&self, id: &str) -> Result<(), CloudError> {
        let path = self.product.path().segment("integrations").segment(id);
        let request = CloudRequest::new(Purpose::Hooks, Method::DELETE, path);
        match self.exchange(&request).await {
            // Somebody else removed it: that is what we wanted.
            Err(CloudError::Refused { status: 404 }) | Ok(_) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

impl From<Change> for HookStep {
    fn from(change: Change) -> Self {
        match change {
            Change::Keep { event } => Self::Unchanged { event },
            Change::Create { event } => Self::Created { event },
            Change::Replace { event, what, .. } => Self::Repaired { event, what },
            Change::Remove { event, .. } => Self::RemovedDuplicate { event },
        }
    }
}

/// §9.2, the recommended hook. Every value is a string; the body parser knows that.
fn template() -> Value {
    json!({
        "id": "{{{PARTICLE_EVENT_ID}}}",
        "event": "{{{PARTICLE_EVENT_NAME}}}",
        "data": "{{{PARTICLE_EVENT_VALUE}}}",
        "coreid": "{{{PARTICLE_DEVICE_ID}}}",
        "published_at": "{{{PARTICLE_PUBLISHED_AT}}}",
        "product": "{{{PRODUCT_ID}}}",
        "fw": "{{{PRODUCT_VERSION}}}",
        "user": "{{{PRODUCT_USER_ID}}}",
    })
}

fn headers(request: &HookRequest) -> Value {
    json!({
        "Authorization": format!("Bearer {}", request.secret.expose_secret()),
        "Content-Type": "application/json",
    })
}

fn plan(request: &HookRequest, listed: Vec<wire::Integration>) -> Vec<Change> {
    let ours: Vec<_> = listed
        .into_iter()
        .filter(|hook| is_ours(&request.url, hook.url.as_deref()))
        .collect();
    let mut kept = BTreeSet::new();
    let mut changes: Vec<_> = request
        .event_prefixes
        .iter()
        .map(|event| settle(request, event, &ours, &mut kept))
        .collect();
    // A second one for the same events, or one for events that the product no longer needs.
    let rest = ours.into_iter().filter(|hook| !kept.contains(&hook.id));
    changes.extend(rest.map(|hook| Change::Remove {
        event: hook.event.unwrap_or_default(),
        id: hook.id,
    }));
    changes
}

fn settle(request: &HookRequest, event: &str, ours: &[wire::Integration], kept: &mut BTreeSet<String>) -> Change {
    let candidates = || ours.iter().filter(|hook| hook.event.as_deref() == Some(event));
    let best = candidates()
        .find(|hook| drift(request, hook).is_none())
        .or_else(|| candidates().next());
    let event = event.to_owned();
    let Some(hook) = best else {
        return Change::Create { event };
    };
    kept.insert(hook.id.clone());
    match drift(request, hook) {
        None => Change::Keep { event },
        Some(what) => Change::Replace {
            event,
            id: hook.id.clone(),
            what: what.to_owned(),
        },
    }
}

fn is_ours(wanted: &str, listed: Option<&str>) -> bool {
    let (Ok(wanted), Some(Ok(listed))) = (Url::parse(wanted), listed.map(Url::parse)) else {
        return false;
    };
    wanted.host() == listed.host() && wanted.path() == listed.path()
}

/// The first member that is not as we would write it.
fn drift(request: &HookRequest, hook: &wire::Integration) -> Option<&'static str> {
    let kind = hook.integration_type.as_deref().unwrap_or("Webhook");
    let method = hook.request_type.as_deref().unwrap_or("POST");
    [
        (kind == "Webhook", "integration_type"),
        (hook.url.as_deref() == Some(request.url.as_str()), "url"),
        (method.eq_ignore_ascii_case("POST"), "requestType"),
        (hook.no_defaults == Some(true), "noDefaults"),
        (hook.disabled != Some(true), "disabled"),
        (same_json(hook.json.as_ref(), &template()), "json"),
        (same_json(hook.headers.as_ref(), &headers(request)), "headers"),
    ]
    .into_iter()
    .find(|(holds, _)| !holds)
    .map(|(_, member)| member)
}

/// The cloud takes, and may give back, an object as text.
fn same_json(listed: Option<&Value>, wanted: &Value) -> bool {
    match listed {
        Some(Value::String(text)) => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *wanted),
        Some(value) => value == wanted,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HookRequest {
        HookRequest {
            url: "https://ostler.example/ingest/particle/thermostat".into(),
            secret: "ost_in_x".into(),
            event_prefixes: vec!["t/".into(), "ostler/".into()],
        }
    }

    fn listed(id: &str, event: &str, change: impl FnOnce(&mut Value)) -> wire::Integration {
        let mut hook = json!({
            "id": id, "event": event, "url": request().url, "integration_type": "Webhook", "requestType": "POST",
            "noDefaults": true, "headers": headers(&request()), "json": template(),
        });
        change(&mut hook);
        serde_json::from_value(hook).unwrap()
    }

    #[test]
    fn hooks_of_others_are_never_touched() {
        let foreign = |url: &str| listed("f", "t/", |hook| hook["url"] = json!(url));
        let hooks = vec![
            foreign("https://other.example/ingest/particle/thermostat"),
            foreign("https://ostler.example/ingest/particle/thermostat-2"),
            foreign("{{{template}}}"),
            listed("g", "t/", |hook| hook["url"] = Value::Null),
        ];
        let expected = [
            Change::Create { event: "t/".into() },
            Change::Create {
                event: "ostler/".into(),
            },
        ];
        assert_eq!(plan(&request(), hooks), expected);
    }

    #[test]
    fn one_hook_is_kept_and_the_rest_of_ours_go() {
        let hooks = vec![
            listed("1", "t/", |hook| hook["noDefaults"] = json!(false)),
            listed("2", "t/", |_| {}),
            listed("3", "old/", |_| {}),
            listed("4", "ostler/", |hook| hook["json"] = json!(template().to_string())),
        ];
        let expected = [
            Change::Keep { event: "t/".into() },
            Change::Keep {
                event: "ostler/".into(),
            },
            Change::Remove {
                event: "t/".into(),
                id: "1".into(),
            },
            Change::Remove {
                event: "old/".into(),
                id: "3".into(),
            },
        ];
        assert_eq!(plan(&request(), hooks), expected);
    }

    #[test]
    fn a_drifted_hook_is_replaced_and_says_what_was_wrong() {
        type Drift = fn(&mut Value);
        let table: [(Drift, &str); 6] = [
            (
                |hook| hook["url"] = json!("http://ostler.example/ingest/particle/thermostat"),
                "url",
            ),
            (|hook| hook["requestType"] = json!("PUT"), "requestType"),
            (|hook| hook["disabled"] = json!(true), "disabled"),
            (|hook| hook["json"]["data"] = json!("{{PARTICLE_EVENT_VALUE}}"), "json"),
            (|hook| hook["headers"]["Authorization"] = json!("Bearer old"), "headers"),
            (|hook| hook["headers"] = Value::Null, "headers"),
        ];
        for (change, member) in table {
            let changes = plan(&request(), vec![listed("1", "t/", change)]);
            let expected = Change::Replace {
                event: "t/".into(),
                id: "1".into(),
                what: member.into(),
            };
            assert_eq!(changes[0], expected);
        }
    }
}
