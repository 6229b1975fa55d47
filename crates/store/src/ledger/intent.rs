//! Intents: durable before the call leaves.

use std::collections::HashSet;

use ostler_core::command::{CommandState, RefusedBy};
use ostler_core::id::{ClientId, CommandId, CustomerId, DeviceId};
use ostler_core::name::FunctionName;
use ostler_core::port::random_bytes;
use ostler_core::time::Timestamp;

use super::KEY_LIFETIME;
use super::command::{Command, Idempotency, NewCommand, StoredCommand, command_columns};
use super::cool_down::{CoolingDown, move_clocks};
use super::insert::insert_commands;
use crate::Store;
use crate::error::StoreError;
use crate::tx::{Link, Tx, execute, on};
use crate::value::Text;
use crate::writer::{Asked, Entry};

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentRecorded {
    /// Durable. The call may leave.
    Recorded,
    /// The key names this command already; nothing was recorded and nothing may be sent.
    KeyTaken(Box<Command>),
    /// Another call of the function came first; recorded as refused, and nothing may be sent.
    CoolingDown { until: Timestamp },
}

const BY_KEY: &str = concat!(
    "SELECT ",
    command_columns!(),
    "
       FROM command
      WHERE client_id = $1 AND COALESCE(customer_id, '') = $2 AND device_id = $3 AND function = $4
        AND idempotency_key = $5 AND created_at > $6"
);
const WHICH_EXIST: crate::dialect::Pair = crate::dialect::json_rows!(
    "SELECT command_id FROM command WHERE command_id IN (SELECT value->>0 FROM ",
    ")"
);
/// A key that is older than a day has been forgotten, even if the job that forgets is late.
const FORGET_KEY: &str = "
    UPDATE command SET idempotency_key = NULL
     WHERE client_id = $1 AND COALESCE(customer_id, '') = $2 AND device_id = $3 AND function = $4
       AND idempotency_key = $5 AND created_at <= $6";
const FORGET_KEYS: &str = "
    UPDATE command SET idempotency_key = NULL
     WHERE idempotency_key IS NOT NULL AND created_at <= $1";

/// An idempotency key with all that it is scoped to.
#[derive(Debug, Clone, Copy)]
pub struct KeyScope<'a> {
    pub client_id: ClientId,
    pub customer_id: Option<CustomerId>,
    pub device_id: DeviceId,
    pub function: &'a FunctionName,
    pub key: &'a str,
}

impl Store {
    /// Makes an intent durable in the writer's next commit. May be refused as overloaded.
    pub async fn record_intent(&self, command: impl Into<Box<NewCommand>>) -> Result<IntentRecorded, StoreError> {
        self.writer.ask(command.into(), Entry::Intent).await
    }

    /// Looked up before contract and policy: a replay never sends.
    pub async fn find_by_idempotency_key(
        &self,
        scope: KeyScope<'_>,
        now: Timestamp,
    ) -> Result<Option<Command>, StoreError> {
        // A command with a key is never journaled, but its outcome may be.
        let filed = by_key(self.read_filed().await?.link(), scope, now).await?;
        match filed {
            Some(command) if !command.state.is_settled() => by_key(self.read().await?.link(), scope, now).await,
            settled_or_none => Ok(settled_or_none),
        }
    }

    /// Forgets keys that are a day old. A job's work; nothing waits for it.
    pub async fn forget_idempotency_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.write(now).await?;
        let until = (now - KEY_LIFETIME).millis();
        let forgotten = execute!(tx.link(), sqlx::query(FORGET_KEYS).bind(until));
        tx.commit().await?;
        Ok(forgotten)
    }
}

impl<'a> KeyScope<'a> {
    fn of(command: &'a NewCommand, idempotency: &'a Idempotency) -> Self {
        Self {
            client_id: command.by.client_id,
            customer_id: command.by.customer_id,
            device_id: command.device_id,
            function: &command.function,
            key: &idempotency.key,
        }
    }
}

async fn by_key(link: Link<'_>, scope: KeyScope<'_>, now: Timestamp) -> Result<Option<Command>, StoreError> {
    let found: Option<StoredCommand> = on!(link, |db| sqlx::query_as(BY_KEY)
        .bind(Text(scope.client_id))
        .bind(scope.customer_id.map(|id| id.to_string()).unwrap_or_default())
        .bind(Text(scope.device_id))
        .bind(Text(scope.function))
        .bind(scope.key)
        .bind((now - KEY_LIFETIME).millis())
        .fetch_optional(&mut *db)
        .await?);
    found.map(Command::try_from).transpose()
}

/// Writes the intents of one commit: one statement for all of them, and a few more only where a
/// key was taken or a function cools down.
pub(crate) async fn write_intents(
    tx: &mut Tx,
    asked: &[Asked<NewCommand, IntentRecorded>],
) -> Result<Vec<IntentRecorded>, StoreError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let salts: Vec<[u8; 16]> = asked.iter().map(|_| random_bytes(tx.entropy())).collect();
    let commands: Vec<&NewCommand> = asked.iter().map(|asked| &*asked.entry).collect();
    let mut answers = insert(tx, &commands, &salts).await?;
    let recorded = |answers: &[IntentRecorded]| -> Vec<usize> {
        (0..answers.len())
            .filter(|index| answers[*index] == IntentRecorded::Recorded)
            .collect()
    };
    for CoolingDown { index, until } in move_clocks(tx, &commands, &recorded(&answers)).await? {
        answers[index] = IntentRecorded::CoolingDown { until };
    }
    for (index, command) in commands.iter().enumerate() {
        match &answers[index] {
            IntentRecorded::Recorded => tx.audit(command.intent_act(&salts[index])),
            IntentRecorded::CoolingDown { .. } => {
                tx.audit(command.act("command.refused", "cooling-down", &salts[index]));
            }
            // What it replays is in the chain already.
            IntentRecorded::KeyTaken(_) => {}
        }
    }
    Ok(answers)
}

async fn insert(tx: &mut Tx, commands: &[&NewCommand], salts: &[[u8; 16]]) -> Result<Vec<IntentRecorded>, StoreError> {
    let inserted = insert_rows(tx, commands, salts).await?;
    if inserted == commands.len() as u64 {
        return Ok(vec![IntentRecorded::Recorded; commands.len()]);
    }
    let present = which_exist(tx, commands).await?;
    let mut answers = Vec::with_capacity(commands.len());
    for (command, salt) in commands.iter().zip(salts) {
        answers.push(if present.contains(&command.id) {
            IntentRecorded::Recorded
        } else {
            settle_key(tx, command, salt).await?
        });
    }
    Ok(answers)
}

async fn insert_rows(tx: &mut Tx, commands: &[&NewCommand], salts: &[[u8; 16]]) -> Result<u64, StoreError> {
    let rows: Vec<_> = commands
        .iter()
        .zip(salts)
        .map(|(command, salt)| command.intent_row(salt))
        .collect();
    insert_commands(tx.link(), &rows).await
}

async fn which_exist(tx: &mut Tx, commands: &[&NewCommand]) -> Result<HashSet<CommandId>, StoreError> {
    let ids: Vec<_> = commands.iter().map(|command| [command.id]).collect();
    let ids = serde_json::to_string(&ids).expect("ids are text");
    let sql = WHICH_EXIST.of(tx.link().dialect());
    let rows: Vec<(Text<CommandId>,)> = on!(tx.link(), |db| sqlx::query_as(sql)
        .bind(ids)
        .fetch_all(&mut *db)
        .await?);
    Ok(rows.into_iter().map(|(Text(id),)| id).collect())
}

/// The row was left out because its key is taken: by a command of today, which is then the answer,
/// or by one whose day is over, which gives the key up.
async fn settle_key(tx: &mut Tx, command: &NewCommand, salt: &[u8; 16]) -> Result<IntentRecorded, StoreError> {
    let Some(idempotency) = &command.idempotency else {
        return Err(StoreError::inconsistent("a command id that was drawn twice"));
    };
    let scope = KeyScope::of(command, idempotency);
    if let Some(existing) = by_key(tx.link(), scope, command.created_at).await? {
        return Ok(IntentRecorded::KeyTaken(Box::new(existing)));
    }
    execute!(
        tx.link(),
        sqlx::query(FORGET_KEY)
            .bind(Text(scope.client_id))
            .bind(scope.customer_id.map(|id| id.to_string()).unwrap_or_default())
            .bind(Text(scope.device_id))
            .bind(Text(scope.function))
            .bind(scope.key)
            .bind((command.created_at - KEY_LIFETIME).millis())
    );
    match insert_rows(tx, &[command], &[*salt]).await? {
        1 => Ok(IntentRecorded::Recorded),
        _ => Err(StoreError::inconsistent(
            "an idempotency key that is neither free nor taken",
        )),
    }
}

/// How a command stands that lost the race for its function's clock.
pub(super) const fn refused_by_clock(at: Timestamp) -> CommandState {
    CommandState::Refused {
        by: RefusedBy::Policy,
        at,
    }
}
