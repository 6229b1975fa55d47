//! Proof Key for Code Exchange (RFC 7636), by the method S256 alone.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// base64url of a SHA-256: 43 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the base64url of a SHA-256 digest, without padding")]
pub struct InvalidCodeChallenge;

impl CodeChallenge {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 7636 §4.6.
    pub fn is_met_by(&self, code_verifier: &str) -> bool {
        let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.as_bytes()));
        is_verifier(code_verifier) && bool::from(computed.as_bytes().ct_eq(self.0.as_bytes()))
    }
}

/// RFC 7636 §4.1.
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

impl FromStr for CodeChallenge {
    type Err = InvalidCodeChallenge;

    fn from_str(text: &str) -> Result<Self, InvalidCodeChallenge> {
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(digest) if digest.len() == 32 => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(InvalidCodeChallenge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn the_example_of_rfc_7636_appendix_b_holds() {
        let challenge: CodeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().unwrap();
        assert!(challenge.is_met_by(VERIFIER));
        for other in ["", &VERIFIER[1..], &format!("{VERIFIER}x"), &"x".repeat(129)] {
            assert!(!challenge.is_met_by(other), "{other}");
        }
    }

    #[test]
    fn a_short_verifier_is_refused_although_it_matches() {
        let text = "too-short";
        let challenge: CodeChallenge = URL_SAFE_NO_PAD.encode(Sha256::digest(text)).parse().unwrap();
        assert!(!challenge.is_met_by(text));
    }

    #[test]
    fn what_is_no_digest_is_no_challenge() {
        for text in ["", "plain", VERIFIER.get(..42).unwrap(), &format!("{VERIFIER}=")] {
            assert!(text.parse::<CodeChallenge>().is_err(), "{text}");
        }
    }
}
