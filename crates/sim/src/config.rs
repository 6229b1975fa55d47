//! What a simulated cloud is started with. Where the reference only infers a behaviour, there is a
//! setting here, so that nobody comes to depend on a guess. Nothing in here changes after the start.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

/// All settings; every one has a default, so a test names only what matters to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Decides device ids, names, physics, tracks. Secrets are never derived from it.
    pub seed: u64,
    pub time: TimeSource,
    pub thermostats: usize,
    pub vehicles: usize,
    /// Thermostats that are imported into the product but have not reported themselves yet.
    pub unregistered: usize,
    /// Unregistered devices report themselves as soon as they know their credential.
    pub register_at_start: bool,
    /// Every third vehicle drives through gaps in coverage and replays what it missed.
    pub vehicle_outages: bool,
    /// What must outlive a crash is kept here; without it everything is forgotten. If the file exists,
    /// its world is the world: the numbers of devices and the account above are not looked at.
    pub state_file: Option<PathBuf>,
    pub account: AccountConfig,
    pub lockout: LockoutScope,
    pub profile: Profile,
    pub calls: CallTiming,
    pub hooks: HookTiming,
    pub limits: LimitConfig,
    /// A newline on quiet streams. The reference client gives up after 15 s of silence.
    pub heartbeat_ms: u64,
    pub inference: Inference,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            time: TimeSource::Real,
            thermostats: 20,
            vehicles: 20,
            unregistered: 2,
            register_at_start: false,
            vehicle_outages: true,
            state_file: None,
            account: AccountConfig::default(),
            lockout: LockoutScope::PerAddress,
            profile: Profile::Current,
            calls: CallTiming::default(),
            hooks: HookTiming::default(),
            limits: LimitConfig::default(),
            heartbeat_ms: 9_000,
            inference: Inference::default(),
        }
    }
}

/// The maker's account, to whom the products belong.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountConfig {
    pub username: String,
    /// Random if absent.
    pub password: Option<String>,
}

impl fmt::Debug for AccountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountConfig")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            username: "maker@example.com".to_owned(),
            password: None,
        }
    }
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// The machine's clock; it can be moved forward.
    Real,
    /// Stands still until advanced; devices live only while it moves. The same seed and the same
    /// advances give the same run.
    Simulated { start_ms: i64 },
}

/// Whom ten failed token requests in a row lock out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockoutScope {
    /// As the vendor does.
    PerAddress,
    /// For a demo in which everybody shares one address.
    PerClient,
}

/// Error bodies changed over the years (reference §3.3); a client must understand all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Profile {
    #[serde(rename = "current")]
    Current,
    #[serde(rename = "2015")]
    Y2015,
    #[serde(rename = "2018")]
    Y2018,
}

/// How long device primitives take.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallTiming {
    /// From the cloud to the device; the act happens then.
    pub delay_ms: u64,
    /// How long the cloud waits for a device that it believes online (reference §5.3).
    pub silent_after_ms: u64,
}

impl Default for CallTiming {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            silent_after_ms: 30_000,
        }
    }
}

/// How webhooks are delivered (reference §9.3).
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HookTiming {
    pub answer_within_ms: u64,
    /// After the last one the event is dropped.
    pub retry_after_ms: Vec<u64>,
    /// How long a host must stay free of errors before a skipped one is tried again.
    pub host_sleep_ms: u64,
}

impl Default for HookTiming {
    fn default() -> Self {
        Self {
            answer_within_ms: 20_000,
            retry_after_ms: vec![30_000, 60_000],
            host_sleep_ms: 5_000,
        }
    }
}

/// The vendor's rate limits (reference §4.1), per source address and five minutes unless said.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitConfig {
    pub enabled: bool,
    pub requests: u32,
    pub token_requests: u32,
    pub stream_openings: u32,
    pub open_streams: usize,
    /// Per account and hour.
    pub serial_number_lookups: u32,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            requests: 10_000,
            token_requests: 100,
            stream_openings: 100,
            open_streams: 100,
            serial_number_lookups: 50,
        }
    }
}

/// Guesses. Each field names the section whose `[I]` it settles.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inference {
    /// §2.1: a token without the scope; the documentation says 400, newer servers 403.
    pub missing_scope_status: u16,
    /// §2.2: wrong client credentials; newer servers of the family answer 401.
    pub invalid_client_status: u16,
    /// §2.2: a customer scope that names nobody, 400 or 404.
    pub unknown_customer_status: u16,
    /// §3.3: claiming somebody else's device.
    pub foreign_claim_status: u16,
    /// §7: creating a customer twice.
    pub customer_exists_status: u16,
    /// §8.1: the limit on opening streams; the documentation says 529 in one place.
    pub stream_limit_status: u16,
    /// §8.1: the source of an event published through the API, `001` or `api`.
    pub api_coreid: String,
    /// §8.1: `ttl` is a string in old traffic and a number in the typings.
    pub numeric_ttl: bool,
    /// §15: whether the cloud compares function names without regard to case.
    pub function_names_fold_case: bool,
    /// §7: deleting a customer answers `{"ok":true}` or 204.
    pub customer_delete_is_empty: bool,
}

impl Default for Inference {
    fn default() -> Self {
        Self {
            missing_scope_status: 400,
            invalid_client_status: 400,
            unknown_customer_status: 400,
            foreign_claim_status: 403,
            customer_exists_status: 400,
            stream_limit_status: 429,
            api_coreid: "001".to_owned(),
            numeric_ttl: false,
            function_names_fold_case: false,
            customer_delete_is_empty: false,
        }
    }
}
