//! A customer signs in with e-mail address and password, in a browser.
//!
//! Whether there is such an account cannot be told from the answer, nor from the work: the same look-up,
//! the same Argon2, one refusal.

use std::net::IpAddr;
use std::time::Duration;

use ostler_core::email::EmailAddress;
use ostler_core::id::{CustomerId, SessionId};
use ostler_core::secret::{SecretDigest, SessionSecret};
use ostler_store::{LoginSession, StoreError};

use super::passwords::{Overloaded, Password};
use super::throttle::Key;
use crate::App;

/// A browser that has just signed in.
#[derive(Debug)]
pub struct SignedIn {
    pub customer_id: CustomerId,
    /// For the cookie; new with every sign-in.
    pub secret: SessionSecret,
    pub lifetime: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("the e-mail address or the password is not right")]
    Wrong,
    #[error("too many failures; the next try may come later")]
    Wait(Duration),
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("the sign-in could not be read or written")]
    Store(#[from] StoreError),
}

impl App {
    /// `former` is the secret of the browser's cookie, whatever it is worth: it ends here.
    pub async fn sign_in(
        &self,
        email: &str,
        password: Password,
        address: IpAddr,
        former: Option<&SessionSecret>,
    ) -> Result<SignedIn, SignInError> {
        let attempt = Attempt::new("customer", email, address);
        self.may_try(&attempt)?;
        let account = match &attempt.email {
            Some(email) => self
                .store
                .customer_credentials(email)
                .await?
                .filter(|account| account.may_sign_in),
            None => None,
        };
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let matches = self.identity.passwords.verify(password, hash).await?;
        let account = account.filter(|_| matches);
        self.note(&attempt, account.is_some());
        let customer_id = account.ok_or(SignInError::Wrong)?.id;

        let now = self.clock.now();
        let secret = SessionSecret::draw(&*self.entropy);
        let lifetime = self.settings.session_lifetime;
        let id = SessionId::draw(now, &*self.entropy);
        let session = LoginSession {
            id,
            customer_id,
            created_at: now,
            expires_at: now + lifetime,
        };
        self.store
            .start_session(secret.digest(), &session, former.map(SessionSecret::digest))
            .await?;
        Ok(SignedIn {
            customer_id,
            secret,
            lifetime,
        })
    }

    /// Who is signed in in this browser.
    pub async fn session(&self, secret: &SessionSecret) -> Result<Option<LoginSession>, StoreError> {
        self.store.session(&secret.digest(), self.clock.now()).await
    }

    pub async fn sign_out(&self, secret: &SessionSecret) -> Result<(), StoreError> {
        self.store.end_session(&secret.digest(), self.clock.now()).await
    }

    pub(super) fn may_try(&self, attempt: &Attempt) -> Result<(), SignInError> {
        match self.identity.throttle.pause(&attempt.keys(), self.clock.now()) {
            Some(pause) => Err(SignInError::Wait(pause)),
            None => Ok(()),
        }
    }

    pub(super) fn note(&self, attempt: &Attempt, succeeded: bool) {
        if succeeded {
            self.identity.throttle.succeeded(&attempt.account);
        } else {
            metrics::counter!("ostler_sign_ins_failed_total", "who" => attempt.who).increment(1);
            self.identity.throttle.failed(&attempt.keys(), self.clock.now());
        }
    }
}

/// One try to sign in, of a customer or of staff, which do not count together.
pub(super) struct Attempt {
    who: &'static str,
    /// `None` if what was typed is no address; that takes the same way as an unknown one.
    pub email: Option<EmailAddress>,
    account: Key,
    address: Key,
}

impl Attempt {
    pub fn new(who: &'static str, typed: &str, address: IpAddr) -> Self {
        let email = typed.parse::<EmailAddress>().ok();
        let name = email.as_ref().map_or(typed, EmailAddress::as_str);
        let account = Key::Account(SecretDigest::of(&format!("{who} {name}")));
        Self {
            who,
            email,
            account,
            address: Key::Address(address),
        }
    }

    fn keys(&self) -> [Key; 2] {
        [self.account, self.address]
    }
}
