//! Reading the ledger, and the job that gives up on commands without outcome.

use ostler_core::command::CommandStatus;
use ostler_core::id::{CommandId, CustomerId, DeviceId, ProductId};
use ostler_core::interval::Interval;
use ostler_core::name::FunctionName;
use ostler_core::time::Timestamp;

use super::command::{Command, StoredCommand, command_columns};
use crate::Store;
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::tx::on;
use crate::value::{Millis, Text};

/// Every member narrows the list.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandFilter {
    pub product_id: Option<ProductId>,
    pub device_id: Option<DeviceId>,
    pub customer_id: Option<CustomerId>,
    pub status: Option<CommandStatus>,
}

const BY_ID: &str = concat!("SELECT ", command_columns!(), " FROM command WHERE command_id = $1");
/// The newest first.
const LIST: &str = concat!(
    "SELECT ",
    command_columns!(),
    "
       FROM command
      WHERE command_id < COALESCE($1, 'zzz')
        AND ($2 IS NULL OR product_id = $2)
        AND ($3 IS NULL OR device_id = $3)
        AND ($4 IS NULL OR customer_id = $4)
        AND ($5 IS NULL OR status = $5)
      ORDER BY command_id DESC
      LIMIT $6"
);
const OVERDUE: &str = "
    SELECT command_id FROM command
     WHERE settled_at IS NULL AND deadline_at <= $1
     ORDER BY deadline_at
     LIMIT $2";
/// A function's commands that an event may still confirm.
const UNKNOWN: &str = "
    SELECT command_id FROM command
     WHERE device_id = $1 AND function = $2 AND status = 'unknown' AND created_at >= $3 AND created_at < $4
     ORDER BY command_id
     LIMIT 100";

impl Store {
    pub async fn command(&self, command_id: CommandId) -> Result<Option<Command>, StoreError> {
        let mut conn = self.read().await?;
        let found: Option<StoredCommand> = on!(conn.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(command_id))
            .fetch_optional(&mut *db)
            .await?);
        found.map(Command::try_from).transpose()
    }

    pub async fn commands(&self, filter: CommandFilter, page: Page<CommandId>) -> Result<Listed<Command>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<StoredCommand> = on!(conn.link(), |db| sqlx::query_as(LIST)
            .bind(page.after.map(Text))
            .bind(filter.product_id.map(Text))
            .bind(filter.device_id.map(Text))
            .bind(filter.customer_id.map(Text))
            .bind(filter.status.map(CommandStatus::as_str))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        let commands = rows.into_iter().map(Command::try_from).collect::<Result<_, _>>()?;
        Ok(Listed::cut(commands, &page))
    }

    /// Commands whose deadline has passed without an outcome; to be settled as unknown.
    pub async fn overdue_commands(&self, now: Timestamp, limit: u32) -> Result<Vec<CommandId>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<(Text<CommandId>,)> = on!(conn.link(), |db| sqlx::query_as(OVERDUE)
            .bind(Millis(now))
            .bind(i64::from(limit))
            .fetch_all(&mut *db)
            .await?);
        Ok(rows.into_iter().map(|(Text(id),)| id).collect())
    }

    /// The commands of one function whose outcome nobody could say, made in that time.
    pub async fn unknown_commands(
        &self,
        device_id: DeviceId,
        function: &FunctionName,
        made: Interval,
    ) -> Result<Vec<CommandId>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<(Text<CommandId>,)> = on!(conn.link(), |db| sqlx::query_as(UNKNOWN)
            .bind(Text(device_id))
            .bind(Text(function))
            .bind(Millis(made.from))
            .bind(Millis(made.to))
            .fetch_all(&mut *db)
            .await?);
        Ok(rows.into_iter().map(|(Text(id),)| id).collect())
    }
}
