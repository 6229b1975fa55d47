//! What the maker's staff and machines administer: products, cloud connections, devices, grants,
//! the ledger and the audit chain.
//!
//! All of it goes through a [`Desk`]: whoever sits there acts in their own name and on the products
//! they reach; what lies beyond answers as if it did not exist. Which scope opens the desk is the
//! HTTP crate's business; calling functions and reading telemetry are use cases of their own.

mod accounts;
mod audit;
mod cloud_connections;
mod commands;
mod devices;
mod grants;
mod hook_prefixes;
mod hooks;
mod import;
mod ingest_secrets;
mod product_diff;
mod products;
mod reach;
mod rejected_events;

use ostler_core::caller::{Caller, ProductReach};
use ostler_core::id::ProductId;
use ostler_store::Actor;

use crate::App;

pub use audit::AuditError;
pub use cloud_connections::{
    CloudConnectionError, ConnectionFault, ConnectionRecord, ConnectionRequest, CredentialKind,
};
pub use commands::{LedgerError, LedgerFilter};
pub use devices::{StaffDevice, StaffDeviceError};
pub use grants::{EndedGrant, GrantError, GrantFault, GrantRequest, InvalidGrant};
pub use hook_prefixes::hook_prefixes;
pub use hooks::HookError;
pub use import::{ImportError, ImportFault, ImportRequest, Imported, InvalidDevice};
pub use ingest_secrets::{NewIngestSecret, SecretError};
pub use product_diff::{ChangeKind, ProductChange, diff};
pub use products::{ProductError, ProductOutcome, ProductSubmission};

// What a desk shows as the store keeps it.
pub use ostler_store::{
    AuditCursor, AuditEntry, ChainPoint, Command, CustomerRecord, DeviceRecord, GrantRecord, GrantVersionRecord,
    Listed, Page, ProductRecord, ProductVersionRecord, RecordedAct, Renamed, SignedHead,
};

/// Whether a change is made, or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    DryRun,
    Apply,
}

/// A member of staff, or a machine of the maker, and the products they reach.
#[derive(Debug, Clone)]
pub struct Maker {
    by: Actor,
    reach: ProductReach,
}

impl Maker {
    /// `None` for a customer, who has nothing to administer.
    pub fn of(caller: &Caller) -> Option<Self> {
        Some(Self {
            by: crate::actor(caller),
            reach: caller.reach()?.clone(),
        })
    }

    /// Whoever holds the server's own terminal: its configuration and its keys are in their hands.
    pub const fn at_the_terminal() -> Self {
        Self {
            by: Actor::System,
            reach: ProductReach::All,
        }
    }
}

/// Where one of the maker's administers.
pub struct Desk<'a> {
    app: &'a App,
    by: Actor,
    reach: &'a ProductReach,
}

impl App {
    pub fn desk<'a>(&'a self, maker: &'a Maker) -> Desk<'a> {
        Desk {
            app: self,
            by: maker.by,
            reach: &maker.reach,
        }
    }
}

impl Desk<'_> {
    fn reaches(&self, product_id: ProductId) -> bool {
        self.reach.covers(product_id)
    }

    /// Some things belong to no product: whoever is bound to named products has no part in them.
    fn reaches_all(&self) -> bool {
        match self.reach {
            ProductReach::All => true,
            ProductReach::Only(_) => false,
        }
    }
}
