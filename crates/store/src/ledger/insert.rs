//! How a command becomes a row. Intents and refusals are inserted by the same statement, and so is
//! what waited in the journal.

use std::borrow::Cow;
use std::sync::Arc;

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

/// A row to be inserted; members are its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandRow {
    command_id: CommandId,
    product_id: Option<ProductId>,
    device_id: DeviceId,
    customer_id: Option<CustomerId>,
    client_id: ClientId,
    staff_id: Option<StaffId>,
    grant_id: Option<GrantId>,
    grant_version: Option<i64>,
    function: Arc<str>,
    argument: Arc<str>,
    argument_salt: Arc<str>,
    rule: Cow<'static, str>,
    reason: Option<Arc<str>>,
    idempotency_key: Option<Arc<str>>,
    body_digest: Option<Arc<str>>,
    #[serde(with = "crate::value::spelled")]
    pub(super) status: CommandStatus,
    pub(super) return_value: Option<i32>,
    pub(super) cause: Option<Cow<'static, str>>,
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

/// Returns how many of the rows were inserted. All text is bound as `Arc<str>`, which the driver takes as it
/// is: of a borrowed text it would make two allocations.
pub(crate) async fn insert_commands(mut link: Link<'_>, rows: &[CommandRow]) -> Result<u64, StoreError> {
    let mut inserted = 0;
    for (sql, chunk) in INSERT.statements(link.dialect(), rows) {
        inserted += on!(link.again(), |db| {
            let mut query = sqlx::query(sql);
            for row in chunk {
                query = query
                    .bind(Arc::<str>::from(row.command_id))
                    .bind(row.product_id.map(Arc::<str>::from))
                    .bind(Arc::<str>::from(row.device_id))
                    .bind(row.customer_id.map(Arc::<str>::from))
                    .bind(Arc::<str>::from(row.client_id))
                    .bind(row.staff_id.map(Arc::<str>::from))
                    .bind(row.grant_id.map(Arc::<str>::from))
                    .bind(row.grant_version)
                    .bind(Arc::clone(&row.function))
                    .bind(Arc::clone(&row.argument))
                    .bind(Arc::clone(&row.argument_salt))
                    .bind(Arc::<str>::from(&*row.rule))
                    .bind(row.reason.clone())
                    .bind(row.idempotency_key.clone())
                    .bind(row.body_digest.clone())
                    .bind(Arc::<str>::from(row.status.as_str()))
                    .bind(row.return_value.map(i64::from))
                    .bind(row.cause.as_deref().map(Arc::<str>::from))
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

impl CommandRow {
    pub fn id(&self) -> CommandId {
        self.command_id
    }
}

impl NewCommand {
    /// As an intent: allowed by a right, or about to be refused by its function's clock.
    pub(crate) fn intent_row(&self, salt: &[u8; 16]) -> CommandRow {
        self.row(CommandState::Accepted, self.right.map_or("", Right::rule), salt)
    }

    pub(super) fn row(&self, state: CommandState, rule: &'static str, salt: &[u8; 16]) -> CommandRow {
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
            function: self.function.clone().into(),
            argument: Arc::clone(&self.argument),
            argument_salt: URL_SAFE_NO_PAD.encode(salt).into(),
            rule: Cow::Borrowed(rule),
            reason: self.reason.as_deref().map(Arc::from),
            idempotency_key: idempotency.map(|idempotency| idempotency.key.as_str().into()),
            body_digest: idempotency.map(|idempotency| digest_text(&idempotency.body_digest).into()),
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
