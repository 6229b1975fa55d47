//! Reading a body to its end, and JSON out of it.

use std::borrow::Cow;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::layers::body::{BodyOverdue, discard};
use crate::problem::{Code, Problem};

/// Reads a whole body of at most `bytes_max`. The time it may take is set by the frame.
/// Of one that is larger the rest is taken up, too, for otherwise its sender might never see the answer.
pub async fn read_body(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    match Limited::new(&mut body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => {
            discard(&mut body).await;
            Err(refused_body(&*error, bytes_max))
        }
    }
}

fn refused_body(error: &(dyn std::error::Error + 'static), bytes_max: usize) -> Problem {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<LengthLimitError>() {
            return too_large(bytes_max);
        }
        if cause.is::<BodyOverdue>() {
            return Problem::new(Code::RequestTimeout);
        }
        next = cause.source();
    }
    // The connection broke or its framing was wrong; if anybody still listens, it was their side.
    Problem::invalid_pointer("", "must arrive whole")
}

pub(crate) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::TooLarge).detail(format!("The body is larger than {bytes_max} bytes. Nothing was done."))
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::invalid_pointer("", "must be UTF-8"))?;
    // serde reads a struct from an array of its members' values, too, in the order in which our code names them.
    if text.trim_start().starts_with('[') {
        return Err(Problem::invalid_pointer("", "must be an object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| refused_json(pointer(error.path()), error.inner()))?;
    json.end().map_err(|error| refused_json(String::new(), &error))?;
    Ok(value)
}

fn refused_json(pointer: String, error: &serde_json::Error) -> Problem {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => refused_data(pointer, &error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => {
            let rule = format!("must be JSON (line {}, column {})", error.line(), error.column());
            Problem::invalid_pointer("", rule)
        }
    }
}

/// serde's sentence says what was found, then what was expected. Only the second half is told: the
/// first repeats the caller's bytes.
fn refused_data(pointer: String, sentence: &str) -> Problem {
    let sentence = sentence.rfind(" at line ").map_or(sentence, |end| &sentence[..end]);
    if let Some(field) = quoted_after(sentence, "missing field `") {
        return Problem::invalid_pointer(pointer + "/" + &escaped(field), "is required");
    }
    if sentence.starts_with("unknown field `") {
        return Problem::invalid_pointer(pointer, "is not a member here");
    }
    if let Some(field) = quoted_after(sentence, "duplicate field `") {
        let own = format!("/{}", escaped(field));
        let pointer = if pointer.ends_with(&own) {
            pointer
        } else {
            pointer + &own
        };
        return Problem::invalid_pointer(pointer, "must not be repeated");
    }
    match sentence.rsplit_once(", expected ") {
        Some((_, expected)) => Problem::invalid_pointer(pointer, format!("must be {}", in_json(expected))),
        None => Problem::invalid_pointer(pointer, sentence),
    }
}

/// serde names our types; callers know those of JSON (RFC 8259 §1).
fn in_json(expected: &str) -> Cow<'_, str> {
    let integer = |least: u64, most: u64| Cow::Owned(format!("an integer from {least} to {most}"));
    match expected {
        "u8" => integer(u8::MIN.into(), u8::MAX.into()),
        "u16" => integer(u16::MIN.into(), u16::MAX.into()),
        "u32" => integer(u32::MIN.into(), u32::MAX.into()),
        "u64" | "usize" => Cow::Borrowed("an integer of at least 0"),
        "i32" | "i64" => Cow::Borrowed("an integer"),
        "f32" | "f64" => Cow::Borrowed("a number"),
        "a sequence" => Cow::Borrowed("an array"),
        "a map" => Cow::Borrowed("an object"),
        _ if expected.starts_with("struct ") => Cow::Borrowed("an object"),
        _ => Cow::Borrowed(expected),
    }
}

fn quoted_after<'a>(sentence: &'a str, opening: &str) -> Option<&'a str> {
    sentence.strip_prefix(opening)?.strip_suffix('`')
}

fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => pointer + "/" + &escaped(key),
        // The choice of an enum is our type's structure, not a place in the document.
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// RFC 6901 §3.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the way it is read matters")]
    struct Outer {
        name: String,
        items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the way it is read matters")]
    struct Inner {
        #[serde(rename = "a/b")]
        count: u8,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Big,
    }

    fn refusal(json: &[u8]) -> String {
        let problem = from_json::<Outer>(json).unwrap_err();
        let document: serde_json::Value = serde_json::from_slice(&problem.render("")).unwrap();
        let error = &document["errors"][0];
        format!(
            "{} {}",
            error["pointer"].as_str().unwrap(),
            error["rule"].as_str().unwrap()
        )
    }

    #[test]
    fn a_refusal_names_the_place_and_the_rule() {
        for (json, expected) in [
            (r#"{"items": []}"#, "/name is required"),
            (r#"{"name": 7, "items": []}"#, "/name must be a string"),
            (
                r#"{"name": "", "items": [{"a/b": 1}, {"a/b": 300}]}"#,
                "/items/1/a~1b must be an integer from 0 to 255",
            ),
            (
                r#"{"name": "", "items": [{"a/b": 1, "kind": "small"}]}"#,
                "/items/0/kind must be `big`",
            ),
            (r#"{"name": "", "items": {}}"#, "/items must be an array"),
            (r#"{"name": "", "items": [7]}"#, "/items/0 must be an object"),
            (r#" ["", []]"#, " must be an object"),
            (r#""name""#, " must be an object"),
            (r#"{"name": "", "items": [], "nmae": 1}"#, "/nmae is not a member here"),
            (r#"{"name": "", "name": "", "items": []}"#, "/name must not be repeated"),
            (r#"{"name": "" "items""#, " must be JSON (line 1, column 13)"),
            (r#"{"name": "", "items": []} x"#, " must be JSON (line 1, column 27)"),
            ("", " must be JSON (line 1, column 0)"),
        ] {
            assert_eq!(refusal(json.as_bytes()), expected, "{json}");
        }
        assert_eq!(refusal(b"{\"name\": \"\xff\", \"items\": []}"), " must be UTF-8");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            drop(from_json::<Outer>(&bytes).map_err(|problem| problem.render("")));
        }
    }
}
