//! Grants, versioned: a change or an end is a new row, and nothing that was said is overwritten.
//!
//! `device_grant` says which version counts, `grant_version` what each said. That a device has one
//! owner at most is the business of a unique index. Times are compared where rights are judged, not
//! here: a grant whose time has run out needs no job to lose its force.

mod change;
mod list;

use std::collections::BTreeSet;

use ostler_core::grant::{Allowance, Grant, GrantSource};
use ostler_core::id::{CustomerId, DeviceId, GrantId};
use ostler_core::interval::Interval;
use ostler_core::name::{FunctionName, TelemetryKey, VariableName};

use crate::tx::row;
use crate::value::{AsJson, Millis, Text};

pub(crate) use change::end_grants_of;
pub use change::{GrantChanged, GrantCreated, GrantEnded, Said};
pub use list::{GrantFilter, GrantRecord, GrantVersionRecord};

row! {
    /// A grant in its present version.
    pub(crate) struct GrantRow {
        grant_id: Text<GrantId>,
        customer_id: Text<CustomerId>,
        device_id: Text<DeviceId>,
        source: Text<GrantSource>,
        version: i64,
        functions: Option<AsJson<BTreeSet<FunctionName>>>,
        variables: Option<AsJson<BTreeSet<VariableName>>>,
        keys: Option<AsJson<BTreeSet<TelemetryKey>>>,
        history_from: Millis,
        history_to: Millis,
        starts_at: Millis,
        ends_at: Option<Millis>,
    }
}

/// The columns of [`GrantRow`], from `device_grant g` and `grant_version v`.
macro_rules! grant_columns {
    () => {
        "g.grant_id, g.customer_id, g.device_id, g.source, g.version, v.functions, v.variables,
         v.keys, v.history_from, v.history_to, v.starts_at, v.ends_at"
    };
}
pub(crate) use grant_columns;

impl GrantRow {
    pub fn into_grant(self) -> Grant {
        Grant {
            id: self.grant_id.0,
            version: self.version,
            customer_id: self.customer_id.0,
            device_id: self.device_id.0,
            source: self.source.0,
            functions: allowance(self.functions),
            variables: allowance(self.variables),
            keys: allowance(self.keys),
            history: Interval::new(self.history_from.0, self.history_to.0),
            starts_at: self.starts_at.0,
            ends_at: self.ends_at.map(|Millis(at)| at),
        }
    }
}

/// Null is "all that the product declares".
fn allowance<T: Ord>(names: Option<AsJson<BTreeSet<T>>>) -> Allowance<T> {
    names.map_or(Allowance::All, |AsJson(names)| Allowance::Only(names))
}

fn names<T: Ord>(allowance: &Allowance<T>) -> Option<AsJson<&BTreeSet<T>>> {
    match allowance {
        Allowance::All => None,
        Allowance::Only(names) => Some(AsJson(names)),
    }
}
