//! How a command becomes a row. Intents and refusals are inserted by the same statement.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use ostler_core::command::CommandState;
use ostler_core::id::{ClientId, CommandId, CustomerId, DeviceId, GrantId, ProductId, StaffId};
use ostler_core::name::FunctionName;
use ostler_core::policy::Right;
use ostler_core::time::Timestamp;

use super::command::{NewCommand, digest_text};
use super::state::StateColumns;
use crate::error::StoreError;
use crate::rows::ManyRows;
use crate::tx::{Link, on};
use crate::value::Text;

/// A row to be inserted; members are its columns.
pub(super) struct CommandRow<'a> {
    command_id: CommandId,
    product_id: Option<ProductId>,
    device_id: DeviceId,
    customer_id: Option<CustomerId>,
    client_id: ClientId,
    staff_id: Option<StaffId>,
    grant_id: Option<GrantId>,
    grant_version: Option<i64>,
    function: &'a FunctionName,
    argument: &'a str,
    argument_salt: String,
    rule: &'a str,
    reason: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    body_digest: Option<String>,
    status: &'static str,
    cause: Option<&'static str>,
    created_at: i64,
    settled_at: Option<i64>,
    deadline_at: Option<i64>,
}

/// A key that is taken already leaves its row out: the count of rows tells.
static INSERT: ManyRows = ManyRows::new(
    "INSERT INTO command (
         command_id, product_id, device_id, customer_id, client_id, staff_id,
         grant_id, grant_version, function, argument, argument_salt, rule, reason,
         idempotency_key, body_digest, status, cause, created_at, settled_at, deadline_at)
     VALUES ",
    20,
    " ON CONFLICT DO NOTHING",
);

/// Returns how many of the rows were inserted.
pub(super) async fn insert_commands(mut link: Link<'_>, rows: &[CommandRow<'_>]) -> Result<u64, StoreError> {
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
                    .bind(row.function.as_str())
                    .bind(row.argument)
                    .bind(row.argument_salt.as_str())
                    .bind(row.rule)
                    .bind(row.reason)
                    .bind(row.idempotency_key)
                    .bind(row.body_digest.as_deref())
                    .bind(row.status)
                    .bind(row.cause)
                    .bind(row.created_at)
                    .bind(row.settled_at)
                    .bind(row.deadline_at);
            }
            query.execute(&mut *db).await?.rows_affected()
        });
    }
    Ok(inserted)
}

impl NewCommand {
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
            function: &self.function,
            argument: &self.argument,
            argument_salt: URL_SAFE_NO_PAD.encode(salt),
            rule,
            reason: self.reason.as_deref(),
            idempotency_key: idempotency.map(|idempotency| idempotency.key.as_str()),
            body_digest: idempotency.map(|idempotency| digest_text(&idempotency.body_digest)),
            status: columns.status.as_str(),
            cause: columns.cause,
            created_at: self.created_at.millis(),
            settled_at: columns.settled_at.map(Timestamp::millis),
            deadline_at: columns.settled_at.is_none().then_some(self.deadline_at.millis()),
        }
    }
}
