//! A product: what all devices of one kind have in common, as the maker declared it.

use std::collections::BTreeMap;

use crate::contract::FunctionContract;
use crate::id::ProductId;
use crate::mapping::{EventMapping, KeyMapping};
use crate::name::{FunctionName, Slug, TelemetryKey, VariableName};

#[derive(Debug, Clone)]
pub struct Product {
    pub id: ProductId,
    pub version: i64,
    pub declaration: Declaration,
}

/// The content of a product file, checked.
#[derive(Debug, Clone)]
pub struct Declaration {
    pub slug: Slug,
    pub name: String,
    pub time_zone: String,
    pub access_mode: AccessMode,
    pub functions: BTreeMap<FunctionName, FunctionContract>,
    pub variables: BTreeMap<VariableName, VariableDeclaration>,
    pub telemetry: Vec<EventMapping>,
    /// Parts of location events that are dropped at ingest unless named here.
    pub keep: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableDeclaration {
    pub name: VariableName,
    pub kind: VariableKind,
    pub unit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableKind {
    Int32,
    Double,
    String,
    Bool,
}

impl VariableKind {
    pub const ALL: [Self; 4] = [Self::Int32, Self::Double, Self::String, Self::Bool];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Int32 => "int32",
            Self::Double => "double",
            Self::String => "string",
            Self::Bool => "bool",
        }
    }
}

/// How a device is held at the cloud (design.md §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessMode {
    Fleet,
    Customer,
    SessionClaim,
    OperatorAccount,
}

impl AccessMode {
    pub const ALL: [Self; 4] = [Self::Fleet, Self::Customer, Self::SessionClaim, Self::OperatorAccount];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Customer => "customer",
            Self::SessionClaim => "session-claim",
            Self::OperatorAccount => "operator-account",
        }
    }
}

impl Declaration {
    /// Every telemetry key once, in the order of declaration.
    pub fn keys(&self) -> impl Iterator<Item = &KeyMapping> {
        let mut seen = std::collections::BTreeSet::new();
        self.telemetry
            .iter()
            .flat_map(|mapping| &mapping.keys)
            .filter(move |mapping| seen.insert(&mapping.key))
    }

    pub fn key(&self, key: &TelemetryKey) -> Option<&KeyMapping> {
        self.keys().find(|mapping| mapping.key == *key)
    }
}
