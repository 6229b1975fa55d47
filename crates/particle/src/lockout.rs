//! Keeps us from being locked out: ten refused token requests in a row shut this address out for
//! half an hour, with every product and every good credential on it (§2.2).
//!
//! Token requests to one cloud go one after the other, so that the count is exact. After several
//! refusals in a row only credentials that have been accepted before are tried.

use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};

/// Leaves room for refusals that others on this address, or a process before us, collected.
const REFUSALS_MAX: u32 = 6;

/// The vendor's half hour, and a little.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(31 * 60);

#[derive(Default)]
pub(crate) struct Lockout(Mutex<Refusals>);

#[derive(Default)]
struct Refusals {
    in_a_row: u32,
    last: Option<Instant>,
}

/// Whether the cloud has ever accepted the credential that is to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Proven,
    Unproven,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many credentials were refused in a row; another try could lock this address out")]
pub(crate) struct HeldBack;

impl Lockout {
    /// Waits for its turn. The attempt must be reported before the next one may begin.
    pub(crate) async fn attempt(&self, standing: Standing, now: Instant) -> Result<Attempt<'_>, HeldBack> {
        let mut refusals = self.0.lock().await;
        if refusals
            .last
            .is_some_and(|last| now.duration_since(last) >= FORGOTTEN_AFTER)
        {
            *refusals = Refusals::default();
        }
        if standing == Standing::Unproven && refusals.in_a_row >= REFUSALS_MAX {
            return Err(HeldBack);
        }
        Ok(Attempt(refusals))
    }
}

pub(crate) struct Attempt<'l>(MutexGuard<'l, Refusals>);

impl Attempt<'_> {
    pub(crate) fn accepted(mut self) {
        *self.0 = Refusals::default();
    }

    pub(crate) fn refused(mut self, now: Instant) {
        self.0.in_a_row += 1;
        self.0.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[tokio::test]
    async fn unproven_credentials_wait_before_the_address_is_locked_out() {
        let (lockout, now) = (Lockout::default(), start());
        for _ in 0..REFUSALS_MAX {
            lockout.attempt(Standing::Unproven, now).await.unwrap().refused(now);
        }
        assert!(lockout.attempt(Standing::Unproven, now).await.is_err());
        assert!(lockout.attempt(Standing::Unproven, now + FORGOTTEN_AFTER).await.is_ok());
    }

    #[tokio::test]
    async fn a_proven_credential_is_tried_and_clears_the_count() {
        let (lockout, now) = (Lockout::default(), start());
        for _ in 0..REFUSALS_MAX {
            lockout.attempt(Standing::Unproven, now).await.unwrap().refused(now);
        }
        lockout.attempt(Standing::Proven, now).await.unwrap().accepted();
        assert!(lockout.attempt(Standing::Unproven, now).await.is_ok());
    }
}
