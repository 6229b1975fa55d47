//! A command as it is handed in, as it stands in its row, and as it is read back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use ostler_core::command::{CommandState, CommandStatus};
use ostler_core::id::{ClientId, CommandId, CustomerId, DeviceId, GrantId, ProductId, StaffId};
use ostler_core::name::FunctionName;
use ostler_core::policy::Right;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use super::state::state;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::tx::row;
use crate::value::{Millis, Text};

/// Who called, in whose name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    pub client_id: ClientId,
    /// In whose name it was judged; `None` when the maker acts as the maker.
    pub customer_id: Option<CustomerId>,
    pub staff_id: Option<StaffId>,
}

impl By {
    pub(super) fn actor(&self) -> Actor {
        match (self.staff_id, self.customer_id) {
            (Some(staff_id), _) => Actor::Staff(staff_id),
            (None, Some(customer_id)) => Actor::Customer(customer_id),
            (None, None) => Actor::Client(self.client_id),
        }
    }
}

/// The client's own name for one call, and what it asked for under that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    pub body_digest: SecretDigest,
}

/// An intent: allowed, and about to be sent once this is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommand {
    pub id: CommandId,
    /// `None` only in a refusal: the device named does not exist.
    pub product_id: Option<ProductId>,
    pub device_id: DeviceId,
    pub by: By,
    pub right: Option<Right>,
    pub function: FunctionName,
    pub argument: Arc<str>,
    pub reason: Option<String>,
    pub idempotency: Option<Idempotency>,
    /// If this function was let through less than so long ago, the intent is refused.
    pub cool_down: Duration,
    pub created_at: Timestamp,
    /// After this a command without outcome is settled as unknown.
    pub deadline_at: Timestamp,
}

/// A command as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub id: CommandId,
    pub product_id: Option<ProductId>,
    pub device_id: DeviceId,
    pub customer_id: Option<CustomerId>,
    pub client_id: Option<ClientId>,
    pub staff_id: Option<StaffId>,
    pub grant_id: Option<GrantId>,
    pub grant_version: Option<i64>,
    pub function: FunctionName,
    /// `None` once it was erased.
    pub argument: Option<Arc<str>>,
    /// The rule by which it was allowed or refused.
    pub rule: Cow<'static, str>,
    pub reason: Option<String>,
    pub state: CommandState,
    pub body_digest: Option<SecretDigest>,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
}

impl NewCommand {
    pub(crate) fn intent_act(&self, salt: &[u8; 16]) -> Act {
        self.act("command.intent", self.right.map_or("", Right::rule), salt)
    }

    /// The act that the audit chain remembers: ids, and a digest where the argument may be erased.
    pub(super) fn act(&self, name: &'static str, rule: &str, salt: &[u8; 16]) -> Act {
        let act = Act::new(name, self.by.actor())
            .about("command_id", self.id)
            .about("device_id", self.device_id)
            .about("function", &self.function)
            .about("argument", crate::audit::digest_text(salt, &self.argument))
            .about("rule", rule);
        match self.right {
            Some(Right::Grant { id, version }) => act.about("grant_id", id).about("grant_version", version),
            Some(Right::Maker) | None => act,
        }
    }
}

pub(super) fn digest_text(digest: &SecretDigest) -> String {
    URL_SAFE_NO_PAD.encode(digest.as_bytes())
}

row! {
    pub(super) struct StoredCommand {
        command_id: Text<CommandId>,
        product_id: Option<Text<ProductId>>,
        device_id: Text<DeviceId>,
        customer_id: Option<Text<CustomerId>>,
        client_id: Option<Text<ClientId>>,
        staff_id: Option<Text<StaffId>>,
        grant_id: Option<Text<GrantId>>,
        grant_version: Option<i64>,
        function: Text<FunctionName>,
        argument: Option<String>,
        rule: String,
        reason: Option<String>,
        body_digest: Option<String>,
        status: Text<CommandStatus>,
        return_value: Option<i64>,
        cause: Option<String>,
        created_at: Millis,
        sent_at: Option<Millis>,
        settled_at: Option<Millis>,
    }
}

/// The columns of [`StoredCommand`], for every statement that reads commands.
macro_rules! command_columns {
    () => {
        "command_id, product_id, device_id, customer_id, client_id, staff_id, grant_id,
         grant_version, function, argument, rule, reason, body_digest, status, return_value, cause,
         created_at, sent_at, settled_at"
    };
}
pub(super) use command_columns;

impl TryFrom<StoredCommand> for Command {
    type Error = StoreError;

    fn try_from(row: StoredCommand) -> Result<Self, StoreError> {
        let sent_at = row.sent_at.map(|Millis(at)| at);
        let settled_at = row.settled_at.map(|Millis(at)| at);
        Ok(Self {
            id: row.command_id.0,
            product_id: row.product_id.map(|Text(id)| id),
            device_id: row.device_id.0,
            customer_id: row.customer_id.map(|Text(id)| id),
            client_id: row.client_id.map(|Text(id)| id),
            staff_id: row.staff_id.map(|Text(id)| id),
            grant_id: row.grant_id.map(|Text(id)| id),
            grant_version: row.grant_version,
            function: row.function.0,
            argument: row.argument.map(Arc::from),
            rule: row.rule.into(),
            reason: row.reason,
            state: state(
                row.status.0,
                row.cause.as_deref(),
                row.return_value,
                sent_at,
                settled_at,
            )?,
            body_digest: row.body_digest.as_deref().map(digest_of).transpose()?,
            created_at: row.created_at.0,
            sent_at,
            settled_at,
        })
    }
}

fn digest_of(text: &str) -> Result<SecretDigest, StoreError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(SecretDigest::from_bytes)
        .ok_or_else(|| StoreError::inconsistent("the digest of a request's body"))
}
