//! How a command becomes a row. Intents and refusals are inserted by the same statement, and so is
//! what waited in the journal.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use ostler_core::command::{CommandState, CommandStatus};
use ostler_core::id::{ClientId, CommandId, CustomerId, DeviceId, GrantId, ProductId, StaffId};
use ostler_core::policy::Right;
use ostler_core::time::Timestamp;

use super::command::{NewCommand, digest_text};
use super::state::StateColumns;
use crate::error::StoreError;
use crate::rows::ManyRows;
use crate::tx::{Link, on};
use crate::value::Text;

/// A row to be inserted; members are its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandRow<'a> {
    command_id: CommandId,
    product_id: Option<ProductId>,
    device_id: DeviceId,
    customer_id: Option<CustomerId>,
    client_id: ClientId,
    staff_id: Option<StaffId>,
    grant_id: Option<GrantId>,
    grant_version: Option<i64>,
    function: Cow<'a, str>,
    argument: Cow<'a, str>,
    argument_salt: String,
    rule: Cow<'a, str>,
    reason: Option<Cow<'a, str>>,
    idempotency_key: Option<Cow<'a, str>>,
    body_digest: Option<String>,
    #[serde(with = "crate::value::spelled")]
    pub(super) status: CommandStatus,
    pub(super) return_value: Option<i32>,
    pub(super) cause: Option<Cow<'a, str>>,
    created_at: i64,
    pub(super) sent_at: Option<i64>,
    pub(super) settled_at: Option<i64>,
    deadline_at: Option<i64>,
}

/// A key that is taken already leaves its row out: the count of rows tells.
static INSERT: ManyRows = ManyRows::new(
    "INSERT",
    "INTO command (
         command_id, product_id, device_id, customer_id, client_id, staff_id,
         grant_id, grant_version, function, argument, argument_salt, rule, reason,
         idempotency_key, body_digest, status, return_value, cause, created_at, sent_at, settled_at, deadline_at)
     VALUES ",
    22,
    " ON CONFLICT DO NOTHING",
);

/// Returns how many of the rows were inserted.
pub(crate) async fn insert_commands(mut link: Link<'_>, rows: &[CommandRow<'_>]) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for (sql, chunk) in INSERT.statements(link.dialect(), rows) {
        inserted += on!(link.again(), |db| {
            let mut query = sqlx::query(sql);
            for row in chunk {
                query = query
                    .bind(Text(row.command_id))
                    .bind(row.product_id.map(Text))
                    .bind(Text(row.device_id))
                    .bind(row.customer_id.map(Text))
                    .bind(Text(row.client_id))
                    .bind(row.staff_id.map(Text))
                    .bind(row.grant_id.map(Text))
                    .bind(row.grant_version)
                    .bind(&*row.function)
                    .bind(&*row.argument)
                    .bind(row.argument_salt.as_str())
                    .bind(&*row.rule)
                    .bind(row.reason.as_deref())
                    .bind(row.idempotency_key.as_deref())
                    .bind(row.body_digest.as_deref())
                    .bind(row.status.as_str())
                    .bind(row.return_value.map(i64::from))
                    .bind(row.cause.as_deref())
                    .bind(row.created_at)
                    .bind(row.sent_at)
                    .bind(row.settled_at)
                    .bind(row.deadline_at);
            }
            query.execute(&mut *db).await?.rows_affected()
        });
    }
    Ok(inserted)
}

impl CommandRow<'_> {
    pub fn id(&self) -> CommandId {
        self.command_id
    }

    /// The same row, for keeping.
    pub fn into_owned(self) -> CommandRow<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        CommandRow {
            command_id: self.command_id,
            product_id: self.product_id,
            device_id: self.device_id,
            customer_id: self.customer_id,
            client_id: self.client_id,
            staff_id: self.staff_id,
            grant_id: self.grant_id,
            grant_version: self.grant_version,
            function: Cow::Owned(self.function.into_owned()),
            argument: Cow::Owned(self.argument.into_owned()),
            argument_salt: self.argument_salt,
            rule: Cow::Owned(self.rule.into_owned()),
            reason: owned(self.reason),
            idempotency_key: owned(self.idempotency_key),
            body_digest: self.body_digest,
            status: self.status,
            return_value: self.return_value,
            cause: owned(self.cause),
            created_at: self.created_at,
            sent_at: self.sent_at,
            settled_at: self.settled_at,
            deadline_at: self.deadline_at,
        }
    }
}

impl NewCommand {
    /// As an intent: allowed by a right, or about to be refused by its function's clock.
    pub(crate) fn intent_row(&self, salt: &[u8; 16]) -> CommandRow<'_> {
        self.row(CommandState::Accepted, self.right.map_or("", Right::rule), salt)
    }

    pub(super) fn row<'a>(&'a self, state: CommandState, rule: &'a str, salt: &[u8; 16]) -> CommandRow<'a> {
        let columns = StateColumns::from(state);
        let (grant_id, grant_version) = match self.right {
            Some(Right::Grant { id, version }) => (Some(id), Some(version)),
            Some(Right::Maker) | None => (None, None),
        };
        let idempotency = self.idempotency.as_ref();
        CommandRow {
            command_id: self.id,
            product_id: self.product_id,
            device_id: self.device_id,
            customer_id: self.by.customer_id,
            client_id: self.by.client_id,
            staff_id: self.by.staff_id,
            grant_id,
            grant_version,
            function: Cow::Borrowed(self.function.as_str()),
            argument: Cow::Borrowed(&self.argument),
            argument_salt: URL_SAFE_NO_PAD.encode(salt),
            rule: Cow::Borrowed(rule),
            reason: self.reason.as_deref().map(Cow::Borrowed),
            idempotency_key: idempotency.map(|idempotency| Cow::Borrowed(idempotency.key.as_str())),
            body_digest: idempotency.map(|idempotency| digest_text(&idempotency.body_digest)),
            status: columns.status,
            return_value: columns.return_value,
            cause: columns.cause.map(Cow::Borrowed),
            created_at: self.created_at.millis(),
            sent_at: None,
            settled_at: columns.settled_at.map(Timestamp::millis),
            deadline_at: columns.settled_at.is_none().then_some(self.deadline_at.millis()),
        }
    }

    /// Whether a statement has to judge it: a key may be taken, a function may cool down.
    pub(crate) fn may_conflict(&self) -> bool {
        self.idempotency.is_some() || !self.cool_down.is_zero()
    }
}
