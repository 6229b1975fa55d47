//! A refusal by the server (RFC 9457), as a person reads it.

use std::fmt;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Problem {
    code: Option<String>,
    title: String,
    detail: Option<String>,
    hint: Option<String>,
    request_id: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    pointer: Option<String>,
    parameter: Option<String>,
    rule: String,
}

impl Problem {
    /// Which of the closed list it is (`docs/errors.md`).
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

impl FieldError {
    /// The empty pointer is the whole document (RFC 6901 §5).
    fn place(&self) -> &str {
        match (&self.pointer, &self.parameter) {
            (Some(pointer), _) if pointer.is_empty() => "(the whole)",
            (Some(place), _) | (None, Some(place)) => place,
            (None, None) => "(somewhere)",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        let width = self.errors.iter().map(|error| error.place().len()).max().unwrap_or(0);
        for error in &self.errors {
            write!(f, "\n  {:width$}  {}", error.place(), error.rule)?;
        }
        // The places say more than the sentence that is the same for every such refusal.
        if let Some(detail) = self.detail.as_ref().filter(|_| self.errors.is_empty()) {
            write!(f, ": {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, "\n(request {request_id})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_line() {
        let problem: Problem = serde_json::from_str(
            r#"{"type": "/problems/invalid-request", "title": "The request is not valid", "status": 400,
                "detail": "…", "code": "invalid-request", "request_id": "req_1",
                "errors": [{"pointer": "/functions/0/argument", "rule": "must have integers"},
                           {"pointer": "/slug", "rule": "must be lower case"}, {"pointer": "", "rule": "is odd"}]}"#,
        )
        .unwrap();
        assert_eq!(
            problem.to_string(),
            "The request is not valid\
             \n  /functions/0/argument  must have integers\
             \n  /slug                  must be lower case\
             \n  (the whole)            is odd\
             \n(request req_1)"
        );
    }

    #[test]
    fn without_places_the_sentence_is_told() {
        let problem: Problem =
            serde_json::from_str(r#"{"title": "Not found", "detail": "There is no such thing.", "hint": "Look."}"#)
                .unwrap();
        assert_eq!(problem.to_string(), "Not found: There is no such thing.\nhint: Look.");
    }
}
