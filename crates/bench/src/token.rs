//! The signed token of the comparison: a JWT by ES256 (RFC 7519, RFC 7518 §3.4), as gateways check it. Ostler's own
//! tokens are opaque and have nothing to do with this.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

const SCOPE: &str = "devices:control";
const LIFETIME_SECONDS: u64 = 24 * 3600;
/// RFC 5480 §2.2: 4, then x and y.
const UNCOMPRESSED_BYTES: usize = 65;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    scope: String,
    exp: u64,
}

pub struct Signer {
    key: EcdsaKeyPair,
}

impl Signer {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
        })
    }

    pub fn mint(&self, now: u64) -> anyhow::Result<String> {
        let claims = Claims {
            iss: "https://id.example".to_owned(),
            sub: "customer-1".to_owned(),
            scope: SCOPE.to_owned(),
            exp: now + LIFETIME_SECONDS,
        };
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"ES256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// For the checker's command line.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_key())
    }

    /// RFC 7517 §6.2, for those who read keys as JSON.
    pub fn public_jwk(&self) -> String {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(UNCOMPRESSED_BYTES / 2);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            .to_string()
    }
}

pub struct Verifier {
    key: UnparsedPublicKey<Vec<u8>>,
}

impl Verifier {
    pub fn new(public_key: &str) -> anyhow::Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(public_key)?;
        anyhow::ensure!(bytes.len() == UNCOMPRESSED_BYTES, "not an uncompressed point of P-256");
        Ok(Self {
            key: UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
        })
    }

    /// Signature, expiry, scope. The header is not read: there is one key, and it knows one algorithm.
    pub fn accepts(&self, token: &str, now: u64) -> bool {
        self.claims(token)
            .is_some_and(|claims| now < claims.exp && claims.scope.split(' ').any(|scope| scope == SCOPE))
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.key.verify(signed.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_000;

    #[test]
    fn a_token_is_good_until_it_expires_and_under_its_key_alone() {
        let signer = Signer::new().unwrap();
        let token = signer.mint(NOW).unwrap();
        let verifier = Verifier::new(&signer.public_key()).unwrap();
        assert!(verifier.accepts(&token, NOW));
        assert!(!verifier.accepts(&token, NOW + LIFETIME_SECONDS));
        let (head, _) = token.rsplit_once('.').unwrap();
        for other in ["", "a.b", "a.b.c", head, &Signer::new().unwrap().mint(NOW).unwrap()] {
            assert!(!verifier.accepts(other, NOW), "{other}");
        }
    }

    #[test]
    fn the_json_key_is_the_same_point() {
        let signer = Signer::new().unwrap();
        let key: serde_json::Value = serde_json::from_str(&signer.public_jwk()).unwrap();
        let point = URL_SAFE_NO_PAD.decode(signer.public_key()).unwrap();
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        assert_eq!(point, [vec![4], coordinate("x"), coordinate("y")].concat());
    }
}
