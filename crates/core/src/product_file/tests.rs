use super::*;

const THERMOSTAT: &str = r#"
slug = "thermostat"
name = "Thermostat"
time_zone = "Europe/Berlin"
access_mode = "fleet"

[[functions]]
name = "setTarget"
title = "Set point"
argument = { type = "integer", min = 5, max = 30 }
max_bytes = 64
example = "20"

[[variables]]
name = "temperature"
type = "double"
unit = "Cel"

[[telemetry]]
event = "thermostat/state"
time = { pointer = "/time", unit = "s" }
keys = [{ key = "temperature", pointer = "/t", type = "number", unit = "Cel" }]
"#;

fn faults(file: &serde_json::Value) -> Vec<String> {
    let file = ProductFile::from_json(&file.to_string());
    let faults = match file.and_then(|file| file.check().map(|_| ())) {
        Ok(()) => return Vec::new(),
        Err(InvalidProductFile(faults)) => faults,
    };
    faults.into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn a_file_is_read_and_written_alike() {
    let file = ProductFile::from_toml(THERMOSTAT).unwrap();
    let declaration = file.check().unwrap();
    assert_eq!(declaration.slug.as_str(), "thermostat");
    assert_eq!(declaration.keys().count(), 1);
    assert_eq!(ProductFile::from_toml(&file.to_toml()).unwrap(), file);
    let json = serde_json::to_string(&file).unwrap();
    assert_eq!(ProductFile::from_json(&json).unwrap(), file);
}

#[test]
fn all_faults_are_named_together() {
    let file = serde_json::json!({
        "slug": "Thermostat", "name": "", "time_zone": "Nowhere/Else", "access_mode": "open",
        "functions": [
            {"name": "ping", "argument": {"type": "none"}},
            {"name": "a", "argument": {"type": "integer", "min": 3}},
            {"name": "b", "argument": {"type": "pattern", "pattern": "abc"}},
            {"name": "c", "argument": {"type": "pattern", "pattern": "^a|b$)(?:$"}},
            {"name": "d", "argument": {"type": "enum"}, "callers": ["everybody"], "max_bytes": 2000},
            {"name": "e", "argument": {"type": "integer", "min": 1, "max": 3}, "example": "4"},
            {"name": "e", "argument": {"type": "none"}}
        ],
        "variables": [{"name": "v", "type": "float", "unit": "a b"}],
        "telemetry": [{"event": "*", "time": {"pointer": "x", "unit": "h"},
            "keys": [{"key": "k k", "pointer": "p", "type": "json"}]}]
    });
    assert_eq!(
        faults(&file),
        [
            "/slug",
            "/name",
            "/time_zone",
            "/access_mode",
            "/functions/0/name",
            "/functions/1/argument",
            "/functions/2/argument/pattern",
            "/functions/3/argument/pattern",
            "/functions/4/argument/values",
            "/functions/4/max_bytes",
            "/functions/4/callers/0",
            "/functions/5/example",
            "/functions/6/name",
            "/variables/0/type",
            "/variables/0/unit",
            "/telemetry/0/event",
            "/telemetry/0/time/pointer",
            "/telemetry/0/time/unit",
            "/telemetry/0/keys/0/key",
            "/telemetry/0/keys/0/pointer",
            "/telemetry/0/keys/0/type",
        ]
    );
}

#[test]
fn a_misspelt_or_missing_member_is_named() {
    assert_eq!(
        faults(&serde_json::json!({"slug": "a", "name": "A", "function": []})),
        ["/function"]
    );
    assert_eq!(
        faults(&serde_json::json!({"slug": "a", "name": "A", "functions": [{"name": "f"}]})),
        ["/functions/0"]
    );
}

#[test]
fn an_alternative_cannot_escape_the_anchors() {
    let file = serde_json::json!({"slug": "a", "name": "A", "functions": [
        {"name": "f", "argument": {"type": "pattern", "pattern": "^on|off$"}}]});
    let declaration = ProductFile::from_json(&file.to_string()).unwrap().check().unwrap();
    let contract = declaration.functions.values().next().unwrap();
    assert!(contract.check("on").is_ok() && contract.check("off").is_ok());
    assert!(contract.check("on; reboot").is_err() && contract.check("x off").is_err());
}

#[test]
fn one_key_has_one_type() {
    let file = serde_json::json!({"slug": "a", "name": "A", "telemetry": [
        {"event": "x", "keys": [{"key": "k", "pointer": "", "type": "number"}]},
        {"event": "y", "keys": [{"key": "k", "pointer": "", "type": "text"}]}]});
    assert_eq!(faults(&file), ["/telemetry/1/keys/0"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}=\"'a-z0-9\\n .,:_-]{0,80}") {
        drop(ProductFile::from_toml(&text).and_then(|file| file.check().map(|_| ())));
        drop(ProductFile::from_json(&text).and_then(|file| file.check().map(|_| ())));
    }

    #[test]
    fn no_member_makes_the_check_panic(name in "\\PC{0,12}", pattern in "\\^?[a-z()|\\[\\]*+?{}\\\\]{0,12}\\$?", min: i64, max: i64) {
        let file = serde_json::json!({"slug": name, "name": name, "functions": [
            {"name": name, "argument": {"type": "integer", "min": min, "max": max}, "example": name},
            {"name": "p", "argument": {"type": "pattern", "pattern": pattern}, "example": name}],
            "telemetry": [{"event": name, "keys": [{"key": name, "pointer": name, "type": "number"}]}]});
        drop(ProductFile::from_json(&file.to_string()).and_then(|file| file.check().map(|_| ())));
    }
}
