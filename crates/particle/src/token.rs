//! The token of one connection: minted once for all who wait, renewed before it expires, and
//! minted anew when the cloud refuses it.
//!
//! A mint runs in a task of its own, so that a caller who goes away neither loses the token nor
//! makes the next one ask again. A credential that the token endpoint refuses is left alone.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::HeaderValue;
use ostler_core::port::{Clock, Entropy};
use ostler_core::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tracing::error;

use crate::lockout::Standing;
use crate::mint::{MintFault, Minted, Site};
use crate::options::{Backoff, ParticleOptions};

/// A bearer token as it is sent.
pub(crate) struct Token {
    header: HeaderValue,
    lifetime: Option<Lifetime>,
    minted_at: Instant,
    /// Why it was minted, and whether the cloud has accepted it since.
    replaces_refused: bool,
    accepted: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Lifetime {
    renew_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("holds characters that no token has")]
pub(crate) struct NotAToken;

impl Token {
    pub(crate) fn lasting(token: &SecretString, now: Instant) -> Result<Self, NotAToken> {
        Ok(Self {
            header: bearer(token)?,
            lifetime: None,
            minted_at: now,
            replaces_refused: false,
            accepted: AtomicBool::new(false),
        })
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }

    pub(crate) fn accepted(&self) {
        // Looked at first, so that calls on many cores do not fight for the cache line.
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

pub(crate) fn bearer(token: &SecretString) -> Result<HeaderValue, NotAToken> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| NotAToken)?;
    header.set_sensitive(true);
    Ok(header)
}

/// An OAuth client of the product.
pub(crate) struct ClientCredential {
    pub client_id: String,
    pub client_secret: SecretString,
}

pub(crate) struct TokenCell {
    credential: ClientCredential,
    site: Arc<Site>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    early_renewal: Duration,
    remint_pause: Duration,
    rejected_pause: Duration,
    limit_pause: Backoff,
    mint_deadline: Duration,
    current: RwLock<Option<Arc<Token>>>,
    /// Completed mints, refused ones included: who waited while one completed shares its result.
    completed: AtomicU64,
    renewing: AtomicBool,
    flight: Mutex<Flight>,
}

/// What the one who mints knows.
#[derive(Default)]
struct Flight {
    last: Option<Result<Arc<Token>, MintFault>>,
    rejections: u32,
    hold: Option<Hold>,
    proven: bool,
}

#[derive(Clone, Copy)]
struct Hold {
    until: Instant,
    fault: MintFault,
}

impl Hold {
    /// The fault that still stands at `now`.
    fn at(self, now: Instant) -> Option<MintFault> {
        if self.until <= now {
            return None;
        }
        Some(match self.fault {
            MintFault::Limited { .. } => MintFault::Limited {
                retry_after: Some(self.until - now),
            },
            fault @ (MintFault::Rejected | MintFault::HeldBack | MintFault::Unreachable) => fault,
        })
    }
}

/// After so many refusals only a new credential helps.
const REJECTIONS_MAX: u32 = 4;

/// Between attempts to renew a token that still works.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// Why somebody asks for a mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Missing,
    Due,
    Refused,
}

impl TokenCell {
    pub(crate) fn new(
        credential: ClientCredential,
        site: Arc<Site>,
        options: &ParticleOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            credential,
            site,
            clock,
            entropy,
            early_renewal: options.token_early_renewal,
            remint_pause: options.token_remint_pause,
            rejected_pause: options.rejected_credential_pause,
            limit_pause: options.rate_limit_pause,
            mint_deadline: options.request_timeout,
            current: RwLock::default(),
            completed: AtomicU64::new(0),
            renewing: AtomicBool::new(false),
            flight: Mutex::default(),
        }
    }

    pub(crate) async fn token(self: &Arc<Self>) -> Result<Arc<Token>, MintFault> {
        // Before `current` is read: a mint that completes in between is then noticed.
        let seen = self.completed.load(Ordering::Acquire);
        if let Some(token) = self.current() {
            let now = self.clock.now();
            match token.lifetime {
                None => return Ok(token),
                Some(lifetime) if now < lifetime.renew_at => return Ok(token),
                Some(lifetime) if now < lifetime.expires_at => {
                    self.renew_in_background(seen);
                    return Ok(token);
                }
                Some(_) => {}
            }
        }
        self.mint_shared(seen, Cause::Missing).await
    }

    /// The cloud answered 401 to `refused`. `Ok` if another token is there now.
    pub(crate) async fn replace(self: &Arc<Self>, refused: &Arc<Token>) -> Result<(), MintFault> {
        let seen = self.completed.load(Ordering::Acquire);
        match self.current() {
            Some(current) if !Arc::ptr_eq(&current, refused) => return Ok(()),
            Some(_) | None => {}
        }
        let fresh = self.clock.instant().duration_since(refused.minted_at) < self.remint_pause;
        if refused.replaces_refused && !refused.accepted.load(Ordering::Relaxed) && fresh {
            return Err(MintFault::Rejected);
        }
        self.mint_shared(seen, Cause::Refused).await.map(|_| ())
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn renew_in_background(self: &Arc<Self>, seen: u64) {
        if self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let cell = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(fault) = cell.fly(seen, Cause::Due).await {
                tracing::warn!(%fault, "the device cloud's token could not be renewed early");
                tokio::time::sleep(RENEWAL_PAUSE).await;
            }
            cell.renewing.store(false, Ordering::Release);
        });
    }

    async fn mint_shared(self: &Arc<Self>, seen: u64, cause: Cause) -> Result<Arc<Token>, MintFault> {
        let cell = Arc::clone(self);
        let flight = tokio::spawn(async move { cell.fly(seen, cause).await });
        // A task that panicked or was ended with the runtime minted nothing.
        flight.await.unwrap_or(Err(MintFault::Unreachable))
    }

    async fn fly(&self, seen: u64, cause: Cause) -> Result<Arc<Token>, MintFault> {
        let mut flight = self.flight.lock().await;
        if let Some(last) = &flight.last
            && self.completed.load(Ordering::Acquire) != seen
        {
            return last.clone();
        }
        if let Some(fault) = flight.hold.and_then(|hold| hold.at(self.clock.instant())) {
            return Err(fault);
        }
        let result = self.mint(&mut flight, cause).await;
        flight.last = Some(result.clone());
        self.completed.fetch_add(1, Ordering::AcqRel);
        result
    }

    async fn mint(&self, flight: &mut Flight, cause: Cause) -> Result<Arc<Token>, MintFault> {
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", self.credential.client_id.as_str()),
            ("client_secret", self.credential.client_secret.expose_secret()),
        ];
        let standing = if flight.proven {
            Standing::Proven
        } else {
            Standing::Unproven
        };
        let asked_at = self.clock.now();
        let minted = self
            .site
            .mint(&fields, standing, &*self.clock, self.mint_deadline)
            .await;
        match minted.and_then(|minted| self.accept(&minted, asked_at, cause)) {
            Ok(token) => {
                *flight = Flight {
                    proven: true,
                    ..Flight::default()
                };
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
                Ok(token)
            }
            Err(fault) => {
                self.hold_after(flight, fault);
                Err(fault)
            }
        }
    }

    fn accept(&self, minted: &Minted, asked_at: Timestamp, cause: Cause) -> Result<Arc<Token>, MintFault> {
        let lifetime = minted.expires_in.map(|lasts| Lifetime {
            // A token that lives shorter than twice the early renewal is renewed at its half.
            renew_at: asked_at + lasts - self.early_renewal.min(lasts / 2),
            expires_at: asked_at + lasts,
        });
        let token = Token::lasting(&minted.token, self.clock.instant()).map_err(|_| MintFault::Unreachable)?;
        Ok(Arc::new(Token {
            lifetime,
            replaces_refused: cause == Cause::Refused,
            ..token
        }))
    }

    fn hold_after(&self, flight: &mut Flight, fault: MintFault) {
        let pause = match fault {
            MintFault::Rejected => {
                flight.rejections += 1;
                self.alarm();
                self.rejected_pause(flight.rejections)
            }
            MintFault::Limited { retry_after } => {
                retry_after.unwrap_or_else(|| self.limit_pause.at_least_half(1, &*self.entropy))
            }
            MintFault::HeldBack | MintFault::Unreachable => return,
        };
        let until = self.clock.instant() + pause;
        flight.hold = Some(Hold { until, fault });
    }

    fn alarm(&self) {
        let client_id = &self.credential.client_id;
        error!(
            client.id = %client_id,
            "the device cloud refuses client {client_id}; it is left alone for a while, lest this address be locked out"
        );
    }

    fn rejected_pause(&self, rejections: u32) -> Duration {
        const FOREVER: Duration = Duration::from_secs(3650 * 24 * 3600);
        if rejections < REJECTIONS_MAX {
            self.rejected_pause.saturating_mul(1 << (rejections - 1))
        } else {
            FOREVER
        }
    }
}
