//! Who is asking, and whether the token carries the scope that an operation needs (RFC 6750).
//!
//! A handler that takes `caller: Scoped<DevicesRead>` cannot run without it, so no handler checks a
//! scope. Whether the caller may do this to that device is policy's business, not the token's.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use ostler_app::identity::AuthenticateError;
use ostler_core::caller::{Caller, Principal};
use ostler_core::scope::Scope;

use crate::error::{ApiError, Refusal, from_store};
use crate::layers::address::ClientAddress;
use crate::layers::rate::{Counted, RateSlot};
use crate::problem::{Code, Place, Problem};
use crate::state::ServerState;

/// A caller whose token carries the scope `S`.
#[derive(Debug)]
pub struct Scoped<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

impl<S> Deref for Scoped<S> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// Names a scope in a handler's signature.
pub trait RequiredScope {
    const SCOPE: Scope;
}

macro_rules! required_scopes {
    ($($name:ident),+ $(,)?) => {
        $(
            #[derive(Debug)]
            pub enum $name {}

            impl RequiredScope for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )+
    };
}

required_scopes!(
    Profile,
    DevicesRead,
    DevicesControl,
    HistoryRead,
    Rentals,
    Account,
    FleetRead,
    FleetControl,
    AdminRead,
    AdminWrite,
);

impl<S: RequiredScope> FromRequestParts<ServerState> for Scoped<S> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.has(S::SCOPE) {
            Ok(Self {
                caller,
                scope: PhantomData,
            })
        } else {
            Err(insufficient_scope(S::SCOPE).into())
        }
    }
}

/// Any good token, whatever its scopes.
impl FromRequestParts<ServerState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
        let Some(token) = bearer_token(parts)? else {
            return Err(unauthenticated("Bearer").into());
        };
        let slot = parts.extensions.get::<RateSlot>().cloned().unwrap_or_default();
        match state.app().authenticate(token).await {
            Ok(caller) => {
                state.frame().rates.charge_caller(Counted::of(&caller), &slot)?;
                Ok(caller)
            }
            Err(error) => {
                // Whoever guesses tokens is charged by address: no caller is known.
                if let Some(address) = parts.extensions.get::<ClientAddress>() {
                    state.frame().rates.charge_address(*address, &slot)?;
                }
                Err(error.into())
            }
        }
    }
}

impl Refusal for AuthenticateError {
    fn problem(self) -> Problem {
        match self {
            Self::NotRecognised => unauthenticated("Bearer error=\"invalid_token\""),
            Self::Store(error) => from_store(error),
        }
    }
}

/// The token of the `Authorization` field, and of nowhere else: addresses and bodies end up in logs
/// (RFC 6750 §5.3). `None` if the field is missing or speaks of another scheme.
fn bearer_token(parts: &Parts) -> Result<Option<&str>, Problem> {
    let mut fields = parts.headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        let place = Place::Parameter("Authorization".to_owned());
        return Err(Problem::new(Code::InvalidRequest).error(place, "must not be repeated"));
    }
    Ok(field.to_str().ok().and_then(read_bearer))
}

/// RFC 9110 §11.4: the scheme in any case, one or more spaces, the token.
fn read_bearer(field: &str) -> Option<&str> {
    let (scheme, token) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_matches(' '))
}

fn unauthenticated(challenge: &'static str) -> Problem {
    Problem::new(Code::Unauthenticated).header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

fn insufficient_scope(scope: Scope) -> Problem {
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", scope.as_str());
    let challenge = HeaderValue::try_from(challenge).expect("scopes are ASCII");
    Problem::new(Code::InsufficientScope)
        .detail(format!("This needs the scope {}.", scope.as_str()))
        .header(WWW_AUTHENTICATE, challenge)
}

impl Counted {
    fn of(caller: &Caller) -> Self {
        match &caller.who {
            Principal::Customer(customer_id) => Self::Customer(*customer_id),
            Principal::Staff { staff_id, .. } => Self::Staff(*staff_id),
            Principal::Machine { .. } => Self::Machine(caller.client_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        for (field, expected) in [
            ("Bearer ost_at_x", Some("ost_at_x")),
            ("bearer  ost_at_x ", Some("ost_at_x")),
            ("BEARER ost_at_x", Some("ost_at_x")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Basic b3N0", None),
            ("", None),
        ] {
            assert_eq!(read_bearer(field), expected, "{field:?}");
        }
    }

    #[test]
    fn the_challenge_for_a_missing_scope_names_it() {
        let problem = insufficient_scope(Scope::DevicesControl);
        assert_eq!(problem.code(), Code::InsufficientScope);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_field_makes_the_reader_panic(field in "([Bb]earer|Basic)?[ \\t]{0,2}\\PC{0,60}") {
            if let Some(token) = read_bearer(&field) {
                proptest::prop_assert!(field.contains(token));
            }
        }
    }
}
