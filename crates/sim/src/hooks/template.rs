//! The Mustache subset that hook declarations use: `{{x}}` escaped for HTML, `{{{x}}}` and `{{&x}}`
//! as they are, dotted paths. Sections, partials and comments are not simulated: they render empty.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::event::Event;
use crate::world::Owner;

/// What a template may name.
#[derive(Debug)]
pub(super) struct Variables(Value);

impl Variables {
    /// If the data is JSON its members become variables; the cloud's own win (reference §9.2).
    pub(super) fn of(event: &Event, is_product_hook: bool) -> Self {
        let data = event.data.clone().unwrap_or_default();
        let parsed = serde_json::from_str::<Value>(&data).ok();
        let mut names = match parsed {
            Some(Value::Object(members)) => members,
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | None => {
                Map::new()
            }
        };
        let product_id = event.product_id.map(|id| id.to_string()).unwrap_or_default();
        for (name, value) in [
            ("DEVICE_ID", event.coreid.clone()),
            ("EVENT_NAME", event.name.clone()),
            ("EVENT_VALUE", data.clone()),
            ("PUBLISHED_AT", rfc3339(event.published_at)),
        ] {
            names.insert(format!("SPARK_{name}"), json!(value));
            names.insert(format!("PARTICLE_{name}"), json!(value));
        }
        names.insert("SPARK_CORE_ID".to_owned(), json!(event.coreid));
        names.insert("PARTICLE_EVENT_ID".to_owned(), json!(event.id));
        names.insert("PARTICLE_EVENT_JSON".to_owned(), json!(json!(data).to_string()));
        names.insert("PARTICLE_EVENT_BASE64".to_owned(), json!(STANDARD.encode(&data)));
        names.insert("PRODUCT_ID".to_owned(), json!(product_id));
        if is_product_hook {
            let user = event.owner.as_ref().map(Owner::as_str).unwrap_or_default();
            names.insert("PRODUCT_USER_ID".to_owned(), json!(user));
            names.insert("PRODUCT_VERSION".to_owned(), json!(event.firmware_version.to_string()));
        }
        Self(Value::Object(names))
    }

    /// For `responseTemplate`: the members of the answer.
    pub(super) fn of_answer(body: &str) -> Option<Self> {
        serde_json::from_str::<Value>(body)
            .ok()
            .filter(Value::is_object)
            .map(Self)
    }

    pub(super) fn render(&self, template: &str) -> String {
        let mut rendered = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, tag)) = rest.split_once("{{") {
            rendered.push_str(before);
            let (name, escaped, after) = match tag.strip_prefix('{') {
                Some(tag) => match tag.split_once("}}}") {
                    Some((name, after)) => (name, false, after),
                    None => break_off(&mut rendered, tag),
                },
                None => match tag.split_once("}}") {
                    Some((name, after)) => (name, true, after),
                    None => break_off(&mut rendered, tag),
                },
            };
            self.put(name.trim(), escaped, &mut rendered);
            rest = after;
        }
        rendered.push_str(rest);
        rendered
    }

    /// Renders every text inside, so that the result is JSON whatever the values hold.
    pub(super) fn render_within(&self, value: &Value) -> Value {
        match value {
            Value::String(template) => Value::String(self.render(template)),
            Value::Array(items) => items.iter().map(|item| self.render_within(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| (self.render(key), self.render_within(value)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn put(&self, name: &str, escaped: bool, rendered: &mut String) {
        let (name, escaped) = match name.strip_prefix('&') {
            Some(name) => (name.trim(), false),
            None => (name, escaped),
        };
        let text = match self.look_up(name) {
            None | Some(Value::Null) => return,
            Some(Value::String(text)) => text.clone(),
            Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
        };
        if escaped {
            escape_html(&text, rendered);
        } else {
            rendered.push_str(&text);
        }
    }

    fn look_up(&self, name: &str) -> Option<&Value> {
        // A member whose own name has a dot comes before a path.
        self.0.get(name).or_else(|| {
            name.split('.').try_fold(&self.0, |value, step| match value {
                Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                Value::Object(members) => members.get(step),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            })
        })
    }
}

/// An unfinished tag stays as it was written.
fn break_off<'a>(rendered: &mut String, tag: &'a str) -> (&'a str, bool, &'a str) {
    rendered.push_str("{{");
    ("", false, tag)
}

/// The characters that mustache.js escapes.
fn escape_html(text: &str, rendered: &mut String) {
    for c in text.chars() {
        match c {
            '&' => rendered.push_str("&amp;"),
            '<' => rendered.push_str("&lt;"),
            '>' => rendered.push_str("&gt;"),
            '"' => rendered.push_str("&quot;"),
            '\'' | '/' | '`' | '=' => write!(rendered, "&#{};", hex_or_decimal(c)).expect("a String takes all"),
            plain => rendered.push(plain),
        }
    }
}

fn hex_or_decimal(c: char) -> String {
    if c == '\'' {
        "39".to_owned()
    } else {
        format!("x{:X}", u32::from(c))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn no_template_makes_it_panic(template in "[a-c.{}&\"é]{0,40}") {
            let rendered = variables(json!({"a": {"b": "{{c}}"}, "c": [1, null]})).render(&template);
            prop_assert!(template.contains("{{") || rendered == template);
        }
    }

    fn variables(value: Value) -> Variables {
        Variables(value)
    }

    #[test]
    fn two_braces_escape_and_three_do_not() {
        let variables = variables(json!({"x": "\"a\"<b>/'"}));
        assert_eq!(
            variables.render("{{x}}|{{{x}}}|{{&x}}"),
            "&quot;a&quot;&lt;b&gt;&#x2F;&#39;|\"a\"<b>/'|\"a\"<b>/'"
        );
    }

    #[test]
    fn paths_reach_into_objects_and_lists() {
        let variables = variables(json!({"a": {"b": 21.5}, "c": [{"d": true}]}));
        assert_eq!(
            variables.render("{{{a.b}}} {{{c.0.d}}} {{{a}}} {{nothing}}."),
            "21.5 true {\"b\":21.5} ."
        );
    }

    #[test]
    fn an_unfinished_tag_stays_as_written() {
        assert_eq!(variables(json!({"x": 1})).render("{{x}} {{x"), "1 {{x");
    }

    #[test]
    fn values_inside_an_object_cannot_break_its_json() {
        let variables = variables(json!({"v": "{\"t\":1}"}));
        assert_eq!(
            variables.render_within(&json!({"data": "{{{v}}}"})).to_string(),
            r#"{"data":"{\"t\":1}"}"#
        );
    }
}
