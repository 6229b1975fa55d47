//! What somebody did, as the chain remembers it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::ser::{SerializeMap as _, Serializer};

use ostler_core::audit::salted_digest;
use ostler_core::id::{ClientId, CustomerId, DeviceId, StaffId};
use ostler_core::port::{Entropy, random_bytes};

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    Staff(StaffId),
    Customer(CustomerId),
    /// A machine of the maker, in its own name.
    Client(ClientId),
    Device(DeviceId),
    /// A job, or a command at the server's own terminal.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff(id) => id.fmt(f),
            Self::Customer(id) => id.fmt(f),
            Self::Client(id) => id.fmt(f),
            Self::Device(id) => id.fmt(f),
            Self::System => f.write_str("system"),
        }
    }
}

/// One act: `Act::new("grant.create", actor).about("grant_id", id)`.
#[derive(Debug, Clone)]
pub struct Act {
    name: &'static str,
    actor: Actor,
    about: Vec<(&'static str, String)>,
    detail: Option<Detail>,
}

/// What may have to be forgotten, kept beside the chain.
#[derive(Debug, Clone)]
pub struct Detail {
    /// Whose data it is, so that an erasure finds it.
    pub subject: Option<CustomerId>,
    pub text: String,
}

impl Act {
    pub fn new(name: &'static str, actor: Actor) -> Self {
        Self {
            name,
            actor,
            about: Vec::with_capacity(4),
            detail: None,
        }
    }

    /// An id, a version or a digest that stays in the chain for ever. Nothing personal.
    #[must_use]
    pub fn about(mut self, member: &'static str, value: impl fmt::Display) -> Self {
        self.about.push((member, value.to_string()));
        self
    }

    #[must_use]
    pub fn about_maybe(self, member: &'static str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.about(member, value),
            None => self,
        }
    }

    #[must_use]
    pub fn with_detail(mut self, subject: Option<CustomerId>, detail: &serde_json::Value) -> Self {
        self.detail = Some(Detail {
            subject,
            text: detail.to_string(),
        });
        self
    }

    /// Takes the detail out, leaving its salted digest in the act.
    pub(super) fn split(mut self, entropy: &dyn Entropy) -> (Self, Option<Salted>) {
        let salted = self.detail.take().map(|detail| Salted::draw(detail, entropy));
        match &salted {
            Some(salted) => (self.about("detail", salted.digest()), Some(salted.clone())),
            None => (self, None),
        }
    }
}

/// A detail with the salt that binds it to its entry.
#[derive(Debug, Clone)]
pub(super) struct Salted {
    pub detail: Detail,
    pub salt: [u8; 16],
}

impl Salted {
    fn draw(detail: Detail, entropy: &dyn Entropy) -> Self {
        Self {
            detail,
            salt: random_bytes(entropy),
        }
    }

    fn digest(&self) -> String {
        digest_text(&self.salt, &self.detail.text)
    }
}

/// In base64url, never hexadecimal: no answer may look like the vendor's tokens.
pub(crate) fn digest_text(salt: &[u8; 16], text: &str) -> String {
    URL_SAFE_NO_PAD.encode(salted_digest(salt, text))
}

impl serde::Serialize for Act {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.about.len()))?;
        map.serialize_entry("act", self.name)?;
        map.serialize_entry("actor", &format_args!("{}", self.actor))?;
        for (member, value) in &self.about {
            map.serialize_entry(member, value)?;
        }
        map.end()
    }
}
