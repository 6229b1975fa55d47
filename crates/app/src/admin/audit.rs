//! The audit log as staff read it, and its signed head to be kept elsewhere.
//!
//! The chain covers all products at once; so it is for those who reach them all.

use ostler_store::{AuditCursor, AuditEntry, Listed, Page, SignedHead, StoreError};

use super::Desk;

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("only who reaches all products may read the audit log")]
    OutOfReach,
    #[error("the audit log could not be read")]
    Store(#[from] StoreError),
}

impl Desk<'_> {
    /// The oldest first.
    pub async fn audit_entries(&self, page: Page<AuditCursor>) -> Result<Listed<AuditEntry>, AuditError> {
        if !self.reaches_all() {
            return Err(AuditError::OutOfReach);
        }
        Ok(self.app.store.audit_entries(page).await?)
    }

    /// Where the chains end now.
    pub async fn audit_head(&self) -> Result<SignedHead, AuditError> {
        if !self.reaches_all() {
            return Err(AuditError::OutOfReach);
        }
        let key = self.app.store.audit_key();
        Ok(self.app.store.sign_audit_head(&key, self.app.clock.now()).await?)
    }
}
