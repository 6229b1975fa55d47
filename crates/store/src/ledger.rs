//! The ledger of commands: the intent before a call leaves, its outcome after.
//!
//! Intents, outcomes and refusals go through the writer and share its commits; the statements
//! settle every race (one key is one command, only what is unsettled gets an outcome). Nothing
//! here decides whether a call is allowed.

mod command;
mod cool_down;
mod insert;
mod intent;
mod outcome;
mod query;
mod refusal;
mod state;

pub use command::{By, Command, Idempotency, NewCommand};
pub use intent::{IntentRecorded, KeyScope};
pub use outcome::{OutcomeRecorded, Settlement};
pub use query::CommandFilter;
pub use refusal::Refusal;

pub(crate) use insert::{CommandRow, insert_commands};
pub(crate) use intent::write_intents;
pub(crate) use outcome::{OutcomeRow, gives_way, settle_commands, write_outcomes};
pub(crate) use refusal::write_refusals;

use std::time::Duration;

/// How long an idempotency key is kept.
pub const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
