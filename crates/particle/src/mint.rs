//! One request to the token endpoint, and what its answer proves (§2.2). Who may ask, and how
//! often, is decided in [`crate::lockout`] and [`crate::token`].

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ostler_core::port::Clock;
use secrecy::SecretString;
use tokio::time::timeout;

use crate::answer::Lost;
use crate::lockout::{Lockout, Standing};
use crate::pool::Pool;
use crate::request::{CloudRequest, Purpose};
use crate::wire;

/// A cloud: its connections, and the count of refused credentials that all products there share.
pub(crate) struct Site {
    pub pool: Arc<Pool>,
    pub lockout: Lockout,
}

pub(crate) struct Minted {
    pub token: SecretString,
    /// `None`: it does not expire.
    pub expires_in: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MintFault {
    #[error("the device cloud refused the credential")]
    Rejected,
    #[error("the credential is not tried now, lest this address be locked out")]
    HeldBack,
    #[error("the device cloud asks to mint less often")]
    Limited { retry_after: Option<Duration> },
    #[error("the token endpoint could not be reached, or its answer not be understood")]
    Unreachable,
}

impl Site {
    pub(crate) async fn mint(
        &self,
        fields: &[(&str, &str)],
        standing: Standing,
        clock: &dyn Clock,
        deadline: Duration,
    ) -> Result<Minted, MintFault> {
        let attempt = self.lockout.attempt(standing, clock.instant()).await;
        let attempt = attempt.map_err(|_| MintFault::HeldBack)?;
        let minted = timeout(deadline, self.ask(fields)).await;
        let minted = minted.unwrap_or_else(|_| {
            Purpose::Token.count_lost(Lost::Deadline);
            Err(MintFault::Unreachable)
        });
        match &minted {
            Ok(_) => attempt.accepted(),
            Err(MintFault::Rejected) => attempt.refused(clock.instant()),
            Err(MintFault::HeldBack | MintFault::Limited { .. } | MintFault::Unreachable) => drop(attempt),
        }
        metrics::counter!("ostler_cloud_token_mints_total", "result" => result_name(&minted)).increment(1);
        minted
    }

    async fn ask(&self, fields: &[(&str, &str)]) -> Result<Minted, MintFault> {
        let request = CloudRequest::token_form(fields);
        let lease = self.pool.lease().await.map_err(|_| {
            Purpose::Token.count_no_connection();
            MintFault::Unreachable
        })?;
        let answer = lease.send(request.build(None)).await.map_err(|lost| {
            Purpose::Token.count_lost(lost);
            MintFault::Unreachable
        })?;
        Purpose::Token.count_answer(answer.status);
        match answer.status.as_u16() {
            200 => answer
                .json::<wire::TokenReply>()
                .map(wire::TokenReply::minted)
                .map_err(|_| MintFault::Unreachable),
            429 | 529 => Err(MintFault::Limited {
                retry_after: answer.retry_after(),
            }),
            // Asking again with the same credential would get the same answer, and count.
            400..=499 if answer.status != StatusCode::REQUEST_TIMEOUT => Err(MintFault::Rejected),
            _ => Err(MintFault::Unreachable),
        }
    }
}

fn result_name(minted: &Result<Minted, MintFault>) -> &'static str {
    match minted {
        Ok(_) => "minted",
        Err(MintFault::Rejected) => "rejected",
        Err(MintFault::HeldBack) => "held-back",
        Err(MintFault::Limited { .. }) => "limited",
        Err(MintFault::Unreachable) => "unreachable",
    }
}
