//! How one product is reached: its address, its credential, and what we know of the cloud's
//! health. Everything that leaves for the product's cloud goes through [`Connection::ready`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ostler_app::device_cloud::{CloudCredential, CloudError};
use ostler_core::port::{Clock, Entropy};
use tokio::time::timeout_at;
use tracing::error;

use crate::address::CloudProduct;
use crate::answer::{self, Answer, Lost};
use crate::breaker::{Breaker, Pass};
use crate::cloud_clock::CloudClock;
use crate::mint::{MintFault, Site};
use crate::options::ParticleOptions;
use crate::pool::{Lease, Stream};
use crate::rate_gate::RateGate;
use crate::request::{CloudRequest, Purpose};
use crate::token::{ClientCredential, NotAToken, Token, TokenCell};

pub(crate) struct Connection {
    pub product: CloudProduct,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub request_timeout: Duration,
    pub cloud_clock: CloudClock,
    site: Arc<Site>,
    tokens: Tokens,
    breaker: Breaker,
    gate: RateGate,
    alarmed: AtomicBool,
}

enum Tokens {
    Lasting(Arc<Token>),
    Minted(Arc<TokenCell>),
}

/// Everything that a request needs before it may leave: a token, a live connection, and nobody
/// who asks us to wait.
pub(crate) struct Ready<'c> {
    pub token: Arc<Token>,
    lease: Lease,
    pass: Pass<'c>,
}

impl Ready<'_> {
    /// Whether its connection waited in the pool, where the peer may have closed it unnoticed.
    pub(crate) fn is_reused(&self) -> bool {
        self.lease.reused
    }
}

/// Why nothing can leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unready {
    #[error("the device cloud failed repeatedly")]
    CircuitOpen,
    #[error("the device cloud's limit was reached")]
    Limited { retry_after: Option<Duration> },
    #[error("no valid credential for the device cloud could be had")]
    CredentialRejected,
    #[error("the device cloud could not be reached")]
    ConnectionFailed,
}

impl From<MintFault> for Unready {
    fn from(fault: MintFault) -> Self {
        match fault {
            MintFault::Rejected | MintFault::HeldBack => Self::CredentialRejected,
            MintFault::Limited { retry_after } => Self::Limited { retry_after },
            MintFault::Unreachable => Self::ConnectionFailed,
        }
    }
}

impl From<Unready> for CloudError {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::CircuitOpen | Unready::ConnectionFailed => Self::Unreachable,
            Unready::Limited { retry_after } => Self::RateLimited { retry_after },
            Unready::CredentialRejected => Self::CredentialRejected,
        }
    }
}

/// What could be done about a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Another token is there; the request, which did not act, may be made again.
    Renewed,
    Failed(Unready),
}

impl Connection {
    pub(crate) fn new(
        product: CloudProduct,
        site: Arc<Site>,
        credential: CloudCredential,
        options: &ParticleOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, NotAToken> {
        let tokens = match credential {
            CloudCredential::Token(token) => Tokens::Lasting(Arc::new(Token::lasting(&token, clock.instant())?)),
            CloudCredential::Client {
                client_id,
                client_secret,
            } => {
                let credential = ClientCredential {
                    client_id,
                    client_secret,
                };
                let cell = TokenCell::new(
                    credential,
                    Arc::clone(&site),
                    options,
                    Arc::clone(&clock),
                    Arc::clone(&entropy),
                );
                Tokens::Minted(Arc::new(cell))
            }
        };
        let cloud_clock = CloudClock::new(clock.instant());
        Ok(Self {
            product,
            cloud_clock,
            clock,
            entropy,
            request_timeout: options.request_timeout,
            site,
            tokens,
            breaker: Breaker::new(options.breaker_threshold, options.breaker_pause),
            gate: RateGate::new(options.rate_limit_pause),
            alarmed: AtomicBool::new(false),
        })
    }

    /// Gets everything ready; afterwards nothing slow lies between the caller and its first byte.
    pub(crate) async fn ready(&self, purpose: Purpose) -> Result<Ready<'_>, Unready> {
        let now = self.clock.instant();
        self.gate.admit(now).map_err(|limited| Unready::Limited {
            retry_after: Some(limited.retry_after),
        })?;
        let pass = self.breaker.admit(now).map_err(|_| Unready::CircuitOpen)?;
        let token = match &self.tokens {
            Tokens::Lasting(token) => Ok(Arc::clone(token)),
            Tokens::Minted(cell) => cell.token().await,
        };
        let token = match token {
            Ok(token) => token,
            Err(fault) => {
                if fault == MintFault::Unreachable {
                    pass.failed(self.clock.instant(), &*self.entropy);
                }
                return Err(fault.into());
            }
        };
        match self.site.pool.lease().await {
            Ok(lease) => Ok(Ready { token, lease, pass }),
            Err(_) => {
                purpose.count_no_connection();
                pass.failed(self.clock.instant(), &*self.entropy);
                Err(Unready::ConnectionFailed)
            }
        }
    }

    /// Sends once, and learns from the answer how the cloud is.
    pub(crate) async fn send(
        &self,
        ready: Ready<'_>,
        request: &CloudRequest,
        expiry: tokio::time::Instant,
    ) -> Result<Answer, Lost> {
        let Ready { token, lease, pass } = ready;
        let departed_at = self.clock.instant();
        let answer = timeout_at(expiry, lease.send(request.build(Some(token.header())))).await;
        let answer = answer.unwrap_or(Err(Lost::Deadline));
        match &answer {
            Ok(answer) => {
                let now = self.clock.instant();
                request.purpose.count_answer(answer.status);
                if let Some(date) = answer.date() {
                    self.cloud_clock.observe(date, departed_at, now);
                }
                self.learn(answer.status, answer.retry_after(), &token, pass, now);
            }
            Err(lost) => self.learn_of_loss(*lost, request.purpose, departed_at, pass),
        }
        answer
    }

    /// As [`Self::send`], but the answer goes on.
    pub(crate) async fn open_stream(
        &self,
        ready: Ready<'_>,
        request: &CloudRequest,
        expiry: tokio::time::Instant,
    ) -> Result<Stream, Lost> {
        let Ready { token, lease, pass } = ready;
        let departed_at = self.clock.instant();
        let stream = timeout_at(expiry, lease.open_stream(request.build(Some(token.header())))).await;
        let stream = stream.unwrap_or(Err(Lost::Deadline));
        match &stream {
            Ok(stream) => {
                let head = &stream.response;
                request.purpose.count_answer(head.status());
                let now = self.clock.instant();
                self.learn(head.status(), answer::retry_after(head.headers()), &token, pass, now);
            }
            Err(lost) => self.learn_of_loss(*lost, request.purpose, departed_at, pass),
        }
        stream
    }

    fn learn(&self, status: http::StatusCode, asked: Option<Duration>, token: &Token, pass: Pass<'_>, now: Instant) {
        match status.as_u16() {
            429 | 529 => {
                self.gate.limited(now, asked, &*self.entropy);
                pass.succeeded();
            }
            500..=599 => pass.failed(now, &*self.entropy),
            401 => pass.succeeded(),
            _ => {
                token.accepted();
                self.gate.passed(now);
                pass.succeeded();
            }
        }
    }

    fn learn_of_loss(&self, lost: Lost, purpose: Purpose, departed_at: Instant, pass: Pass<'_>) {
        purpose.count_lost(lost);
        let now = self.clock.instant();
        let says_nothing = match lost {
            // An idle connection that had gone stale.
            Lost::NeverLeft => true,
            Lost::Deadline => now.duration_since(departed_at) < purpose.patience(),
            Lost::AfterDeparture | Lost::TooLarge => false,
        };
        if !says_nothing {
            pass.failed(now, &*self.entropy);
        }
    }

    /// How long the cloud's limit still closes the way.
    pub(crate) fn limit_remaining(&self) -> Option<Duration> {
        let limited = self.gate.admit(self.clock.instant()).err()?;
        Some(limited.retry_after)
    }

    /// The cloud answered 401: the request did not act. Mints anew, once, where that can help.
    pub(crate) async fn renew(&self, refused: &Arc<Token>) -> Renewal {
        let replaced = match &self.tokens {
            Tokens::Lasting(_) => Err(MintFault::Rejected),
            Tokens::Minted(cell) => cell.replace(refused).await,
        };
        match replaced {
            Ok(()) => Renewal::Renewed,
            Err(fault) => {
                if fault == MintFault::Rejected {
                    self.alarm();
                }
                Renewal::Failed(fault.into())
            }
        }
    }

    /// Once per connection: the next credential is a new one.
    fn alarm(&self) {
        if !self.alarmed.swap(true, Ordering::Relaxed) {
            error!(
                cloud.product = %self.product,
                "the device cloud refuses the credential of product {}: connect it anew", self.product
            );
        }
    }
}
