//! The audit chain in the database: every act of staff, customers and machines, one entry per
//! commit.
//!
//! An entry's body names the acts of that commit with ids and salted digests. What may have to be
//! forgotten (an e-mail address, a reason) lies in `audit_detail`; deleting it leaves the chain
//! verifiable. Extending happens inside [`crate::Tx::commit`] and nowhere else.

mod act;
mod chain;
mod head;
mod list;
mod verify;

pub use head::{AuditKey, ChainPoint, HeadFault, SignedHead};
pub use list::{AuditCursor, AuditEntry, RecordedAct};
pub(crate) use verify::verify_all;
pub use verify::{AuditFault, ChainReport, FaultKind};

pub(crate) use act::digest_text;
pub use act::{Act, Actor, Detail};
pub(crate) use chain::{ChainEntry, ChainHead, adopt_chain, append, begin_chain, chains, read_head};
