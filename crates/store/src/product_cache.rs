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
pub(crate) struct ProductCache(RwLock<HashMap<ProductId, Arc<Product>>>);

impl ProductCache {
    pub fn get(&self, id: ProductId, version: i64) -> Option<Arc<Product>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).filter(|product| product.version == version).cloned()
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
        known.insert(id, Arc::clone(&product));
        Ok(product)
    }
}

/// A stored file was checked when it was applied; one that no longer reads is our fault.
pub(crate) fn declaration(file: &str) -> Result<Declaration, StoreError> {
    ProductFile::from_json(file)
        .and_then(|file| file.check())
        .map_err(|faults| StoreError::unreadable("a product file", faults))
}
