//! Which product is reached how, now. Replaced as a whole when a maker connects anew; whoever
//! follows a product's stream is told.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ostler_app::device_cloud::{CloudConnection, CloudCredential};
use ostler_core::id::ProductId;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::connection::Connection;

pub(crate) struct Links {
    links: RwLock<HashMap<ProductId, Link>>,
    changes: watch::Sender<u64>,
}

struct Link {
    settings: CloudConnection,
    connection: Arc<Connection>,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            links: RwLock::default(),
            changes: watch::Sender::new(0),
        }
    }

    pub(crate) fn get(&self, product_id: ProductId) -> Option<Arc<Connection>> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links.get(&product_id).map(|link| Arc::clone(&link.connection))
    }

    pub(crate) fn has(&self, product_id: ProductId, settings: &CloudConnection) -> bool {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links
            .get(&product_id)
            .is_some_and(|link| same_settings(&link.settings, settings))
    }

    pub(crate) fn set(&self, product_id: ProductId, settings: CloudConnection, connection: Connection) {
        let link = Link {
            settings,
            connection: Arc::new(connection),
        };
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.insert(product_id, link);
        drop(links);
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn remove(&self, product_id: ProductId) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let removed = links.remove(&product_id);
        drop(links);
        if removed.is_some() {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// Waits until `product_id` is reached otherwise than by `last`; `None`: not at all.
    pub(crate) async fn other_than(
        &self,
        product_id: ProductId,
        last: Option<&Arc<Connection>>,
    ) -> Option<Arc<Connection>> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let present = self.get(product_id);
            let is_other = match (&present, last) {
                (Some(present), Some(last)) => !Arc::ptr_eq(present, last),
                (Some(_), None) | (None, Some(_)) => true,
                (None, None) => false,
            };
            if is_other {
                return present;
            }
            changes.changed().await.expect("self holds the sender");
        }
    }
}

/// Whether two settings mean the same connection, so that re-announcing one keeps its state.
fn same_settings(one: &CloudConnection, other: &CloudConnection) -> bool {
    let same = |one: &str, other: &str| bool::from(one.as_bytes().ct_eq(other.as_bytes()));
    let same_credential = match (&one.credential, &other.credential) {
        (CloudCredential::Token(one), CloudCredential::Token(other)) => {
            same(one.expose_secret(), other.expose_secret())
        }
        (
            CloudCredential::Client {
                client_id: one_id,
                client_secret: one_secret,
            },
            CloudCredential::Client {
                client_id: other_id,
                client_secret: other_secret,
            },
        ) => one_id == other_id && same(one_secret.expose_secret(), other_secret.expose_secret()),
        (CloudCredential::Token(_), CloudCredential::Client { .. })
        | (CloudCredential::Client { .. }, CloudCredential::Token(_)) => false,
    };
    same_credential && one.base_url == other.base_url && one.cloud_product == other.cloud_product
}
