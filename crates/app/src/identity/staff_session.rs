//! Staff sign in to the staff API: a bearer token of their own, which no customer's account leads to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ostler_core::caller::{Caller, Principal};
use ostler_core::id::{ClientId, TokenFamilyId};
use ostler_core::secret::AccessToken;
use ostler_store::{EndReason, NewTokens, TokenFacts};

use super::passwords::Password;
use super::revoke::RevokeError;
use super::sign_in::{Attempt, SignInError};
use crate::App;
use crate::actor;
use crate::permits::Ended;

#[derive(Debug)]
pub struct StaffSession {
    pub access_token: AccessToken,
    pub expires_in: Duration,
}

impl App {
    pub async fn start_staff_session(
        &self,
        email: &str,
        password: Password,
        address: IpAddr,
    ) -> Result<StaffSession, SignInError> {
        let attempt = Attempt::new("staff", email, address);
        self.may_try(&attempt)?;
        let staff = match &attempt.email {
            Some(email) => self
                .store
                .staff_by_email(email)
                .await?
                .filter(|staff| staff.ended_at.is_none()),
            None => None,
        };
        let hash = staff.as_ref().map(|staff| staff.password_hash.clone());
        let matches = self.identity.passwords.verify(password, hash).await?;
        let staff = staff.filter(|_| matches);
        self.note(&attempt, staff.is_some());
        let staff = staff.ok_or(SignInError::Wrong)?;

        let now = self.clock.now();
        let access_token = AccessToken::draw(&*self.entropy);
        let expires_in = self.settings.session_lifetime;
        let caller = Caller {
            who: Principal::Staff {
                staff_id: staff.id,
                products: staff.products,
            },
            client_id: ClientId::STAFF_SESSION,
            family_id: TokenFamilyId::draw(now, &*self.entropy),
            scopes: staff.role.scopes(),
            token: access_token.digest(),
        };
        let facts = TokenFacts {
            caller,
            issued_at: now,
            expires_at: now + expires_in,
            confirms: None,
        };
        self.store
            .issue_tokens(
                &NewTokens {
                    facts: Arc::new(facts),
                    refresh: None,
                },
                now,
            )
            .await?;
        Ok(StaffSession {
            access_token,
            expires_in,
        })
    }

    pub async fn end_staff_session(&self, caller: &Caller) -> Result<(), RevokeError> {
        let now = self.clock.now();
        self.store
            .end_family(caller.family_id, EndReason::Revoked, actor(caller), now)
            .await?;
        self.rights_ended(Ended::TokenFamily(caller.family_id)).await;
        Ok(())
    }
}
