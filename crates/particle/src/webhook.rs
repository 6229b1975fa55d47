//! Bodies that Particle's webhooks bring (§9.2): the recommended hook's JSON, the default JSON, an
//! array of either, or a form. Who may post, and what becomes of the event, is not decided here.

use ostler_core::event::CloudEvent;

pub use crate::event::EventFault;
use crate::wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookFault {
    #[error("the body is neither JSON nor a form")]
    UnknownType,
    #[error("the body is not JSON as a webhook writes it")]
    Json,
    #[error("the form lacks `event` or `published_at`")]
    Form,
    #[error("the event {0}")]
    Event(#[from] EventFault),
}

/// All events of one delivery, or why it cannot be read: half of one is not taken.
pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Vec<CloudEvent>, WebhookFault> {
    match Form::of(content_type, body) {
        Some(Form::Json) => from_json(body),
        Some(Form::UrlEncoded) => Ok(vec![from_form(body)?]),
        None => Err(WebhookFault::UnknownType),
    }
}

enum Form {
    Json,
    UrlEncoded,
}

impl Form {
    /// A hook with a `body` template sends no content type (§9.2); JSON is then known by its look.
    fn of(content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        let essence = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
        match essence {
            Some(essence) if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
                Some(Self::UrlEncoded)
            }
            Some(essence) if essence.eq_ignore_ascii_case("application/json") => Some(Self::Json),
            Some(_) | None => {
                let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
                matches!(first, Some(b'{' | b'[')).then_some(Self::Json)
            }
        }
    }
}

fn from_json(body: &[u8]) -> Result<Vec<CloudEvent>, WebhookFault> {
    let is_array = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let wire: Vec<wire::HookedEvent> = if is_array {
        serde_json::from_slice(body).map_err(|_| WebhookFault::Json)?
    } else {
        vec![serde_json::from_slice(body).map_err(|_| WebhookFault::Json)?]
    };
    let events = wire.into_iter().map(crate::event::from_hook);
    Ok(events.collect::<Result<_, _>>()?)
}

fn from_form(body: &[u8]) -> Result<CloudEvent, WebhookFault> {
    let (mut event, mut data, mut published_at, mut coreid) = (None, None, None, None);
    for (key, value) in url::form_urlencoded::parse(body) {
        let member = match &*key {
            "event" => &mut event,
            "data" => &mut data,
            "published_at" => &mut published_at,
            "coreid" => &mut coreid,
            _ => continue,
        };
        // The first of several counts.
        member.get_or_insert_with(|| value.into_owned());
    }
    let (Some(event), Some(published_at)) = (event, published_at) else {
        return Err(WebhookFault::Form);
    };
    let wire = wire::HookedEvent {
        event,
        data: data.map(Into::into),
        published_at,
        coreid,
        id: None,
    };
    Ok(crate::event::from_hook(wire)?)
}

#[cfg(test)]
mod tests {
    use ostler_core::time::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");
    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

    #[test]
    fn both_doors_give_one_event_one_identity() {
        let form = b"event=temp&data=21.5&published_at=2030-05-01T10%3A00%3A00.123Z&coreid=e00fce68a1b2c3d4e5f60718";
        let json = br#"{"id":"abc","event":"temp","data":"21.5","coreid":"E00FCE68A1B2C3D4E5F60718",
            "published_at":"2030-05-01T10:00:00.123Z","product":"40123","fw":"7","user":""}"#;
        let streamed = crate::event::from_stream(crate::sse::SseEvent {
            name: "temp".into(),
            data: r#"{"data":"21.5","ttl":"60","published_at":"2030-05-01T10:00:00.123Z","coreid":"e00fce68a1b2c3d4e5f60718"}"#.into(),
        });
        let by_form = parse(FORM, form).unwrap().remove(0);
        let by_json = parse(JSON, json).unwrap().remove(0);
        assert_eq!(by_json.vendor_event_id.as_deref(), Some("abc"));
        assert_eq!(by_form.identity(), by_json.identity());
        assert_eq!(by_form.identity(), streamed.unwrap().identity());
    }

    #[test]
    fn what_the_cloud_itself_published_has_no_source() {
        for coreid in ["001", "api", "particle-internal", ""] {
            let body = json!({"event": "x", "published_at": "2030-05-01T10:00:00Z", "coreid": coreid, "data": null});
            let event = parse(JSON, body.to_string().as_bytes()).unwrap().remove(0);
            assert_eq!((event.source, event.data), (None, None), "{coreid}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let table: [(Option<&str>, &str, WebhookFault); 7] = [
            (JSON, "", WebhookFault::Json),
            (JSON, "{\"event\":\"x\"}", WebhookFault::Json),
            (JSON, "[1]", WebhookFault::Json),
            (
                JSON,
                "{\"event\":\"x\",\"published_at\":\"now\"}",
                WebhookFault::Event(EventFault::PublishedAt),
            ),
            (FORM, "event=x", WebhookFault::Form),
            (
                FORM,
                "event=x&published_at=1",
                WebhookFault::Event(EventFault::PublishedAt),
            ),
            (Some("text/plain"), "hello", WebhookFault::UnknownType),
        ];
        for (content_type, body, fault) in table {
            assert_eq!(parse(content_type, body.as_bytes()), Err(fault), "{body}");
        }
    }

    #[test]
    fn an_array_is_taken_whole_or_not_at_all() {
        let good = r#"{"event":"x","published_at":"2030-05-01T10:00:00Z"}"#;
        assert_eq!(parse(JSON, format!("[{good},{good}]").as_bytes()).unwrap().len(), 2);
        assert!(parse(JSON, format!("[{good},{{}}]").as_bytes()).is_err());
        assert_eq!(parse(None, good.as_bytes()).unwrap().len(), 1, "known by its look");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn property_no_body_makes_the_parser_panic(
            content_type in prop_oneof![Just(None), Just(JSON), Just(FORM), Just(Some("text/html"))],
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..64),
                "\\PC{0,64}".prop_map(String::into_bytes),
                "[\\[{]{0,3}(\"(event|data|published_at|coreid)\":(\"\\PC{0,8}\"|null|1|\\[\\]),?){0,4}[\\]}]{0,3}"
                    .prop_map(String::into_bytes),
                "((event|data|published_at|coreid)=[%+a-zA-Z0-9:.-]{0,24}&?){0,5}".prop_map(String::into_bytes),
            ],
        ) {
            drop(parse(content_type, &body));
        }

        #[test]
        fn property_what_a_hook_writes_is_read(
            name in "[a-z][a-z/_-]{0,20}",
            data in proptest::option::of("\\PC{0,40}"),
            millis in 0..4_000_000_000_000_i64,
            coreid in "[0-9a-f]{24}",
            as_form: bool,
        ) {
            let published_at = Timestamp::from_millis(millis);
            let (content_type, body) = if as_form {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.append_pair("event", &name).append_pair("coreid", &coreid);
                form.append_pair("published_at", &published_at.to_string());
                if let Some(data) = &data {
                    form.append_pair("data", data);
                }
                (FORM, form.finish())
            } else {
                let body = json!({"event": name, "data": data, "coreid": coreid, "published_at": published_at.to_string()});
                (JSON, body.to_string())
            };
            let expected = CloudEvent {
                source: Some(coreid.parse().unwrap()),
                name,
                data,
                published_at,
                vendor_event_id: None,
            };
            prop_assert_eq!(parse(content_type, body.as_bytes()), Ok(vec![expected]));
        }
    }
}
