//! Requests of the maker's own business (lists, hooks, publishing), for which no permit is needed.
//! One is made again only where it provably did nothing: it never left, or its token was refused.

use std::sync::Arc;

use http::StatusCode;
use ostler_app::device_cloud::CloudError;
use tokio::time::timeout;

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
        let answer = timeout(self.request_timeout, self.attempt(request)).await;
        answer.unwrap_or_else(|_| {
            request.purpose.count_deadline();
            Err(CloudError::Unreachable)
        })
    }

    async fn attempt(&self, request: &CloudRequest) -> Result<Answer, CloudError> {
        for _ in 0..ATTEMPTS_MAX {
            let ready = self.ready(request.purpose).await?;
            let token = Arc::clone(&ready.token);
            let answer = match self.send(ready, request).await {
                Ok(answer) => answer,
                Err(Lost::NeverLeft) => continue,
                Err(Lost::AfterDeparture) => return Err(CloudError::Unreachable),
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
