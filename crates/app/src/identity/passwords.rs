//! Argon2id on a bounded pool: each hash costs tens of milliseconds and megabytes, so only so many
//! run at once, only so many wait, and the rest is told to come back.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ostler_core::port::{Entropy, random_bytes};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use crate::settings::{PasswordCost, Settings};

/// A password in clear, as somebody typed it.
#[derive(Clone)]
pub struct Password(SecretString);

/// Longer input is refused before it costs anything.
const BYTES_MAX: usize = 1024;
/// NIST SP 800-63B §5.1.1.2.
const CHARS_MIN: usize = 8;

impl Password {
    pub fn presented(text: String) -> Self {
        Self(text.into())
    }

    /// Whether it may become somebody's password.
    pub fn is_acceptable(&self) -> bool {
        let text = self.0.expose_secret();
        text.chars().count() >= CHARS_MIN && text.len() <= BYTES_MAX
    }

    fn bytes(&self) -> &[u8] {
        let bytes = self.0.expose_secret().as_bytes();
        &bytes[..bytes.len().min(BYTES_MAX + 1)]
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// No room for one more computation; nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Overloaded;

pub(super) struct Passwords {
    argon2: Argon2<'static>,
    /// What an account that does not exist is checked against: the same work, never a match.
    decoy: Arc<str>,
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Passwords {
    pub fn new(settings: &Settings) -> Self {
        let PasswordCost {
            memory_kib,
            iterations,
            parallelism,
        } = settings.password_cost;
        let params = Params::new(memory_kib, iterations, parallelism, None)
            .expect("the configuration admits only what Argon2 does");
        let nothing = STANDARD_NO_PAD.encode([0; 32]);
        let salt = STANDARD_NO_PAD.encode([0; 16]);
        let decoy = format!("$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${nothing}");
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            decoy: decoy.into(),
            places: Arc::new(Semaphore::new(settings.password_workers + settings.password_queue)),
            workers: Arc::new(Semaphore::new(settings.password_workers)),
        }
    }

    /// `hash` is `None` where there is no account, or none with a password: that costs the same.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool, Overloaded> {
        let argon2 = self.argon2.clone();
        let known = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| Arc::clone(&self.decoy), Into::into);
        let matches = self
            .run(move || match PasswordHash::new(&hash) {
                Ok(hash) => argon2.verify_password(password.bytes(), &hash).is_ok(),
                Err(error) => {
                    tracing::error!(%error, "a stored password hash cannot be read");
                    false
                }
            })
            .await?;
        Ok(matches && known)
    }

    pub async fn hash(&self, password: Password, entropy: &dyn Entropy) -> Result<String, Overloaded> {
        let argon2 = self.argon2.clone();
        let salt: [u8; 16] = random_bytes(entropy);
        self.run(move || {
            let hash = argon2.hash_password_with_salt(password.bytes(), &salt);
            hash.expect("16 bytes are a good salt, and the parameters were checked")
                .to_string()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Overloaded> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Overloaded)?;
        let worker = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_| Overloaded)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also if whoever waits for it has gone.
            let _held = (place, worker);
            work()
        });
        done.await.map_err(|_| Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn passwords(workers: usize, queue: usize) -> Passwords {
        Passwords::new(&Settings {
            password_workers: workers,
            password_queue: queue,
            password_cost: PasswordCost {
                memory_kib: 64,
                iterations: 1,
                parallelism: 1,
            },
            ..Settings::default()
        })
    }

    fn password(text: &str) -> Password {
        Password::presented(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_account_with_one_is_right() {
        let passwords = passwords(1, 8);
        let hash = passwords.hash(password("correct horse"), &Repeating).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_eq!(
            passwords.verify(password("correct horse"), Some(hash.clone())).await,
            Ok(true)
        );
        assert_eq!(passwords.verify(password("correct house"), Some(hash)).await, Ok(false));
        assert_eq!(passwords.verify(password("correct horse"), None).await, Ok(false));
        assert_eq!(
            passwords.verify(password("x"), Some("nonsense".into())).await,
            Ok(false)
        );
    }

    #[test]
    fn the_decoy_costs_what_a_real_hash_costs() {
        let passwords = Passwords::new(&Settings::default());
        let decoy = PasswordHash::new(&passwords.decoy).unwrap();
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        assert_eq!(
            cost(&Params::try_from(&decoy).unwrap()),
            cost(passwords.argon2.params())
        );
        assert_eq!(decoy.hash.unwrap().len(), 32);
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let passwords = passwords(1, 1);
        let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
        let slow = passwords.run(move || held.recv());
        let waiting = passwords.run(|| ());
        let beyond = passwords.run(|| ());
        let (_, _, refused) = tokio::join!(slow, waiting, async {
            let refused = beyond.await;
            release.send(()).unwrap();
            refused
        });
        assert_eq!(refused, Err(Overloaded));
    }
}
