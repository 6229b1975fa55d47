//! A grant lets one customer use one device: what, and from when until when.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::id::{CustomerId, DeviceId, GrantId};
use crate::interval::Interval;
use crate::name::{FunctionName, TelemetryKey, VariableName};
use crate::time::Timestamp;

/// Where a right comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantSource {
    Owner,
    Share,
    Guest,
    Rental,
    Staff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: owner, share, guest, rental, staff")]
pub struct InvalidGrantSource;

impl GrantSource {
    pub const ALL: [Self; 5] = [Self::Owner, Self::Share, Self::Guest, Self::Rental, Self::Staff];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Share => "share",
            Self::Guest => "guest",
            Self::Rental => "rental",
            Self::Staff => "staff",
        }
    }
}

impl FromStr for GrantSource {
    type Err = InvalidGrantSource;

    fn from_str(text: &str) -> Result<Self, InvalidGrantSource> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or(InvalidGrantSource)
    }
}

/// Which of the names that a product declares a grant covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowance<T: Ord> {
    /// All that the product declares, also what it will declare later.
    All,
    Only(BTreeSet<T>),
}

impl<T: Ord> Allowance<T> {
    pub fn covers(&self, name: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// The version of a grant that counts now. A change or an end makes a new version; none is ever
/// overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub version: i64,
    pub customer_id: CustomerId,
    pub device_id: DeviceId,
    pub source: GrantSource,
    pub functions: Allowance<FunctionName>,
    pub variables: Allowance<VariableName>,
    pub keys: Allowance<TelemetryKey>,
    /// Which part of the device's past the holder may see. Points are judged by their own time.
    pub history: Interval,
    pub starts_at: Timestamp,
    /// `None`: until somebody ends it.
    pub ends_at: Option<Timestamp>,
}

impl Grant {
    pub fn validity(&self) -> Interval {
        Interval::new(self.starts_at, self.ends_at.unwrap_or(Timestamp::MAX))
    }

    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.validity().contains(now)
    }

    /// What may be seen of the past by this grant: its history window, never beyond its own end.
    pub fn visible_history(&self) -> Interval {
        self.history
            .intersection(&Interval::new(Timestamp::MIN, self.validity().to))
    }
}
