//! Idempotency: one key is at most one call to the device (P6).
//!
//! Looked up before contract and policy: a replay tells what became of the caller's own command,
//! in its present state, and never sends anything.

use ostler_core::caller::Caller;
use ostler_core::secret::SecretDigest;
use ostler_store::{Command, KeyScope};

use super::{CallAnswer, CallFunctionError, CallRequest, Wait, judged_customer};
use crate::App;

impl App {
    pub(super) async fn replay(
        &self,
        caller: &Caller,
        request: &CallRequest,
    ) -> Result<Option<CallAnswer>, CallFunctionError> {
        let Some(key) = &request.idempotency_key else {
            return Ok(None);
        };
        let customer_id = judged_customer(caller, request);
        let call = &request.call;
        let scope = KeyScope {
            client_id: caller.client_id,
            customer_id,
            device_id: call.device_id,
            function: &call.function,
            key: key.as_str(),
        };
        // Boxed: calls without a key do not carry the statement's future along.
        let earlier = Box::pin(self.store.find_by_idempotency_key(scope, self.clock.now())).await?;
        earlier
            .map(|earlier| self.answer_replay(request, Box::new(earlier)))
            .transpose()
    }

    pub(super) fn answer_replay(
        &self,
        request: &CallRequest,
        earlier: Box<Command>,
    ) -> Result<CallAnswer, CallFunctionError> {
        let same_body = earlier
            .body_digest
            .is_some_and(|digest| digest.matches(&body_digest(request)));
        if !same_body {
            return Err(CallFunctionError::KeyReused);
        }
        match request.wait {
            Wait::ForOutcome if !earlier.state.is_settled() => {
                Err(CallFunctionError::KeyInFlight { command_id: earlier.id })
            }
            Wait::ForOutcome | Wait::ForAcceptance => Ok(CallAnswer::of(earlier)),
        }
    }
}

/// Client, customer, device and function are the key's scope; this is the rest of the request.
pub(super) fn body_digest(request: &CallRequest) -> SecretDigest {
    let reason = request.reason.as_deref().unwrap_or("");
    SecretDigest::of(&format!(
        "{}\n{}{reason}",
        request.call.argument.len(),
        request.call.argument
    ))
}
