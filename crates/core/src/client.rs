//! OAuth clients (RFC 6749 §2): what is registered about each, and the rules of registration.
//!
//! A client's secret is not here; the store keeps its digest beside the client.

mod redirect_uri;
mod registration;

use std::fmt;
use std::str::FromStr;

use crate::caller::ProductReach;
use crate::id::ClientId;
use crate::scope::ScopeSet;
use crate::time::Timestamp;

pub use redirect_uri::{InvalidRedirectUri, RedirectUri, WebOrigin};
pub use registration::{ClientRegistration, RegistrationFault};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub id: ClientId,
    pub name: String,
    pub kind: ClientKind,
    pub flows: FlowSet,
    pub redirect_uris: Vec<RedirectUri>,
    /// The most that it may ever be granted.
    pub scopes: ScopeSet,
    /// What a request without `scope` gets.
    pub default_scopes: ScopeSet,
    pub refresh_policy: RefreshPolicy,
    /// Origins of the browser apps that may call the API (Fetch standard, "CORS protocol").
    pub cors_origins: Vec<WebOrigin>,
    /// The products that it, as a machine, may act on.
    pub products: ProductReach,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl Client {
    pub fn is_live(&self) -> bool {
        self.ended_at.is_none()
    }

    /// PKCE is demanded of everybody but linking clients, which cannot (design.md §7).
    pub fn must_use_pkce(&self) -> bool {
        self.refresh_policy != RefreshPolicy::Linking
    }

    /// Whether an authorization request may send the browser to `uri`: an exact match, but for the
    /// port of a native app that listens on loopback (RFC 8252 §7.3).
    pub fn may_redirect_to(&self, uri: &str) -> bool {
        let native = self.kind == ClientKind::Public;
        self.redirect_uris
            .iter()
            .any(|registered| registered.as_str() == uri || (native && registered.matches_but_for_loopback_port(uri)))
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident $error:ident $rule:literal { $($(#[$note:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$note])* $variant),+ }

        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error($rule)]
        pub struct $error;

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err($error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// RFC 6749 §2.1.
    ClientKind InvalidClientKind "must be `public` or `confidential`" {
        Public => "public",
        Confidential => "confidential",
    }
}

words! {
    /// How a client's refresh tokens live.
    RefreshPolicy InvalidRefreshPolicy "must be `none`, `rotating` or `linking`" {
        /// It never gets one.
        None => "none",
        /// Each use replaces it; using a replaced one ends the family (RFC 9700 §4.14.2).
        Rotating => "rotating",
        /// One for good, without an end: services such as IFTTT cannot rotate.
        Linking => "linking",
    }
}

words! {
    /// By which authorization grants a client comes to tokens; refreshing follows from its policy.
    Flow InvalidFlow "must be `authorization_code`, `client_credentials` or `device_authorization`" {
        AuthorizationCode => "authorization_code",
        ClientCredentials => "client_credentials",
        DeviceAuthorization => "device_authorization",
    }
}

/// Written as words with single spaces, in the order of [`Flow::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowSet(u8);

impl FlowSet {
    pub const EMPTY: Self = Self(0);

    pub const fn contains(self, flow: Flow) -> bool {
        self.0 & (1 << flow as u8) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn with(self, flow: Flow) -> Self {
        Self(self.0 | (1 << flow as u8))
    }

    pub fn iter(self) -> impl Iterator<Item = Flow> {
        Flow::ALL.iter().copied().filter(move |flow| self.contains(*flow))
    }
}

impl FromIterator<Flow> for FlowSet {
    fn from_iter<I: IntoIterator<Item = Flow>>(flows: I) -> Self {
        flows.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl FromStr for FlowSet {
    type Err = InvalidFlow;

    fn from_str(text: &str) -> Result<Self, InvalidFlow> {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for FlowSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Flow::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for FlowSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
