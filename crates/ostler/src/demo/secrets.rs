//! What the demo draws once and keeps in its data directory, so that a restart, also after a
//! kill, goes on with the same credentials. Written before anything is seeded with it.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ostler_core::port::{Entropy, random_bytes};
use ostler_core::secret::ClientSecret;
use serde::{Deserialize, Serialize};

use crate::keys::replace_private;

#[derive(Serialize, Deserialize)]
pub struct Secrets {
    pub operator_password: String,
    pub particle_password: String,
    pub customer_passwords: [String; 3],
    pub web: String,
    pub service: String,
    pub linking: String,
}

impl Secrets {
    pub fn load_or_draw(path: &Path, entropy: &dyn Entropy) -> anyhow::Result<Self> {
        if path.exists() {
            let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            return serde_json::from_slice(&text).with_context(|| format!("{} is not the demo's", path.display()));
        }
        let drawn = Self::draw(entropy);
        replace_private(path, &serde_json::to_vec_pretty(&drawn).expect("text"))?;
        Ok(drawn)
    }

    fn draw(entropy: &dyn Entropy) -> Self {
        Self {
            operator_password: password(entropy),
            particle_password: password(entropy),
            customer_passwords: std::array::from_fn(|_| password(entropy)),
            web: ClientSecret::draw(entropy).reveal().to_owned(),
            service: ClientSecret::draw(entropy).reveal().to_owned(),
            linking: ClientSecret::draw(entropy).reveal().to_owned(),
        }
    }
}

/// 96 bits, in a form that a person can copy from a terminal.
pub fn password(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<12>(entropy))
}
