//! Requests of the maker's own business (lists, hooks, publishing), for which no permit is needed.
//! One is made again only where it provably did nothing: it never left, or its token was refused.

use std::sync::Arc;

use http::StatusCode;
use ostler_app::device_cloud::CloudError;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Lost, Unreadable};
use crate::connection::{Connection, Renewal};
use crate::request::CloudRequest;

/// A stale connection, then a stale token, then the answer.
const ATTEMPTS_MAX: usize = 3;

impl From<Unreadable> for CloudError {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

impl Connection {
    /// The answer if it is a 2xx, within the request timeout.
    pub(crate) async fn exchange(&self, request: &CloudRequest) -> Result<Answer, CloudError> {
        let expiry = Instant::now() + self.request_timeout;
        for _ in 0..ATTEMPTS_MAX {
            let ready = timeout_at(expiry, self.ready(request.purpose)).await;
            let ready = ready.map_err(|_| CloudError::Unreachable)??;
            let token = Arc::clone(&ready.token);
            let answer = match self.send(ready, request, expiry).await {
                Ok(answer) => answer,
                Err(Lost::NeverLeft) => continue,
                Err(Lost::AfterDeparture | Lost::Deadline) => return Err(CloudError::Unreachable),
                Err(Lost::TooLarge) => return Err(CloudError::Unreadable),
            };
            if answer.status != StatusCode::UNAUTHORIZED {
                return self.judged(answer);
            }
            match self.renew(&token).await {
                Renewal::Renewed => {}
                Renewal::Failed(unready) => return Err(unready.into()),
            }
        }
        Err(CloudError::Unreachable)
    }

    fn judged(&self, answer: Answer) -> Result<Answer, CloudError> {
        match answer.status.as_u16() {
            200..=299 => Ok(answer),
            429 | 529 => Err(CloudError::RateLimited {
                retry_after: self.limit_remaining(),
            }),
            status => Err(CloudError::Refused { status }),
        }
    }
}
