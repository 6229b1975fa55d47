//! What the doors turned away, for staff to look at.

use ostler_core::id::{ProductId, RejectedEventId};
use ostler_store::{Listed, Page, RejectedEvent, StoreError};

use super::Desk;
use super::reach::merged;

impl Desk<'_> {
    /// Of one product or of all within reach, the newest first.
    pub async fn rejected_events(
        &self,
        product_id: Option<ProductId>,
        page: Page<RejectedEventId>,
    ) -> Result<Listed<RejectedEvent>, StoreError> {
        let mut pages = Vec::new();
        for product_id in self.lists_to_ask(product_id) {
            pages.push(self.app.store.rejected_events(product_id, page).await?);
        }
        Ok(merged(pages, page.limit, |one, other| other.id.cmp(&one.id)))
    }
}
