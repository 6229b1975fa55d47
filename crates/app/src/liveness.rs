//! For which products what we know of presence is current: while the event stream is connected,
//! and once the device list has been read since it was.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use ostler_core::id::ProductId;

use crate::App;

#[derive(Default)]
pub(crate) struct Liveness(RwLock<HashSet<ProductId>>);

impl Liveness {
    /// From here on every change of presence reaches us.
    pub fn mark_current(&self, product_id: ProductId) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(product_id);
    }

    /// Changes may be missed: what we knew is no longer known.
    pub fn mark_stale(&self, product_id: ProductId) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&product_id);
    }
}

impl App {
    pub(crate) fn presence_is_current(&self, product_id: ProductId) -> bool {
        self.liveness
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&product_id)
    }
}
