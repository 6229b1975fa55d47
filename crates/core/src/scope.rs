//! OAuth scopes (RFC 6749 §3.3) as a closed set.

use std::fmt;
use std::str::FromStr;

macro_rules! scopes {
    ($($variant:ident => $text:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $($variant),+ }

        impl Scope {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for Scope {
            type Err = InvalidScope;
            fn from_str(text: &str) -> Result<Self, InvalidScope> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(InvalidScope) }
            }
        }
    };
}

scopes! {
    OpenId => "openid",
    Profile => "profile",
    Email => "email",
    OfflineAccess => "offline_access",
    DevicesRead => "devices:read",
    DevicesControl => "devices:control",
    HistoryRead => "history:read",
    Rentals => "rentals",
    Account => "account",
    FleetRead => "fleet:read",
    FleetControl => "fleet:control",
    AdminRead => "admin:read",
    AdminWrite => "admin:write",
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be scopes that this server knows, separated by single spaces")]
pub struct InvalidScope;

impl Scope {
    /// Scopes of the maker's own machines: never for customers, public or linking clients, nor
    /// through token exchange.
    pub const fn is_machine(self) -> bool {
        match self {
            Self::FleetRead | Self::FleetControl | Self::AdminRead | Self::AdminWrite => true,
            Self::OpenId
            | Self::Profile
            | Self::Email
            | Self::OfflineAccess
            | Self::DevicesRead
            | Self::DevicesControl
            | Self::HistoryRead
            | Self::Rentals
            | Self::Account => false,
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of scopes; written in the fixed order of [`Scope::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct ScopeSet(u32);

impl ScopeSet {
    pub const EMPTY: Self = Self(0);

    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    #[must_use]
    pub const fn without(self, scope: Scope) -> Self {
        Self(self.0 & !scope.bit())
    }

    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }

    pub fn has_machine_scope(self) -> bool {
        self.iter().any(Scope::is_machine)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_parameter_is_read_and_written() {
        let scopes: ScopeSet = "history:read devices:read".parse().unwrap();
        assert_eq!(scopes.to_string(), "devices:read history:read");
        assert!(!scopes.has_machine_scope());
        assert!("devices:read nonsense".parse::<ScopeSet>().is_err());
    }

    #[test]
    fn a_machine_scope_is_told_apart() {
        let scopes: ScopeSet = "devices:read fleet:control".parse().unwrap();
        assert!(scopes.has_machine_scope());
        assert!(!scopes.is_subset_of("devices:read".parse().unwrap()));
    }
}
