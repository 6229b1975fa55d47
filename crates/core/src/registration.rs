//! The hardware credential by which a device registers itself at its first start.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::CloudDeviceId;

/// The longest credential that is looked at; ours have 43 characters, imported ones may differ.
pub const CREDENTIAL_BYTES_MAX: usize = 256;

/// A product's secret from which each device's credential is derived in the factory.
#[derive(Clone)]
pub struct RegistrationKey(zeroize::Zeroizing<[u8; 32]>);

impl RegistrationKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// base64url of HMAC-SHA256(registration key, cloud id).
    pub fn credential_of(&self, device: &CloudDeviceId) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(device).finalize().into_bytes())
    }

    /// Compares in constant time.
    pub fn verifies(&self, device: &CloudDeviceId, credential: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(credential.trim_end_matches('='))
            .is_ok_and(|presented| self.mac(device).verify_slice(&presented).is_ok())
    }

    fn mac(&self, device: &CloudDeviceId) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes a key of any length");
        mac.update(device.as_str().as_bytes());
        mac
    }
}

impl std::fmt::Debug for RegistrationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistrationKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_belongs_to_one_device_and_one_product() {
        let device: CloudDeviceId = "e00fce68a1b2c3d4e5f60718".parse().unwrap();
        let other: CloudDeviceId = "e00fce68a1b2c3d4e5f60719".parse().unwrap();
        let key = RegistrationKey::from_bytes([1; 32]);
        let credential = key.credential_of(&device);
        assert_eq!(credential.len(), 43);
        assert!(key.verifies(&device, &credential));
        assert!(!key.verifies(&other, &credential));
        assert!(!RegistrationKey::from_bytes([2; 32]).verifies(&device, &credential));
        for text in ["", "ä", &credential[1..]] {
            assert!(!key.verifies(&device, text), "{text}");
        }
    }
}
