//! Functions with a cool-down: the statement that moves the clock decides who came first.
//!
//! Policy has compared the clock already, on facts that may be a moment old. Two calls that were
//! both allowed meet here, and one of them is refused.

use std::collections::HashSet;

use ostler_core::id::DeviceId;
use ostler_core::name::FunctionName;
use ostler_core::time::Timestamp;

use super::command::NewCommand;
use super::intent::refused_by_clock;
use super::state::StateColumns;
use crate::error::StoreError;
use crate::read_model::Change;
use crate::tx::{Tx, execute, on};
use crate::value::{Millis, Text};

/// An intent of the batch that was not let through.
pub(super) struct CoolingDown {
    pub index: usize,
    pub until: Timestamp,
}

/// No row is changed if the function was let through too recently.
const MOVE_CLOCK: &str = "
    INSERT INTO function_clock (device_id, function, last_called_at) VALUES ($1, $2, $3)
    ON CONFLICT (device_id, function) DO UPDATE SET last_called_at = excluded.last_called_at
     WHERE function_clock.last_called_at <= $4";
const CLOCK: &str = "SELECT last_called_at FROM function_clock WHERE device_id = $1 AND function = $2";
const REFUSE: &str = "
    UPDATE command
       SET status = $2, cause = $3, rule = 'cooling-down', settled_at = $4, deadline_at = NULL,
           idempotency_key = NULL
     WHERE command_id = $1";

/// Cool-downs are rare and slow by nature, so each takes its own statement; a batch without any
/// takes none.
pub(super) async fn move_clocks(
    tx: &mut Tx,
    commands: &[&NewCommand],
    recorded: &[usize],
) -> Result<Vec<CoolingDown>, StoreError> {
    let mut refused = Vec::new();
    let mut passed: HashSet<(DeviceId, &FunctionName)> = HashSet::new();
    for index in recorded.iter().copied() {
        let command = commands[index];
        if command.cool_down.is_zero() {
            continue;
        }
        let first_of_batch = !passed.contains(&(command.device_id, &command.function));
        if first_of_batch && move_clock(tx, command).await? {
            passed.insert((command.device_id, &command.function));
            tx.change(Change::FunctionCalled {
                device_id: command.device_id,
                function: command.function.clone(),
                at: command.created_at,
            });
        } else {
            refuse(tx, command).await?;
            refused.push(CoolingDown {
                index,
                until: last_called_at(tx, command).await? + command.cool_down,
            });
        }
    }
    Ok(refused)
}

async fn move_clock(tx: &mut Tx, command: &NewCommand) -> Result<bool, StoreError> {
    let moved = execute!(
        tx.link(),
        sqlx::query(MOVE_CLOCK)
            .bind(Text(command.device_id))
            .bind(Text(&command.function))
            .bind(Millis(command.created_at))
            .bind(Millis(command.created_at - command.cool_down))
    );
    Ok(moved == 1)
}

async fn last_called_at(tx: &mut Tx, command: &NewCommand) -> Result<Timestamp, StoreError> {
    let (Millis(at),): (Millis,) = on!(tx.link(), |db| sqlx::query_as(CLOCK)
        .bind(Text(command.device_id))
        .bind(Text(&command.function))
        .fetch_one(&mut *db)
        .await?);
    Ok(at)
}

/// It was never sent, so its key is free again: the same request may be made later.
async fn refuse(tx: &mut Tx, command: &NewCommand) -> Result<(), StoreError> {
    let columns = StateColumns::from(refused_by_clock(command.created_at));
    execute!(
        tx.link(),
        sqlx::query(REFUSE)
            .bind(Text(command.id))
            .bind(columns.status.as_str())
            .bind(columns.cause)
            .bind(Millis(command.created_at))
    );
    Ok(())
}
