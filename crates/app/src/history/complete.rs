//! For which times an answer is complete: never more than was proven, seen and visible.

use ostler_core::id::ProductId;
use ostler_core::interval::{Interval, IntervalSet};
use ostler_store::StoreError;

use crate::App;

impl App {
    /// The proven intervals of the product's doors within `range`, as far as they are visible.
    pub(super) async fn complete_within(
        &self,
        product_id: ProductId,
        visible: &IntervalSet,
        range: Interval,
    ) -> Result<IntervalSet, StoreError> {
        let proven = self.store.complete_intervals(product_id, range).await?;
        Ok(proven.intersection(visible))
    }
}
