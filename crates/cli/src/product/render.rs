//! The server's answer to a product file as text: one line per change, then what became of it.

use std::fmt::Write as _;

use serde_json::Value;

pub fn has_changes(answer: &Value) -> bool {
    answer["changes"].as_array().is_some_and(|changes| !changes.is_empty())
}

/// `+` is new, `-` is gone, `~` is different.
pub fn changes(answer: &Value) -> String {
    let mut text = String::new();
    for change in answer["changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        let (before, after) = (&change["before"], &change["after"]);
        let line = match change["change"].as_str() {
            Some("added") => format!("+ {path}: {after}"),
            Some("removed") => format!("- {path}: {before}"),
            Some("reordered") => format!("~ {path}: another order"),
            Some(_) | None => format!("~ {path}: {before} → {after}"),
        };
        writeln!(text, "{line}").expect("writing to a String cannot fail");
    }
    text
}

pub fn verdict(answer: &Value) -> String {
    let slug = answer["slug"].as_str().unwrap_or_default();
    let version = &answer["version"];
    match answer["outcome"].as_str() {
        Some("created") => format!("{slug} was created, version {version}"),
        Some("applied") => format!("{slug} is now at version {version}"),
        Some("would-create") => format!("{slug} would be created; nothing was changed"),
        Some("would-apply") => format!("{slug} would become version {version}; nothing was changed"),
        Some(_) | None => format!("{slug} is as the file says, version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_one_line() {
        let answer = json!({"slug": "thermostat", "version": 3, "outcome": "would-apply", "changes": [
            {"path": "/functions/setTarget/argument/max", "change": "changed", "before": 30, "after": 32},
            {"path": "/variables/mode", "change": "added", "after": {"name": "mode", "type": "string"}},
            {"path": "/keep", "change": "removed", "before": ["wps"]},
            {"path": "/telemetry", "change": "reordered"},
        ]});
        assert!(has_changes(&answer));
        assert_eq!(
            changes(&answer),
            "~ /functions/setTarget/argument/max: 30 → 32\n\
             + /variables/mode: {\"name\":\"mode\",\"type\":\"string\"}\n\
             - /keep: [\"wps\"]\n\
             ~ /telemetry: another order\n"
        );
        assert_eq!(
            verdict(&answer),
            "thermostat would become version 3; nothing was changed"
        );
    }

    #[test]
    fn nothing_to_do_is_said() {
        let answer = json!({"slug": "thermostat", "version": 2, "outcome": "unchanged", "changes": []});
        assert!(!has_changes(&answer));
        assert_eq!(
            (changes(&answer).as_str(), verdict(&answer).as_str()),
            ("", "thermostat is as the file says, version 2")
        );
    }
}
