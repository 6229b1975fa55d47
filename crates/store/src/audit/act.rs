//! What somebody did, as the chain remembers it.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use ostler_core::audit::salted_digest;
use ostler_core::id::{ClientId, CustomerId, DeviceId, StaffId};
use ostler_core::port::{Entropy, random_bytes};

/// So long is the act of a call.
const USUAL_BYTES: usize = 384;

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
///
/// Written down as it is said, for two are said of each call: a JSON object that only lacks its end.
#[derive(Debug, Clone)]
pub struct Act {
    json: String,
    /// Boxed, for it is rare, and an act is handed on with each member that is said of it.
    detail: Option<Box<Detail>>,
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
        let mut json = String::with_capacity(USUAL_BYTES);
        json.push('{');
        let act = Self { json, detail: None };
        act.member("act", name).about("actor", actor)
    }

    /// An id, a version or a digest that stays in the chain for ever. Nothing personal.
    #[must_use]
    pub fn about(mut self, member: &'static str, value: impl fmt::Display) -> Self {
        self.json.push(',');
        self.member(member, value)
    }

    fn member(mut self, member: &'static str, value: impl fmt::Display) -> Self {
        self.json.push('"');
        self.json.push_str(member);
        self.json.push_str("\":\"");
        write!(Escaped(&mut self.json), "{value}").expect("memory takes everything");
        self.json.push('"');
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
        self.detail = Some(Box::new(Detail {
            subject,
            text: detail.to_string(),
        }));
        self
    }

    /// Takes the detail out, leaving its salted digest in the act.
    pub(super) fn split(mut self, entropy: &dyn Entropy) -> (Self, Option<Salted>) {
        let salted = self.detail.take().map(|detail| Salted::draw(*detail, entropy));
        match &salted {
            Some(salted) => (self.about("detail", salted.digest()), Some(salted.clone())),
            None => (self, None),
        }
    }
}

/// A JSON array: what an entry of the chain says.
pub(super) fn written(acts: &[Act]) -> String {
    let bytes: usize = acts.iter().map(|act| act.json.len() + 2).sum();
    let mut array = String::with_capacity(bytes + 2);
    array.push('[');
    for (place, act) in acts.iter().enumerate() {
        if place > 0 {
            array.push(',');
        }
        array.push_str(&act.json);
        array.push('}');
    }
    array.push(']');
    array
}

/// Writes text as it stands between the quotation marks of JSON (RFC 8259 §7). Nearly all text here is
/// ids, digests and words, in which nothing has to be escaped, and to see that is quick.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_special = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
        if text.bytes().fold(false, |special, byte| special | is_special(byte)) {
            let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
            self.0.push_str(&quoted[1..quoted.len() - 1]);
        } else {
            self.0.push_str(text);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn acts_are_an_array_of_objects_whose_members_stand_as_they_were_said() {
        let said = Act::new("product.apply", Actor::System)
            .about("slug", "a \"quoted\" \n name")
            .about_maybe("none", None::<u8>)
            .about("version", 3);
        let other = Act::new("audit.erase", Actor::System);
        assert_eq!(
            written(&[said.clone(), other]),
            r#"[{"act":"product.apply","actor":"system","slug":"a \"quoted\" \n name","version":"3"},{"act":"audit.erase","actor":"system"}]"#
        );
        let read: Value = serde_json::from_str(&written(&[said])).unwrap();
        assert_eq!(read[0]["slug"], json!("a \"quoted\" \n name"));
        assert_eq!(written(&[]), "[]");
    }
}
