//! Staff of the maker: who works with Ostler itself, apart from all customers.

use std::fmt;
use std::str::FromStr;

use crate::scope::{Scope, ScopeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StaffRole {
    Owner,
    Admin,
    Support,
    Viewer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `owner`, `admin`, `support` or `viewer`")]
pub struct InvalidStaffRole;

impl StaffRole {
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Support, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Support => "support",
            Self::Viewer => "viewer",
        }
    }

    /// What a session of this role may ask for.
    pub const fn scopes(self) -> ScopeSet {
        let reads = ScopeSet::EMPTY.with(Scope::AdminRead).with(Scope::FleetRead);
        match self {
            Self::Owner | Self::Admin => reads.with(Scope::AdminWrite).with(Scope::FleetControl),
            Self::Support | Self::Viewer => reads,
        }
    }
}

impl FromStr for StaffRole {
    type Err = InvalidStaffRole;

    fn from_str(text: &str) -> Result<Self, InvalidStaffRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(InvalidStaffRole)
    }
}

impl fmt::Display for StaffRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_owners_and_admins_change_anything() {
        for role in StaffRole::ALL {
            let changes = matches!(role, StaffRole::Owner | StaffRole::Admin);
            assert_eq!(role.scopes().contains(Scope::AdminWrite), changes, "{role}");
            assert_eq!(role.scopes().contains(Scope::FleetControl), changes, "{role}");
            assert!(role.scopes().contains(Scope::AdminRead));
            assert_eq!(role.to_string().parse(), Ok(role));
        }
    }
}
