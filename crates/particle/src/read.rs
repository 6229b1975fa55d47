//! Reading a variable from the device. A read does not act, but it costs, and tells: it needs a
//! permit like a call.

use std::sync::Arc;
use std::time::Duration;

use ostler_app::device_cloud::ReadOutcome;
use ostler_core::id::CloudDeviceId;
use ostler_core::policy::ReadPermit;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Lost};
use crate::classify::{self, ReadReply};
use crate::connection::{Connection, Renewal, Unready};
use crate::request::{CloudRequest, Purpose};
use crate::token::Token;

impl From<Unready> for ReadOutcome {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Limited { retry_after } => Self::RateLimited { retry_after },
            Unready::CircuitOpen | Unready::CredentialRejected | Unready::ConnectionFailed => Self::Unavailable,
        }
    }
}

impl Connection {
    pub(crate) async fn read_variable(&self, permit: &ReadPermit, deadline: Duration) -> ReadOutcome {
        let expiry = Instant::now() + deadline;
        let path = self.device_path(permit.cloud_device_id());
        let request = CloudRequest::get(Purpose::Read, path.segment(permit.variable().as_str()));
        let ready = match timeout_at(expiry, self.ready(Purpose::Read)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(unready)) => return unready.into(),
            Err(_) => return ReadOutcome::Unavailable,
        };
        let (token, reused) = (ready.token.clone(), ready.is_reused());
        let departed_at = self.clock.instant();
        if permit.depart(departed_at).is_err() {
            return ReadOutcome::PermitLapsed;
        }
        let answer = match self.send(ready, &request, expiry).await {
            Ok(answer) => answer,
            Err(Lost::NeverLeft) if reused => return ReadOutcome::PermitLapsed,
            Err(Lost::NeverLeft | Lost::AfterDeparture | Lost::TooLarge) => return ReadOutcome::Unavailable,
            Err(Lost::Deadline) => return ReadOutcome::NoAnswer,
        };
        self.read_outcome_of(&answer, permit.cloud_device_id(), &token, departed_at)
            .await
    }

    async fn read_outcome_of(
        &self,
        answer: &Answer,
        device: &CloudDeviceId,
        token: &Arc<Token>,
        departed_at: std::time::Instant,
    ) -> ReadOutcome {
        match classify::read(answer.status.as_u16(), &answer.body) {
            ReadReply::Value(value) => ReadOutcome::Value(value),
            ReadReply::NotFound => ReadOutcome::VariableUnknown,
            ReadReply::Unavailable => ReadOutcome::Unavailable,
            ReadReply::Limited => ReadOutcome::RateLimited {
                retry_after: self.limit_remaining(),
            },
            ReadReply::TokenRefused => match self.renew(token).await {
                Renewal::Renewed => ReadOutcome::PermitLapsed,
                Renewal::Failed(unready) => unready.into(),
            },
            ReadReply::Silent if self.was_offline(device, answer, departed_at).await => ReadOutcome::DeviceOffline,
            ReadReply::Silent => ReadOutcome::NoAnswer,
        }
    }
}
