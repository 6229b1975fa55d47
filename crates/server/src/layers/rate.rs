//! How many requests one address or one caller may send, and the header fields that say so
//! (draft-ietf-httpapi-ratelimit-headers-10).
//!
//! Who shows no token is charged to the address, by the frame. Who shows one is charged as a caller
//! by whoever looks the token up, or, if it is bad, to the address. So a maker's server behind one
//! address is not throttled for being busy, and guessing tokens is.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use ostler_core::id::{ClientId, CustomerId, StaffId};

use super::address::ClientAddress;
use crate::config::Limits;
use crate::problem::{Code, Problem, whole_seconds};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const WINDOW: Duration = Duration::from_secs(60);

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

pub struct RateLimits {
    addresses: Option<Limit<IpAddr>>,
    callers: Option<Limit<Counted>>,
}

/// By whom requests are counted: a person over all clients, a machine by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    Customer(CustomerId),
    Staff(StaffId),
    Machine(ClientId),
}

impl RateLimits {
    pub fn new(limits: &Limits) -> Self {
        Self {
            addresses: Limit::new("address", limits.requests_per_minute_per_address),
            callers: Limit::new("caller", limits.requests_per_minute_per_caller),
        }
    }

    pub fn charge_address(&self, address: ClientAddress, slot: &RateSlot) -> Result<(), Problem> {
        self.addresses
            .as_ref()
            .map_or(Ok(()), |limit| limit.charge(&address.counted(), slot))
    }

    pub fn charge_caller(&self, caller: Counted, slot: &RateSlot) -> Result<(), Problem> {
        self.callers
            .as_ref()
            .map_or(Ok(()), |limit| limit.charge(&caller, slot))
    }

    /// Forgets those whose allowance is whole again. Called once a minute: without it, memory would
    /// grow with every address ever seen.
    pub fn forget_idle(&self) {
        self.addresses.iter().for_each(Limit::forget_idle);
        self.callers.iter().for_each(Limit::forget_idle);
    }
}

struct Limit<K: Hash + Eq + Clone> {
    policy: &'static str,
    quota: NonZeroU32,
    limiter: Keyed<K>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// Zero requests mean no limit.
    fn new(policy: &'static str, requests_per_minute: u32) -> Option<Self> {
        let quota = NonZeroU32::new(requests_per_minute)?;
        let limiter = RateLimiter::keyed(Quota::per_minute(quota)).with_middleware();
        Some(Self { policy, quota, limiter })
    }

    fn charge(&self, key: &K, slot: &RateSlot) -> Result<(), Problem> {
        match self.limiter.check_key(key) {
            Ok(snapshot) => {
                slot.set(self.standing(snapshot.remaining_burst_capacity()));
                Ok(())
            }
            Err(refused) => {
                slot.set(self.standing(0));
                let wait = refused.wait_time_from(self.limiter.clock().now());
                let detail = format!("More than {} requests in a minute for one {}.", self.quota, self.policy);
                Err(Problem::new(Code::RateLimited).detail(detail).retry_after(wait))
            }
        }
    }

    fn standing(&self, remaining: u32) -> Standing {
        let quota = self.quota.get();
        let until_whole = WINDOW * quota.saturating_sub(remaining) / quota;
        Standing {
            policy: self.policy,
            quota,
            remaining,
            until_whole,
        }
    }

    fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// What is left of an allowance after a request.
#[derive(Debug, Clone, Copy)]
struct Standing {
    policy: &'static str,
    quota: u32,
    remaining: u32,
    until_whole: Duration,
}

/// Travels with a request, so that whoever charges it can have the answer say how much is left. The
/// last charge counts.
#[derive(Clone, Default)]
pub struct RateSlot(Arc<Mutex<Option<Standing>>>);

impl RateSlot {
    fn set(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
    }

    pub(super) fn write_fields(&self, headers: &mut HeaderMap) {
        let standing = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Standing {
            policy,
            quota,
            remaining,
            until_whole,
        }) = standing
        else {
            return;
        };
        let window = WINDOW.as_secs();
        let until_whole = whole_seconds(until_whole);
        for (name, text) in [
            (RATE_LIMIT_POLICY, format!("\"{policy}\";q={quota};w={window}")),
            (RATE_LIMIT, format!("\"{policy}\";r={remaining};t={until_whole}")),
        ] {
            headers.insert(name, HeaderValue::try_from(text).expect("names and numbers are ASCII"));
        }
    }
}

pub(super) fn is_anonymous(request: &Request) -> bool {
    // The operator's own checks must not lose to whoever shares an address with them.
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
    !is_probe && !request.headers().contains_key(AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_allowance_names_the_limit_and_when_to_come_back() {
        let limit = Limit::new("caller", 2).unwrap();
        let slot = RateSlot::default();
        let key: Box<str> = "cus_1".into();
        limit.charge(&key, &slot).unwrap();
        let mut headers = HeaderMap::new();
        slot.write_fields(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"caller\";q=2;w=60");
        assert_eq!(headers["ratelimit"], "\"caller\";r=1;t=30");

        limit.charge(&key, &slot).unwrap();
        assert_eq!(limit.charge(&key, &slot).unwrap_err().code(), Code::RateLimited);
        slot.write_fields(&mut headers);
        assert_eq!(headers["ratelimit"], "\"caller\";r=0;t=60");
        limit.charge(&"cus_2".into(), &slot).unwrap();
    }

    #[test]
    fn zero_means_no_limit() {
        assert!(Limit::<Box<str>>::new("caller", 0).is_none());
    }
}
