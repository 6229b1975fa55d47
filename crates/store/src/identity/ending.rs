//! Ending tokens: a family as a whole, or all of a holder. The caller says the same to the read
//! model, in the same transaction.

use std::fmt;

use ostler_core::id::{ClientId, CustomerId, StaffId, TokenFamilyId};
use ostler_core::time::Timestamp;

use crate::error::StoreError;
use crate::tx::{Link, execute};
use crate::value::{Millis, Text};

/// Why a family ended; kept with it, for whoever looks into it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Its holder asked for it (RFC 7009, signing out).
    Revoked,
    /// An authorization code came twice (RFC 6749 §4.1.2).
    CodeReused,
    /// A refresh token came again after its successor was used (RFC 9700 §4.14.2).
    RefreshReused,
    ClientEnded,
    AccountEnded,
}

impl EndReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::CodeReused => "code-reused",
            Self::RefreshReused => "refresh-reused",
            Self::ClientEnded => "client-ended",
            Self::AccountEnded => "account-ended",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Family(TokenFamilyId),
    Client(ClientId),
    Customer(CustomerId),
    #[expect(
        dead_code,
        reason = "ending a staff account comes with staff management; the statement belongs here"
    )]
    Staff(StaffId),
}

/// `statements!(before, after)`: one text for each kind of holder.
macro_rules! by_holder {
    ($of:expr, $before:expr, $after:expr) => {
        match $of {
            Of::Family(_) => concat!($before, "family_id = $1", $after),
            Of::Client(_) => concat!($before, "client_id = $1", $after),
            Of::Customer(_) => concat!($before, "customer_id = $1", $after),
            Of::Staff(_) => concat!($before, "staff_id = $1", $after),
        }
    };
}

impl Of {
    fn id(self) -> String {
        match self {
            Self::Family(id) => id.to_string(),
            Self::Client(id) => id.to_string(),
            Self::Customer(id) => id.to_string(),
            Self::Staff(id) => id.to_string(),
        }
    }
}

/// Returns how many ended now. Refresh tokens stay with their ended family until they are pruned.
pub(super) async fn end_families(
    mut link: Link<'_>,
    of: Of,
    reason: EndReason,
    now: Timestamp,
) -> Result<u64, StoreError> {
    end_access_tokens(link.again(), of).await?;
    let sql = by_holder!(
        of,
        "UPDATE token_family SET ended_at = $2, end_reason = $3 WHERE ",
        " AND ended_at IS NULL"
    );
    Ok(execute!(
        link,
        sqlx::query(sql).bind(of.id()).bind(Millis(now)).bind(reason.as_str())
    ))
}

pub(super) async fn end_access_tokens(link: Link<'_>, of: Of) -> Result<(), StoreError> {
    let sql = by_holder!(
        of,
        "DELETE FROM access_token WHERE family_id IN (SELECT family_id FROM token_family WHERE ",
        ")"
    );
    execute!(link, sqlx::query(sql).bind(of.id()));
    Ok(())
}

const END_SESSIONS: &str = "DELETE FROM login_session WHERE customer_id = $1";

pub(super) async fn end_sessions(link: Link<'_>, customer_id: CustomerId) -> Result<(), StoreError> {
    execute!(link, sqlx::query(END_SESSIONS).bind(Text(customer_id)));
    Ok(())
}
