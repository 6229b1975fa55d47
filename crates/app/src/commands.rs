//! What became of a command, for whoever asked for it and for the maker.

use ostler_core::caller::{Caller, Principal};
use ostler_core::id::CommandId;
use ostler_store::StoreError;

pub use ostler_store::Command;

use crate::App;

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Unknown, or somebody else's: the same to whoever asks.
    #[error("there is no such command")]
    NotFound,
    #[error("the ledger could not be read")]
    Store(#[from] StoreError),
}

impl App {
    pub async fn command(&self, caller: &Caller, command_id: CommandId) -> Result<Command, CommandError> {
        let command = self.store.command(command_id).await?.ok_or(CommandError::NotFound)?;
        if may_see(caller, &command) {
            Ok(command)
        } else {
            Err(CommandError::NotFound)
        }
    }
}

/// A command stays its customer's own to look at after the grant has ended; it says nothing of
/// the device that its caller was not told then.
fn may_see(caller: &Caller, command: &Command) -> bool {
    match &caller.who {
        Principal::Customer(customer_id) => command.customer_id == Some(*customer_id),
        Principal::Machine { products } | Principal::Staff { products, .. } => {
            command.product_id.is_some_and(|product_id| products.covers(product_id))
        }
    }
}
