//! Products as parsed from their stored files.
//!
//! A version of a product never changes, so it is parsed once. Which version counts is always asked
//! of the database or the read model, never of this.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ostler_core::id::ProductId;
use ostler_core::product::{Declaration, Product};
use ostler_core::product_file::ProductFile;

use crate::error::StoreError;

#[derive(Default)]
pub(crate) struct ProductCache(RwLock<Known>);

#[derive(Default)]
struct Known {
    products: HashMap<ProductId, Arc<Product>>,
    /// `<id>.<version>;` of each.
    names: Arc<str>,
}

impl ProductCache {
    pub fn get(&self, id: ProductId, version: i64) -> Option<Arc<Product>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let product = known.products.get(&id);
        product.filter(|product| product.version == version).cloned()
    }

    /// What is known, as [`unknown_file!`] reads it.
    pub fn names(&self) -> Arc<str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.names)
    }

    /// The product of this version; `file` is parsed only if it is not known yet.
    pub fn parsed(&self, id: ProductId, version: i64, file: &str) -> Result<Arc<Product>, StoreError> {
        if let Some(product) = self.get(id, version) {
            return Ok(product);
        }
        let product = Arc::new(Product {
            id,
            version,
            declaration: declaration(file)?,
        });
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.products.insert(id, Arc::clone(&product));
        let products = known.products.values();
        let names: String = products
            .map(|product| format!("{}.{};", product.id, product.version))
            .collect();
        known.names = names.into();
        Ok(product)
    }
}

/// The file of product `p`, or NULL if the parameter, [`ProductCache::names`], names this version:
/// so that the statement which finds a product brings what is not known of it yet, and nobody can
/// tell by a second statement that something was found (P8).
macro_rules! unknown_file {
    ($names:literal) => {
        concat!(
            "CASE WHEN ",
            $names,
            " LIKE '%' || p.product_id || '.' || p.version || ';%' THEN NULL
                  ELSE (SELECT f.file FROM product_version f
                         WHERE f.product_id = p.product_id AND f.version = p.version) END"
        )
    };
}
pub(crate) use unknown_file;

/// A stored file was checked when it was applied; one that no longer reads is our fault.
pub(crate) fn declaration(file: &str) -> Result<Declaration, StoreError> {
    ProductFile::from_json(file)
        .and_then(|file| file.check())
        .map_err(|faults| StoreError::unreadable("a product file", faults))
}
