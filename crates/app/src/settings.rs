//! What the use cases may be told by configuration, each with the default that ships. A test of the
//! binary holds these against the configuration's own.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The issuer (RFC 8414 §2) and the beginning of every address that we tell others.
    pub public_url: String,
    /// How long a caller waits for a function call's outcome.
    pub call_deadline: Duration,
    /// How long a call stays attached after that: a late answer still settles the command.
    pub call_attached: Duration,
    pub access_token_lifetime: Duration,
    /// How long a refresh token of a rotating client lives unless it is used.
    pub refresh_token_lifetime: Duration,
    /// How long a replaced refresh token is still taken, if nothing issued from it was used.
    pub refresh_tolerance: Duration,
    pub authorization_code_lifetime: Duration,
    pub session_lifetime: Duration,
    /// How many Argon2id computations run at once; more wait, up to `password_queue`.
    pub password_workers: usize,
    pub password_queue: usize,
    pub password_cost: PasswordCost,
}

/// Argon2id's parameters (RFC 9106 §4; OWASP's first choice).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            iterations: 2,
            parallelism: 1,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            call_deadline: Duration::from_secs(35),
            call_attached: Duration::from_secs(60),
            access_token_lifetime: Duration::from_secs(60 * 60),
            refresh_token_lifetime: Duration::from_secs(90 * 24 * 60 * 60),
            refresh_tolerance: Duration::from_secs(30),
            authorization_code_lifetime: Duration::from_secs(60),
            session_lifetime: Duration::from_secs(12 * 60 * 60),
            password_workers: 2,
            password_queue: 64,
            password_cost: PasswordCost::default(),
        }
    }
}
