//! What the adapter is built with: deadlines, back-off and limits. Every one has a default that
//! suits the real cloud; tests bring shorter ones.

use std::time::Duration;

use ostler_core::port::{Entropy, random_bytes};

#[derive(Debug, Clone)]
pub struct ParticleOptions {
    /// Name look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For everything but function calls, which bring their own.
    pub request_timeout: Duration,
    /// How long a connection that nobody uses is kept.
    pub pool_idle_timeout: Duration,
    pub pool_idle_max: usize,
    /// A token is minted anew this long before it expires.
    pub token_early_renewal: Duration,
    /// A token that was minted because the cloud refused the one before, and is refused as well,
    /// is not replaced again before this has passed.
    pub token_remint_pause: Duration,
    /// How long to leave a credential alone that the token endpoint refused; doubles each time.
    pub rejected_credential_pause: Duration,
    /// Connection failures and 5xx in a row, after which the circuit opens.
    pub breaker_threshold: u32,
    pub breaker_pause: Backoff,
    /// After a 429 without `Retry-After` (§14.8).
    pub rate_limit_pause: Backoff,
    pub stream: StreamOptions,
}

#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// Silence for longer than this means that the stream is dead (§8.1).
    pub idle_timeout: Duration,
    pub reconnect: Backoff,
    /// After repeated failures, no two attempts to open are closer than this (§14.9).
    pub open_spacing: Duration,
    /// Items that wait for the reader. When it is full, the socket is no longer read.
    pub queue: usize,
}

impl Default for ParticleOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            pool_idle_timeout: Duration::from_secs(55),
            pool_idle_max: 1024,
            token_early_renewal: Duration::from_secs(600),
            token_remint_pause: Duration::from_secs(60),
            rejected_credential_pause: Duration::from_secs(300),
            breaker_threshold: 5,
            breaker_pause: Backoff {
                first: Duration::from_secs(1),
                most: Duration::from_secs(30),
            },
            rate_limit_pause: Backoff {
                first: Duration::from_secs(5),
                most: Duration::from_secs(60),
            },
            stream: StreamOptions::default(),
        }
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(75),
            reconnect: Backoff {
                first: Duration::from_secs(1),
                most: Duration::from_secs(60),
            },
            open_spacing: Duration::from_secs(5),
            queue: 1024,
        }
    }
}

/// Pauses that double from `first` to `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Backoff {
    /// The longest pause before the attempt that follows `failures` failures.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }

    /// Full jitter: anything up to the ceiling, so that many who failed together do not come
    /// back together.
    pub fn jittered(&self, failures: u32, entropy: &dyn Entropy) -> Duration {
        let share = u32::from_be_bytes(random_bytes(entropy));
        self.ceiling(failures).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// Between half of the ceiling and all of it: jitter for a pause that must be one.
    pub fn at_least_half(&self, failures: u32, entropy: &dyn Entropy) -> Duration {
        let ceiling = self.ceiling(failures);
        let share = u32::from_be_bytes(random_bytes(entropy));
        ceiling / 2 + (ceiling / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Constant(u8);
    impl Entropy for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn pauses_double_up_to_the_most_and_never_overflow() {
        let backoff = Backoff {
            first: Duration::from_secs(5),
            most: Duration::from_secs(60),
        };
        let ceilings = [0, 1, 2, 3, 4, 5, u32::MAX].map(|failures| backoff.ceiling(failures).as_secs());
        assert_eq!(ceilings, [5, 5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let backoff = Backoff {
            first: Duration::from_secs(8),
            most: Duration::from_secs(60),
        };
        assert_eq!(backoff.jittered(1, &Constant(0)), Duration::ZERO);
        assert_eq!(backoff.jittered(1, &Constant(0xff)), Duration::from_secs(8));
        assert_eq!(backoff.at_least_half(1, &Constant(0)), Duration::from_secs(4));
        assert_eq!(backoff.at_least_half(1, &Constant(0xff)), Duration::from_secs(8));
    }
}
