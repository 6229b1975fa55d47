//! The port to a device cloud. Particle is the first behind it, MQTT the next.
//!
//! Every method has a deadline of its own or is handed one; none repeats what may already have
//! acted. Whoever implements it sees permits, never tokens of customers.

use std::time::Duration;

use futures_util::future::BoxFuture;
use ostler_core::command::CallOutcome;
use ostler_core::event::CloudEvent;
use ostler_core::id::{CloudDeviceId, ProductId};
use ostler_core::policy::{CallPermit, ReadPermit};
use ostler_core::time::Timestamp;
use secrecy::SecretString;
use tokio::sync::mpsc;

/// How one product is reached at its cloud. The secret may be spoken to this base URL and for
/// this product only.
#[derive(Debug, Clone)]
pub struct CloudConnection {
    pub base_url: String,
    /// The cloud's own name for the product: its numeric id or slug.
    pub cloud_product: String,
    pub credential: CloudCredential,
}

#[derive(Debug, Clone)]
pub enum CloudCredential {
    /// An OAuth client of the product; tokens are minted from it (`client_credentials`).
    Client {
        client_id: String,
        client_secret: SecretString,
    },
    /// The one token of an API user, which does not expire.
    Token(SecretString),
}

/// What came of asking the device for a variable.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadOutcome {
    Value(serde_json::Value),
    DeviceOffline,
    /// It may be connected, and did not answer in time.
    NoAnswer,
    VariableUnknown,
    /// Not connected, refused, or no usable credential: asking again later is safe.
    Unavailable,
    RateLimited {
        retry_after: Option<Duration>,
    },
    PermitLapsed,
}

/// One thing that a product's event stream says.
#[derive(Debug, Clone)]
pub enum StreamItem {
    /// From here on nothing is missed until the next `Disconnected`.
    Connected,
    Event(CloudEvent),
    /// The stream is alive though nothing happened; sent at least once a minute.
    Heartbeat,
    /// Events may be missed from now on. The stream reconnects by itself.
    Disconnected {
        cause: &'static str,
    },
}

/// A device as the cloud lists it, for import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    pub cloud_device_id: CloudDeviceId,
    pub name: Option<String>,
    pub online: Option<bool>,
    pub last_heard: Option<Timestamp>,
    pub owned: bool,
    pub quarantined: bool,
}

/// The hook by which the cloud shall deliver events to us.
#[derive(Debug, Clone)]
pub struct HookRequest {
    /// `…/ingest/particle/{slug}` on our public URL.
    pub url: String,
    pub secret: SecretString,
    /// Each a prefix of event names, none covering another.
    pub event_prefixes: Vec<String>,
}

/// One step of setting a hook right, done or (in a dry run) to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStep {
    Unchanged {
        event: String,
    },
    Created {
        event: String,
    },
    /// A hook of ours whose fields had drifted.
    Repaired {
        event: String,
        what: String,
    },
    /// A second hook of ours for the same events, which would deliver everything twice.
    RemovedDuplicate {
        event: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    #[error("the product has no cloud connection")]
    NotConnected,
    #[error("the device cloud did not accept the credential")]
    CredentialRejected,
    #[error("the device cloud could not be reached")]
    Unreachable,
    #[error("the device cloud's limit was reached")]
    RateLimited { retry_after: Option<Duration> },
    #[error("the device cloud refused ({status})")]
    Refused { status: u16 },
    #[error("the device cloud's answer could not be understood")]
    Unreadable,
}

pub trait DeviceCloud: Send + Sync {
    /// Sets, replaces or (with `None`) forgets how a product is reached.
    fn connect(&self, product_id: ProductId, connection: Option<CloudConnection>);

    /// Calls the function that the permit names. `permit.depart` is asked directly before the
    /// first byte leaves.
    fn call_function<'a>(&'a self, permit: &'a CallPermit, deadline: Duration) -> BoxFuture<'a, CallOutcome>;

    fn read_variable<'a>(&'a self, permit: &'a ReadPermit, deadline: Duration) -> BoxFuture<'a, ReadOutcome>;

    /// Opens the product's event stream and keeps it open until the receiver is dropped. The
    /// channel is bounded: a slow reader slows the reading, and is told what it missed.
    fn events(&self, product_id: ProductId) -> mpsc::Receiver<StreamItem>;

    /// Whether the credential is accepted now; mints a token if need be.
    fn check(&self, product_id: ProductId) -> BoxFuture<'_, Result<(), CloudError>>;

    /// All devices of the product, page after page.
    fn list_devices(&self, product_id: ProductId) -> BoxFuture<'_, Result<Vec<ListedDevice>, CloudError>>;

    /// Lists first, then creates or repairs; with `dry_run` it only says what it would do.
    fn ensure_hooks<'a>(
        &'a self,
        product_id: ProductId,
        request: &'a HookRequest,
        dry_run: bool,
    ) -> BoxFuture<'a, Result<Vec<HookStep>, CloudError>>;

    /// Publishes an event into the product, to prove the way back.
    fn publish<'a>(
        &'a self,
        product_id: ProductId,
        name: &'a str,
        data: &'a str,
    ) -> BoxFuture<'a, Result<(), CloudError>>;
}
