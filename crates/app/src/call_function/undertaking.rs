//! Carrying out a call whose intent is durable, until its outcome is durable too.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Counter;
use ostler_core::caller::Caller;
use ostler_core::command::{CallOutcome, CommandState, CommandStatus, NotSent, RefusedBy};
use ostler_core::id::CommandId;
use ostler_core::permit::TicketState;
use ostler_core::policy::{Denied, Presence, Right, Title, authorize_call};
use ostler_core::time::Timestamp;
use ostler_store::StoreError;
use ostler_store::{Command, OutcomeRecorded, Settlement};
use tokio::task::JoinHandle;

use super::{Allowed, CallAnswer, CallFunctionError, CallRequest, answer};
use crate::App;
use crate::permits::{JUDGED_AT_MOST, before_judging_again};

/// Pauses before an outcome that could not be written is written again. Repeating this is safe:
/// the statement settles only what is unsettled.
const WRITE_AGAIN_AFTER: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(400),
    Duration::from_secs(3),
];

/// Shared by the task that carries it out and whoever waits for the outcome.
pub(super) struct Undertaking {
    pub command: Box<Command>,
    pub caller: Caller,
    pub request: CallRequest,
}

/// What came of the attempts to send.
struct Attempted {
    state: CommandState,
    at: Timestamp,
    sent_at: Option<Timestamp>,
    retry_after: Option<Duration>,
    denied: Option<Denied>,
}

impl App {
    pub(super) async fn carry_out(
        self: Arc<Self>,
        undertaking: Arc<Undertaking>,
        allowed: Box<Allowed>,
    ) -> Result<CallAnswer, StoreError> {
        let Attempted {
            state,
            at,
            sent_at,
            retry_after,
            denied,
        } = self.attempt(&undertaking, allowed).await;
        let recorded = self
            .record(Settlement {
                command_id: undertaking.command.id,
                state,
                sent_at,
                at,
            })
            .await?;
        let command = match recorded {
            // An event may have said more than the cloud did.
            OutcomeRecorded::Recorded if is_unknown(state) => self.present(&undertaking.command).await?,
            OutcomeRecorded::Recorded => answer::settled(&undertaking.command, state, sent_at, at),
            OutcomeRecorded::SettledBefore => self.present(&undertaking.command).await?,
        };
        count(command.state.status());
        Ok(CallAnswer {
            command,
            retry_after,
            denied,
        })
    }

    /// Waits for the outcome, but not longer than a caller should. The call stays attached.
    pub(super) async fn await_outcome(
        &self,
        undertaking: &Undertaking,
        running: JoinHandle<Result<CallAnswer, StoreError>>,
    ) -> Result<CallAnswer, CallFunctionError> {
        match tokio::time::timeout(self.settings.call_deadline, running).await {
            Ok(Ok(answer)) => Ok(answer?),
            // The task panicked: what it did is not known.
            Ok(Err(_)) | Err(_) => Box::pin(self.give_up_waiting(&undertaking.command)).await,
        }
    }

    async fn give_up_waiting(&self, command: &Command) -> Result<CallAnswer, CallFunctionError> {
        self.settle(command.id, CallOutcome::Unknown, Some(command.created_at))
            .await?;
        Ok(CallAnswer::of(self.present(command).await?))
    }

    async fn attempt(&self, undertaking: &Undertaking, mut allowed: Box<Allowed>) -> Attempted {
        for _ in 0..JUDGED_AT_MOST {
            if self.is_known_offline(&allowed) {
                return self.not_departed(CallOutcome::DeviceOffline);
            }
            let sent_at = self.clock.now();
            let outcome = self
                .cloud
                .call_function(&allowed.permit, self.settings.call_attached)
                .await;
            if outcome != CallOutcome::NotSent(NotSent::PermitLapsed) {
                let departed = allowed.permit.ticket().state() == TicketState::Departed;
                return self.attempted(outcome, departed.then_some(sent_at));
            }
            drop(allowed);
            before_judging_again().await;
            // Boxed, like all that is rare here: what every call carries along stays small.
            allowed = match Box::pin(self.judge_again(undertaking)).await {
                Ok(again) => again,
                Err(not_again) => return not_again,
            };
        }
        self.not_departed(CallOutcome::NotSent(NotSent::PermitLapsed))
    }

    /// The rights may have changed while the first permit waited: they are read again.
    async fn judge_again(&self, undertaking: &Undertaking) -> Result<Box<Allowed>, Attempted> {
        let Undertaking {
            command,
            caller,
            request,
        } = undertaking;
        let lapsed = || self.not_departed(CallOutcome::NotSent(NotSent::PermitLapsed));
        let (mut facts, slot) = self.call_facts(caller, request).await.map_err(|_| lapsed())?;
        let now = self.clock.now();
        // The cool-down that runs now is this command's own.
        facts.last_called_at = None;
        let title = Title::of(caller, request.on_behalf_of);
        let refused = |denied| Attempted {
            state: CommandState::Refused {
                by: RefusedBy::Policy,
                at: now,
            },
            at: now,
            sent_at: None,
            retry_after: None,
            denied: Some(denied),
        };
        let permit = authorize_call(&request.call, caller, title, &facts, now).map_err(refused)?;
        if !is_named_by(command, permit.right()) {
            return Err(lapsed());
        }
        Ok(self.allow(permit, slot, &facts, caller, command.id))
    }

    /// Presence counts only while the product's event stream tells us of its changes.
    fn is_known_offline(&self, allowed: &Allowed) -> bool {
        allowed.presence == Presence::Offline && self.presence_is_current(allowed.permit.product_id())
    }

    fn not_departed(&self, outcome: CallOutcome) -> Attempted {
        self.attempted(outcome, None)
    }

    fn attempted(&self, outcome: CallOutcome, sent_at: Option<Timestamp>) -> Attempted {
        let retry_after = match outcome {
            CallOutcome::RateLimited { retry_after } => retry_after,
            CallOutcome::Returned(_)
            | CallOutcome::DeviceOffline
            | CallOutcome::NotSent(_)
            | CallOutcome::Refused(_)
            | CallOutcome::Unknown => None,
        };
        let at = self.clock.now();
        Attempted {
            state: CommandState::from_outcome(outcome, at),
            at,
            sent_at,
            retry_after,
            denied: None,
        }
    }

    /// Writes an outcome down. `SettledBefore` is as good: then it was not ours to say any more.
    pub(crate) async fn settle(
        &self,
        command_id: CommandId,
        outcome: CallOutcome,
        sent_at: Option<Timestamp>,
    ) -> Result<OutcomeRecorded, StoreError> {
        let at = self.clock.now();
        let state = CommandState::from_outcome(outcome, at);
        self.record(Settlement {
            command_id,
            state,
            sent_at,
            at,
        })
        .await
    }

    /// What nobody can say, an event may have said before: then that counts.
    pub(crate) async fn record(&self, settlement: Settlement) -> Result<OutcomeRecorded, StoreError> {
        let Settlement { command_id, state, .. } = settlement;
        let recorded = self.write_outcome(settlement).await?;
        if recorded == OutcomeRecorded::Recorded && is_unknown(state) {
            // The outcome stands, whatever this look finds.
            if let Err(error) = Box::pin(self.settle_by_earlier_event(command_id)).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, command.id = %command_id, "no event could be looked for that confirms {command_id}");
            }
        }
        Ok(recorded)
    }

    pub(crate) async fn write_outcome(&self, settlement: Settlement) -> Result<OutcomeRecorded, StoreError> {
        for pause in WRITE_AGAIN_AFTER {
            match self.store.record_outcome(settlement.clone()).await {
                Ok(recorded) => return Ok(recorded),
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(_) => tokio::time::sleep(pause).await,
            }
        }
        self.store.record_outcome(settlement).await
    }

    /// The command as the ledger has it now.
    async fn present(&self, command: &Command) -> Result<Box<Command>, StoreError> {
        let present = Box::pin(self.store.command(command.id)).await?;
        Ok(Box::new(present.unwrap_or_else(|| command.clone())))
    }
}

fn count(status: CommandStatus) {
    static COUNTERS: [OnceLock<Counter>; CommandStatus::ALL.len()] =
        [const { OnceLock::new() }; CommandStatus::ALL.len()];
    COUNTERS[status as usize]
        .get_or_init(|| metrics::counter!("ostler_commands_total", "status" => status.as_str()))
        .increment(1);
}

fn is_unknown(state: CommandState) -> bool {
    matches!(state, CommandState::Unknown { .. })
}

/// The intent says by which right the call leaves (P5). If that has ended and another would do, the
/// ledger must not name the one that ended: nothing is sent, and asking again is safe.
fn is_named_by(command: &Command, right: Right) -> bool {
    match right {
        Right::Grant { id, version } => (command.grant_id, command.grant_version) == (Some(id), Some(version)),
        Right::Maker => command.grant_id.is_none(),
    }
}
