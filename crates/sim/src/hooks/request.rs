//! Turns a hook's declaration and an event into one HTTP request (reference §9.2). Nothing is sent
//! here.

use http::Method;
use serde_json::{Map, Value, json};
use url::Url;
use url::form_urlencoded;

use super::HookJob;
use super::template::Variables;
use crate::clock::rfc3339;
use crate::event::Event;
use crate::world::ClientHome;

const USER_AGENT: &str = "ParticleBot/1.1 (https://docs.particle.io/webhooks)";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HookRequest {
    pub method: Method,
    pub url: Url,
    /// Lower-case names; a later one replaces an earlier one.
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub basic: Option<(String, String)>,
    pub verify_certificate: bool,
}

/// None if the declaration cannot become a request, such as a URL that its template has broken.
pub(super) fn build(job: &HookJob) -> Option<HookRequest> {
    let hook = &job.hook;
    let variables = Variables::of(&job.event, matches!(hook.home, ClientHome::Product(_)));
    let method = match hook.text("requestType") {
        Some(word) => Method::from_bytes(word.to_ascii_uppercase().as_bytes()).ok()?,
        None => Method::POST,
    };
    let mut url = Url::parse(&variables.render(hook.text("url")?)).ok()?;
    let defaults = if hook.is_true("noDefaults") {
        Map::new()
    } else {
        defaults(&job.event)
    };
    let (kind, body, in_query) = content(job, &variables, &method, defaults);
    let mut query = rendered_members(hook.fields.get("query"), &variables);
    query.extend(in_query);
    if !query.is_empty() {
        url.query_pairs_mut()
            .extend_pairs(query.iter().map(|(key, value)| (key, plain_text(value))));
    }
    Some(HookRequest {
        method,
        url,
        headers: headers(kind, &rendered_members(hook.fields.get("headers"), &variables)),
        body,
        basic: basic(hook.fields.get("auth"), &variables),
        verify_certificate: hook.fields.get("rejectUnauthorized") != Some(&json!(false)),
    })
}

/// The four default keys.
fn defaults(event: &Event) -> Map<String, Value> {
    let Value::Object(members) = json!({
        "event": event.name,
        "data": event.data.clone().unwrap_or_default(),
        "published_at": rfc3339(event.published_at),
        "coreid": event.coreid,
    }) else {
        return Map::new();
    };
    members
}

/// What the body holds, if anything: `json`, `form`, `body`, or the defaults as a form. A GET carries
/// the defaults in its query.
fn content(
    job: &HookJob,
    variables: &Variables,
    method: &Method,
    mut defaults: Map<String, Value>,
) -> (Option<&'static str>, String, Map<String, Value>) {
    let fields = &job.hook.fields;
    if let Some(template) = fields.get("body").and_then(Value::as_str) {
        return (None, variables.render(template), Map::new());
    }
    if *method == Method::GET {
        return (None, String::new(), defaults);
    }
    match fields.get("json").filter(|json| !json.is_null()) {
        // A template of text: the only way to get numbers.
        Some(Value::String(template)) => {
            let text = variables.render(template);
            return (Some(JSON), with_defaults(text, defaults), Map::new());
        }
        Some(object) => {
            defaults.extend(rendered_members(Some(object), variables));
            return (Some(JSON), Value::Object(defaults).to_string(), Map::new());
        }
        None => {}
    }
    defaults.extend(rendered_members(fields.get("form"), variables));
    if defaults.is_empty() {
        return (None, String::new(), Map::new());
    }
    (Some(FORM), form_text(&defaults), Map::new())
}

fn with_defaults(text: String, mut defaults: Map<String, Value>) -> String {
    if defaults.is_empty() {
        return text;
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(members)) => {
            defaults.extend(members);
            Value::Object(defaults).to_string()
        }
        // What is no object cannot be merged; the maker's text goes out as it is.
        Ok(_) | Err(_) => text,
    }
}

fn rendered_members(template: Option<&Value>, variables: &Variables) -> Map<String, Value> {
    match template.map(|template| variables.render_within(template)) {
        Some(Value::Object(members)) => members,
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | None => Map::new(),
    }
}

fn form_text(members: &Map<String, Value>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    // The order of the reference's example; then the maker's own.
    let (known, own): (Vec<_>, Vec<_>) = members
        .iter()
        .partition(|(key, _)| ["event", "data", "published_at", "coreid"].contains(&key.as_str()));
    for key in ["event", "data", "published_at", "coreid"] {
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == key) {
            form.append_pair(key, &plain_text(value));
        }
    }
    for (key, value) in own {
        form.append_pair(key, &plain_text(value));
    }
    form.finish()
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    }
}

fn headers(kind: Option<&'static str>, own: &Map<String, Value>) -> Vec<(String, String)> {
    let mut headers = vec![("user-agent".to_owned(), USER_AGENT.to_owned())];
    if let Some(kind) = kind {
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    if kind == Some(JSON) {
        headers.push(("accept".to_owned(), JSON.to_owned()));
    }
    for (name, value) in own {
        let name = name.to_ascii_lowercase();
        headers.retain(|(known, _)| *known != name);
        headers.push((name, plain_text(value)));
    }
    headers
}

fn basic(auth: Option<&Value>, variables: &Variables) -> Option<(String, String)> {
    let auth = variables.render_within(auth?);
    let member = |key: &str| auth.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    auth.get("username").map(|_| (member("username"), member("password")))
}
