//! Customers and OAuth clients, at the desk. They belong to no single product, so whoever is bound
//! to named products has no part in them: to such a desk there are none.

use ostler_core::client::{Client, ClientRegistration};
use ostler_core::id::{ClientId, CustomerId};
use ostler_core::secret::ClientSecret;
use ostler_store::{CustomerRecord, Listed, Page};

use super::Desk;
use crate::identity::{AccountError, ClientError, ClientPatch, CustomerRequest, NewClientSecret};

impl Desk<'_> {
    pub async fn customers(&self, page: Page<CustomerId>) -> Result<Listed<CustomerRecord>, AccountError> {
        if !self.reaches_all() {
            return Ok(Listed {
                items: Vec::new(),
                more: false,
            });
        }
        self.app.customers(page).await
    }

    pub async fn customer(&self, id: CustomerId) -> Result<CustomerRecord, AccountError> {
        self.has_accounts()?;
        self.app.customer(id).await
    }

    pub async fn create_customer(&self, request: CustomerRequest) -> Result<CustomerRecord, AccountError> {
        self.has_accounts()?;
        let id = self.app.create_customer(request, self.by).await?;
        self.app.customer(id).await
    }

    /// Closing it again answers alike.
    pub async fn close_customer(&self, id: CustomerId) -> Result<CustomerRecord, AccountError> {
        self.has_accounts()?;
        self.app.close_customer(id, self.by).await
    }

    pub async fn clients(&self, page: Page<ClientId>) -> Result<Listed<Client>, ClientError> {
        if !self.reaches_all() {
            return Ok(Listed {
                items: Vec::new(),
                more: false,
            });
        }
        self.app.clients(page).await
    }

    pub async fn client(&self, id: ClientId) -> Result<Client, ClientError> {
        self.has_clients()?;
        self.app.client(id).await
    }

    pub async fn create_client(
        &self,
        registration: ClientRegistration,
    ) -> Result<(Client, NewClientSecret), ClientError> {
        self.has_clients()?;
        self.app.create_client(registration, None, self.by).await
    }

    pub async fn change_client(&self, id: ClientId, patch: ClientPatch) -> Result<Client, ClientError> {
        self.has_clients()?;
        self.app.change_client(id, patch, self.by).await
    }

    pub async fn replace_client_secret(&self, id: ClientId) -> Result<ClientSecret, ClientError> {
        self.has_clients()?;
        self.app.replace_client_secret(id, self.by).await
    }

    /// Ending it again answers alike.
    pub async fn end_client(&self, id: ClientId) -> Result<Client, ClientError> {
        self.has_clients()?;
        self.app.end_client(id, self.by).await
    }

    fn has_accounts(&self) -> Result<(), AccountError> {
        self.reaches_all().then_some(()).ok_or(AccountError::NotFound)
    }

    fn has_clients(&self) -> Result<(), ClientError> {
        self.reaches_all().then_some(()).ok_or(ClientError::NotFound)
    }
}
