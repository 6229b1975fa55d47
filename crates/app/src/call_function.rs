//! Calls a device's function: facts, decision, durable intent, the cloud, outcome, answer.
//!
//! The call itself runs in a task of its own. Whoever asked may go away, or give up waiting: the
//! outcome is written down all the same, and a late answer settles what had to be called unknown.

mod answer;
mod replay;
mod undertaking;

use std::sync::Arc;
use std::time::Duration;

use ostler_core::caller::Caller;
use ostler_core::command::{CallOutcome, NotSent};
use ostler_core::id::{CommandId, CustomerId};
use ostler_core::policy::{CallPermit, Denied, Facts, FunctionCall, Presence, Title, authorize_call};
use ostler_core::time::Timestamp;
use ostler_store::StoreError;
use ostler_store::{By, Idempotency, IntentRecorded, NewCommand, Refusal};

use crate::App;
use crate::idempotency::IdempotencyKey;
use crate::permits::{Basis, Judged, Slot};

pub use answer::CallAnswer;
use undertaking::Undertaking;

/// What somebody asked for.
#[derive(Debug, Clone)]
pub struct CallRequest {
    pub call: FunctionCall,
    /// Staff and machines may ask to be judged as a customer.
    pub on_behalf_of: Option<CustomerId>,
    /// Why staff act; logged, and shown to the customer.
    pub reason: Option<String>,
    pub idempotency_key: Option<IdempotencyKey>,
    pub wait: Wait,
}

/// Whether the caller waits for the outcome (RFC 7240 §4.1, `respond-async`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    ForOutcome,
    ForAcceptance,
}

#[derive(Debug, thiserror::Error)]
pub enum CallFunctionError {
    /// `command_id` names the refusal in the ledger; a stranger is not told it.
    #[error("the call is not allowed: {denied}")]
    Denied {
        denied: Denied,
        command_id: Option<CommandId>,
        at: Timestamp,
    },
    #[error("the idempotency key was used for another call")]
    KeyReused,
    #[error("the call that the idempotency key names is still running")]
    KeyInFlight { command_id: CommandId },
    #[error("the call could not be recorded")]
    Store(#[from] StoreError),
}

/// A call that policy allowed, with the permit that proves it. Handed on boxed, from future to future.
struct Allowed {
    permit: CallPermit,
    /// Held while the call may depart or is under way.
    _slot: Slot,
    presence: Presence,
}

impl App {
    pub async fn call_function(
        self: &Arc<Self>,
        caller: &Caller,
        request: CallRequest,
    ) -> Result<CallAnswer, CallFunctionError> {
        if let Some(answer) = self.replay(caller, &request).await? {
            return Ok(answer);
        }
        let (facts, slot) = self.call_facts(caller, &request).await?;
        // After the facts, so that time waited for them does not count as the right's.
        let now = self.clock.now();
        let command_id = CommandId::draw(now, &*self.entropy);
        let title = Title::of(caller, request.on_behalf_of);
        let intent = self.intent(command_id, caller, &request, &facts, now);
        match authorize_call(&request.call, caller, title, &facts, now) {
            Err(denied) => Err(self.refuse(intent, denied)),
            Ok(permit) => {
                let allowed = self.allow(permit, slot, &facts, caller, command_id);
                self.undertake(caller, request, intent, allowed).await
            }
        }
    }

    /// The same port call whether the device exists or not (P8).
    async fn call_facts(&self, caller: &Caller, request: &CallRequest) -> Result<(Facts, Slot), StoreError> {
        let slot = self.permits.open(&*self.clock);
        let customer_id = judged_customer(caller, request);
        let function = Some(&request.call.function);
        let device_id = request.call.device_id;
        let facts = self
            .facts_for(caller, customer_id, device_id, function, slot.opened_at())
            .await?;
        Ok((facts, slot))
    }

    fn allow(
        &self,
        permit: CallPermit,
        slot: Slot,
        facts: &Facts,
        caller: &Caller,
        command_id: CommandId,
    ) -> Box<Allowed> {
        slot.judged(Judged {
            ticket: Arc::clone(permit.ticket()),
            basis: Basis {
                grant_id: permit.right().grant_id(),
                customer_id: caller.customer_id(),
                family_id: caller.family_id,
            },
            command_id: Some(command_id),
        });
        let presence = facts
            .device
            .as_ref()
            .map_or(Presence::Unknown, |device| device.presence);
        Box::new(Allowed {
            permit,
            _slot: slot,
            presence,
        })
    }

    /// Makes the intent durable; only then may anything leave (P5, P6).
    async fn undertake(
        self: &Arc<Self>,
        caller: &Caller,
        request: CallRequest,
        mut intent: Box<NewCommand>,
        allowed: Box<Allowed>,
    ) -> Result<CallAnswer, CallFunctionError> {
        intent.right = Some(allowed.permit.right());
        intent.cool_down = allowed.permit.cool_down();
        let command = answer::accepted(&intent);
        let command_id = intent.id;
        match self.store.record_intent(intent).await {
            Ok(IntentRecorded::Recorded) => {}
            Ok(IntentRecorded::KeyTaken(earlier)) => return self.answer_replay(&request, earlier),
            Ok(IntentRecorded::CoolingDown { until }) => {
                let denied = Denied::CoolingDown { until };
                return Err(CallFunctionError::Denied {
                    denied,
                    command_id: Some(command_id),
                    at: command.created_at,
                });
            }
            Err(error) => {
                self.abandon(command_id, &error);
                return Err(error.into());
            }
        }
        let wait = request.wait;
        let undertaking = Arc::new(Undertaking {
            command,
            caller: caller.clone(),
            request,
        });
        // Boxed at once: on its way into its task it would be copied three times.
        let carried_out = Box::pin(Arc::clone(self).carry_out(Arc::clone(&undertaking), allowed));
        let running = self.tasks.undertakings.spawn(carried_out);
        match wait {
            Wait::ForAcceptance => Ok(CallAnswer::of(undertaking.command.clone())),
            Wait::ForOutcome => self.await_outcome(&undertaking, running).await,
        }
    }

    /// Nobody can say whether the intent is durable, and nothing has left. If it is, it must not
    /// stand there as if something had.
    fn abandon(self: &Arc<Self>, command_id: CommandId, error: &StoreError) {
        if let StoreError::CommitUnknown(_) = error {
            let app = Arc::clone(self);
            self.tasks.undertakings.spawn(async move {
                let outcome = CallOutcome::NotSent(NotSent::IntentUncertain);
                app.settle(command_id, outcome, None).await.map(drop)
            });
        }
    }

    /// Recorded after the answer, batched; under overload it is only counted. It does not take the
    /// key: nothing was undertaken under it, and who asks again is judged again, by the same words.
    fn refuse(&self, mut intent: Box<NewCommand>, denied: Denied) -> CallFunctionError {
        intent.idempotency = None;
        let known = denied != Denied::NoGrant;
        let (command_id, at) = (known.then_some(intent.id), intent.created_at);
        metrics::counter!("ostler_calls_denied_total", "rule" => denied.rule()).increment(1);
        if !self.store.record_refusal(Refusal {
            command: *intent,
            rule: denied.rule(),
        }) {
            metrics::counter!("ostler_refusals_unrecorded_total").increment(1);
        }
        CallFunctionError::Denied { denied, command_id, at }
    }

    fn intent(
        &self,
        id: CommandId,
        caller: &Caller,
        request: &CallRequest,
        facts: &Facts,
        now: Timestamp,
    ) -> Box<NewCommand> {
        Box::new(NewCommand {
            id,
            product_id: facts.product_id(),
            device_id: request.call.device_id,
            by: By {
                client_id: caller.client_id,
                customer_id: judged_customer(caller, request),
                staff_id: caller.staff_id(),
            },
            right: None,
            function: request.call.function.clone(),
            argument: Arc::clone(&request.call.argument),
            reason: request.reason.clone(),
            idempotency: request.idempotency_key.as_ref().map(|key| Idempotency {
                key: key.as_str().to_owned(),
                body_digest: replay::body_digest(request),
            }),
            cool_down: Duration::ZERO,
            created_at: now,
            deadline_at: now + self.settings.call_attached + GIVE_UP_AFTER,
        })
    }
}

/// How long after the last possible answer a command without outcome is called unknown.
const GIVE_UP_AFTER: Duration = Duration::from_secs(15);

fn judged_customer(caller: &Caller, request: &CallRequest) -> Option<CustomerId> {
    match Title::of(caller, request.on_behalf_of) {
        Title::Customer(customer_id) => Some(customer_id),
        Title::Maker => None,
    }
}
