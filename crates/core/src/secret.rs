//! Secrets as types: minted, shown to their owner once, then forgotten.
//!
//! None of them implements `Serialize` or a telling `Debug`; the memory is wiped on drop. What is
//! stored is a digest. A plain hash suits 256 random bits; passwords are the app crate's business.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::port::{Entropy, random_bytes};

/// SHA-256 of a secret. Useless to whoever steals the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares without telling by its duration how far the two agree.
    pub fn matches(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

macro_rules! secret_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Lets secret scanners recognise a leak.
            pub const PREFIX: &'static str = $prefix;

            pub fn draw(entropy: &dyn Entropy) -> Self {
                let bytes: [u8; 32] = random_bytes(entropy);
                Self(format!("{}{}", $prefix, URL_SAFE_NO_PAD.encode(bytes)).into())
            }

            /// Takes what a request brought. Only the digest look-up says whether it is one.
            pub fn presented(text: String) -> Self {
                Self(text.into())
            }

            pub fn digest(&self) -> SecretDigest {
                SecretDigest::of(self.0.expose_secret())
            }

            /// For the one answer in which its owner is told.
            pub fn reveal(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret_type!(
    /// A bearer token (RFC 6750).
    AccessToken,
    "ost_at_"
);
secret_type!(RefreshToken, "ost_rt_");
secret_type!(AuthorizationCode, "ost_ac_");

impl RefreshToken {
    /// The token that replaces this one: derived, so that a client whose answer was lost is told the
    /// very same when it asks again. Takes both the token, which only its holder has, and the salt,
    /// which only we have.
    #[must_use]
    pub fn successor(&self, salt: &[u8; 32]) -> Self {
        let key = self.0.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(b"ostler-refresh-1");
        mac.update(salt);
        Self(
            format!(
                "{}{}",
                Self::PREFIX,
                URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
            )
            .into(),
        )
    }
}

secret_type!(ClientSecret, "ost_cs_");
secret_type!(
    /// What a browser's session cookie holds.
    SessionSecret,
    "ost_ss_"
);

impl SessionSecret {
    /// What a page of ours carries so that its form is known again (CSRF): only who sees the page in
    /// the browser with this cookie can send it, and only for the request `form` that was shown.
    pub fn form_token(&self, form: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.form_mac(form).finalize().into_bytes())
    }

    /// Compares in constant time.
    pub fn verifies_form(&self, form: &str, token: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(token)
            .is_ok_and(|shown| self.form_mac(form).verify_slice(&shown).is_ok())
    }

    fn form_mac(&self, form: &str) -> Hmac<Sha256> {
        let key = self.0.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(b"ostler-form-1");
        mac.update(form.as_bytes());
        mac
    }
}
secret_type!(
    /// What the device cloud's hook sends to be let in.
    IngestSecret,
    "ost_in_"
);

#[cfg(test)]
mod tests {
    use super::*;

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn a_token_carries_its_prefix_and_256_bits() {
        let token = AccessToken::draw(&Repeating);
        assert!(token.reveal().starts_with("ost_at_"));
        assert_eq!(token.reveal().len(), "ost_at_".len() + 43);
        assert!(token.digest().matches(&SecretDigest::of(token.reveal())));
    }

    #[test]
    fn a_successor_follows_from_token_and_salt_alone() {
        let token = RefreshToken::draw(&Repeating);
        let successor = token.successor(&[1; 32]);
        assert_eq!(successor.reveal(), token.successor(&[1; 32]).reveal());
        assert_ne!(successor.reveal(), token.successor(&[2; 32]).reveal());
        assert_ne!(successor.reveal(), successor.successor(&[1; 32]).reveal());
        assert_eq!(successor.reveal().len(), token.reveal().len());
    }

    #[test]
    fn a_form_is_known_again_by_cookie_and_content() {
        let session = SessionSecret::draw(&Repeating);
        let token = session.form_token("client_id=a");
        assert!(session.verifies_form("client_id=a", &token));
        assert!(!session.verifies_form("client_id=b", &token));
        assert!(!SessionSecret::presented("other".into()).verifies_form("client_id=a", &token));
        assert!(!session.verifies_form("client_id=a", ""));
    }

    #[test]
    fn debug_output_tells_nothing() {
        let token = RefreshToken::draw(&Repeating);
        assert_eq!(format!("{token:?}"), "RefreshToken(…)");
        assert_eq!(format!("{:?}", token.digest()), "SecretDigest(…)");
    }
}
