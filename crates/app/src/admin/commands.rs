//! The ledger as staff see it: who called what, by which right, and what became of it.

use ostler_core::command::CommandStatus;
use ostler_core::id::{CommandId, CustomerId, DeviceId, ProductId};
use ostler_store::{Command, CommandFilter, Listed, Page, StoreError};

use super::Desk;
use super::reach::merged;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no such command within reach")]
    NotFound,
    #[error("the ledger could not be read")]
    Store(#[from] StoreError),
}

/// Every member narrows the list.
#[derive(Debug, Clone, Copy, Default)]
pub struct LedgerFilter {
    pub product_id: Option<ProductId>,
    pub device_id: Option<DeviceId>,
    pub customer_id: Option<CustomerId>,
    pub status: Option<CommandStatus>,
}

impl Desk<'_> {
    /// The newest first.
    pub async fn commands(&self, filter: LedgerFilter, page: Page<CommandId>) -> Result<Listed<Command>, LedgerError> {
        let LedgerFilter {
            product_id,
            device_id,
            customer_id,
            status,
        } = filter;
        let mut pages = Vec::new();
        for product_id in self.lists_to_ask(product_id) {
            let filter = CommandFilter {
                product_id,
                device_id,
                customer_id,
                status,
            };
            pages.push(self.app.store.commands(filter, page).await?);
        }
        Ok(merged(pages, page.limit, |one, other| other.id.cmp(&one.id)))
    }

    pub async fn command(&self, command_id: CommandId) -> Result<Command, LedgerError> {
        let command = self.app.store.command(command_id).await?.ok_or(LedgerError::NotFound)?;
        // A refusal on a device that does not exist belongs to no product.
        let reached = command
            .product_id
            .map_or(self.reaches_all(), |product_id| self.reaches(product_id));
        if reached {
            Ok(command)
        } else {
            Err(LedgerError::NotFound)
        }
    }
}
