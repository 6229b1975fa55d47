//! A product and who works on it. Firmware, groups' colours and release rules are not simulated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use crate::id::{ProductId, UserId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ProductRole {
    Administrator,
    Developer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Product {
    pub id: ProductId,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub platform_id: u16,
    pub team: BTreeMap<UserId, ProductRole>,
}

impl Product {
    pub(crate) fn role_of(&self, user: &UserId) -> Option<ProductRole> {
        self.team.get(user).copied()
    }
}

impl World {
    pub(crate) fn product_wire(&self, product: &Product) -> Value {
        let devices = self
            .registry
            .devices
            .values()
            .filter(|one| one.product_id == Some(product.id));
        let mut groups: Vec<&String> = devices.clone().flat_map(|one| &one.groups).collect();
        groups.sort_unstable();
        groups.dedup();
        json!({
            "id": product.id,
            "platform_id": product.platform_id,
            "name": product.name,
            "slug": product.slug,
            "description": product.description,
            "groups": groups,
            "settings": {"quarantine": true},
            "org": null,
            "device_count": devices.count(),
        })
    }
}
