//! What somebody was answered in the course of a test, kept so that it can be searched afterwards for
//! what nobody may hear.

use std::sync::{Arc, Mutex};

use super::Answer;

/// Clones hear together.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<Exchange>>>);

#[derive(Clone)]
pub struct Exchange {
    pub asked: String,
    pub answered: String,
}

impl Heard {
    pub fn keep(&self, asked: String, answer: &Answer) {
        let Answer { status, headers, text } = answer;
        let answered = format!("{status}\n{headers:?}\n{text}");
        self.0.lock().unwrap().push(Exchange { asked, answered });
    }

    /// All of it, the first exchange first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.0.lock().unwrap().clone()
    }

    /// Fails with the exchange in which one of `secrets` was told, whatever its case.
    #[track_caller]
    pub fn assert_never<'s>(&self, secrets: impl IntoIterator<Item = &'s str>) {
        let exchanges = self.exchanges();
        assert!(!exchanges.is_empty(), "nobody was answered anything");
        for secret in secrets {
            let lower = secret.to_ascii_lowercase();
            let told = exchanges
                .iter()
                .find(|exchange| exchange.answered.to_ascii_lowercase().contains(&lower));
            assert!(
                told.is_none(),
                "{secret} was told:\n{}",
                told.map(Exchange::to_string).unwrap_or_default()
            );
        }
    }

    /// Fails with the exchange that has a run of exactly or at least 40 hexadecimal digits, the shape
    /// of the vendor's tokens.
    #[track_caller]
    pub fn assert_no_token_shape(&self) {
        for exchange in self.exchanges() {
            assert!(
                !has_token_shape(&exchange.answered),
                "what looks like a token was told:\n{exchange}"
            );
        }
    }
}

pub fn has_token_shape(text: &str) -> bool {
    text.as_bytes()
        .windows(40)
        .any(|window| window.iter().all(u8::is_ascii_hexdigit))
}

impl std::fmt::Display for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.asked, self.answered)
    }
}
