//! Webhooks: which events a hook wants, how its templates become a request, and the vendor's stubborn
//! but forgetful delivery (reference §9). Only the integration type "Webhook" is delivered.

mod deliver;
mod rating;
mod request;
mod template;

use std::sync::Arc;

use serde_json::{Map, Value, json};

pub(crate) use deliver::{Deliverer, dispatch};

use crate::clock::rfc3339;
use crate::config::HookTiming;
use crate::event::Event;
use crate::http::Refusal;
use crate::id::HookId;
use crate::world::{ClientHome, Hook, World};

/// One event on its way to one hook, as the hook stood when the event passed.
#[derive(Clone, Debug)]
pub(crate) struct HookJob {
    pub hook: Hook,
    pub event: Arc<Event>,
}

/// Refuses what could never be delivered.
pub(crate) fn check_declaration(fields: &Map<String, Value>) -> Result<(), Refusal> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if text("event").is_none() {
        return Err(Refusal::Missing { field: "event" });
    }
    let is_webhook = text("integration_type").is_none_or(|kind| kind == "Webhook");
    let is_url = text("url").is_some_and(|url| url.starts_with("http://") || url.starts_with("https://"));
    if is_webhook && !is_url {
        return Err(Refusal::Missing { field: "url" });
    }
    Ok(())
}

impl World {
    /// Declaring the same hook twice makes two.
    pub(crate) fn add_hook(&mut self, home: ClientHome, mut fields: Map<String, Value>) -> Result<Hook, Refusal> {
        // Honoured when a hook is changed, not when it is made (reference §9.1).
        fields.remove("disabled");
        check_declaration(&fields)?;
        let id = HookId::new(&self.random_hex(24));
        let hook = Hook {
            id: id.clone(),
            home,
            fields,
            created_at: self.now(),
            sent: 0,
            failed: 0,
        };
        self.registry.hooks.insert(id, hook.clone());
        Ok(hook)
    }
}

impl Hook {
    /// The event's name begins with the hook's, upper and lower case apart (reference §9.1).
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let in_view = match &self.home {
            ClientHome::Product(product) => event.product_id == Some(*product),
            ClientHome::Account(user) => {
                event.owner == Some(crate::world::Owner::User(user.clone())) && self.is_for_device_of(event)
            }
        };
        let is_webhook = self.text("integration_type").is_none_or(|kind| kind == "Webhook");
        in_view
            && is_webhook
            && !self.is_true("disabled")
            && self.text("event").is_some_and(|prefix| event.name.starts_with(prefix))
    }

    /// `deviceID` is for sandbox hooks only; clients spell it in three ways.
    fn is_for_device_of(&self, event: &Event) -> bool {
        let wanted = ["deviceID", "deviceId", "deviceid"]
            .into_iter()
            .find_map(|key| self.text(key));
        wanted.is_none_or(|id| event.device().is_some_and(|device| device.as_str() == id))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.fields
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    fn is_true(&self, key: &str) -> bool {
        match self.fields.get(key) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text == "true",
            Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) | None => false,
        }
    }

    /// The object of reference §9.1: what was declared, with the defaults made visible.
    pub(crate) fn to_wire(&self) -> Value {
        let mut wire = self.fields.clone();
        for (key, default) in [
            ("integration_type", json!("Webhook")),
            ("requestType", json!("POST")),
            ("noDefaults", json!(false)),
            ("rejectUnauthorized", json!(true)),
        ] {
            wire.entry(key).or_insert(default);
        }
        let name = self.text("name").or(self.text("url")).unwrap_or_default().to_owned();
        wire.entry("name").or_insert(json!(name));
        wire.insert("id".to_owned(), json!(self.id));
        wire.insert("created_at".to_owned(), json!(rfc3339(self.created_at)));
        Value::Object(wire)
    }
}

impl HookTiming {
    fn answer_within(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.answer_within_ms)
    }
}
