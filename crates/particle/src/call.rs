//! Calling a function: one request, at most once, and a word for what is proven afterwards.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use ostler_core::command::{CallOutcome, CloudRefusal, NotSent};
use ostler_core::id::CloudDeviceId;
use ostler_core::policy::CallPermit;
use ostler_core::time::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::{Answer, Lost};
use crate::classify::{self, CallReply};
use crate::connection::{Connection, Renewal, Unready};
use crate::request::{CloudRequest, Purpose};
use crate::token::Token;
use crate::wire;

impl From<Unready> for CallOutcome {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::CircuitOpen => Self::NotSent(NotSent::CircuitOpen),
            Unready::Limited { retry_after } => Self::RateLimited { retry_after },
            Unready::CredentialRejected => Self::NotSent(NotSent::CredentialRejected),
            Unready::ConnectionFailed => Self::NotSent(NotSent::ConnectionFailed),
        }
    }
}

/// The request did not act, and may be made again, but its permit is spent: only policy gives
/// another.
const JUDGE_AGAIN: CallOutcome = CallOutcome::NotSent(NotSent::PermitLapsed);

/// How long a second look at the device may take. Somebody is waiting.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

impl Connection {
    pub(crate) async fn call_function(&self, permit: &CallPermit, deadline: Duration) -> CallOutcome {
        let expiry = Instant::now() + deadline;
        let request = self.function_request(permit);
        let ready = match timeout_at(expiry, self.ready(Purpose::Call)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(unready)) => return unready.into(),
            Err(_) => return CallOutcome::NotSent(NotSent::ConnectionFailed),
        };
        let (token, reused) = (ready.token.clone(), ready.is_reused());
        let departed_at = self.clock.instant();
        if permit.depart(departed_at).is_err() {
            return JUDGE_AGAIN;
        }
        // From here on, silence proves nothing.
        let answer = match self.send(ready, &request, expiry).await {
            Ok(answer) => answer,
            Err(Lost::NeverLeft) if reused => return JUDGE_AGAIN,
            Err(Lost::NeverLeft) => return CallOutcome::NotSent(NotSent::ConnectionFailed),
            Err(Lost::AfterDeparture | Lost::TooLarge | Lost::Deadline) => return CallOutcome::Unknown,
        };
        self.outcome_of(&answer, permit.cloud_device_id(), &token, departed_at)
            .await
    }

    async fn outcome_of(
        &self,
        answer: &Answer,
        device: &CloudDeviceId,
        token: &Arc<Token>,
        departed_at: std::time::Instant,
    ) -> CallOutcome {
        match classify::call(answer.status.as_u16(), &answer.body) {
            CallReply::Returned(value) => CallOutcome::Returned(value),
            CallReply::Refused(refusal) => CallOutcome::Refused(refusal),
            CallReply::Limited => CallOutcome::RateLimited {
                retry_after: self.limit_remaining(),
            },
            CallReply::Uncertain => CallOutcome::Unknown,
            // What is rare is boxed: every call would carry its future along.
            CallReply::NotFound => CallOutcome::Refused(Box::pin(self.what_was_not_found(device)).await),
            CallReply::TokenRefused => match Box::pin(self.renew(token)).await {
                Renewal::Renewed => JUDGE_AGAIN,
                Renewal::Failed(Unready::CredentialRejected) => CallOutcome::Refused(CloudRefusal::CredentialRejected),
                Renewal::Failed(unready) => unready.into(),
            },
            CallReply::Silent if Box::pin(self.was_offline(device, answer, departed_at)).await => {
                CallOutcome::DeviceOffline
            }
            CallReply::Silent => CallOutcome::Unknown,
        }
    }

    fn function_request(&self, permit: &CallPermit) -> CloudRequest {
        let path = self.device_path(permit.cloud_device_id());
        let path = path.segment(permit.call().function.as_str());
        let body = wire::FunctionRequest {
            arg: &permit.call().argument,
        };
        CloudRequest::json(Purpose::Call, Method::POST, path, &body)
    }

    /// Function and device are missed in the same words; whether the device is there tells which.
    async fn what_was_not_found(&self, id: &CloudDeviceId) -> CloudRefusal {
        match timeout(LOOK_WITHIN, self.knows_device(id)).await {
            Ok(Some(false)) => CloudRefusal::DeviceUnknown,
            Ok(Some(true) | None) | Err(_) => CloudRefusal::FunctionUnknown,
        }
    }

    /// Whether the cloud knows that the device was not connected when we sent: it is not now, and
    /// has not been heard since (design.md §4). Reads the device once.
    pub(crate) async fn was_offline(
        &self,
        id: &CloudDeviceId,
        answer: &Answer,
        departed_at: std::time::Instant,
    ) -> bool {
        // The answer's own `Date`, cut off to the second, bounds the moment of sending from below;
        // what earlier answers taught may bound it closer.
        let waited = self.clock.instant().duration_since(departed_at);
        let by_date = answer.date().map(|date| date - waited);
        let Some(sent_at) = by_date.max(self.cloud_clock.reached_by(departed_at)) else {
            return false;
        };
        match timeout(LOOK_WITHIN, self.device(id)).await {
            Ok(Ok(device)) => proves_offline(&device, sent_at),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

fn proves_offline(device: &wire::Device, sent_at: Timestamp) -> bool {
    let says_so = device.online.or(device.connected) == Some(false) && device.connected != Some(true);
    let last_heard: Option<Timestamp> = device.last_heard.as_ref().and_then(|text| text.parse().ok());
    says_so && last_heard.is_some_and(|last_heard| last_heard < sent_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_is_proven_or_not_said() {
        let sent_at: Timestamp = "2030-05-01T10:00:00.000Z".parse().unwrap();
        let table = [
            (
                r#"{"online":false,"connected":false,"last_heard":"2030-05-01T09:59:59.999Z"}"#,
                true,
            ),
            (r#"{"online":false,"last_heard":"2030-05-01T09:00:00Z"}"#, true),
            (r#"{"connected":false,"last_heard":"2030-05-01T09:00:00Z"}"#, true),
            (r#"{"online":false,"last_heard":"2030-05-01T10:00:00.000Z"}"#, false),
            (
                r#"{"online":false,"connected":true,"last_heard":"2030-05-01T09:00:00Z"}"#,
                false,
            ),
            (r#"{"online":true,"last_heard":"2030-05-01T09:00:00Z"}"#, false),
            (r#"{"online":false}"#, false),
            (r#"{"online":false,"last_heard":null}"#, false),
            (r#"{"last_heard":"2030-05-01T09:00:00Z"}"#, false),
        ];
        for (device, expected) in table {
            let read: wire::Device = serde_json::from_str(device).unwrap();
            assert_eq!(proves_offline(&read, sent_at), expected, "{device}");
        }
    }
}
