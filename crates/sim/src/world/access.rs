//! Who may do what (reference §2.5). Routes ask here and never look at a principal themselves, so
//! that the table of token kinds stands in one place.

use super::{ClientHome, Device, Owner, Principal, ProductRole, World};
use crate::http::{Credentials, Refusal};
use crate::id::{DeviceId, ProductId, UserId};

/// A request whose token is known and alive.
#[derive(Clone)]
pub(crate) struct Caller {
    pub principal: Principal,
    pub token: String,
}

/// The scopes of API users that routes ask for, spelled as the vendor spells them (§2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    ClientsCreate,
    ClientsList,
    ClientsRemove,
    ClientsUpdate,
    CustomersList,
    CustomersRemove,
    CustomersUpdate,
    DeviceFunctionCall,
    DeviceVariableGet,
    DevicesGet,
    DevicesImport,
    DevicesList,
    DevicesPing,
    DevicesRelease,
    DevicesRemove,
    DevicesUpdate,
    DiagnosticsGet,
    DiagnosticsUpdate,
    EventsGet,
    EventsSend,
    IntegrationsCreate,
    IntegrationsGet,
    IntegrationsList,
    IntegrationsRemove,
    IntegrationsTest,
    IntegrationsUpdate,
    LocationsGet,
    ProductsGet,
    TeamInvite,
    TeamList,
    TeamRemove,
    TeamUpdate,
}

impl Scope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ClientsCreate => "clients:create",
            Self::ClientsList => "clients:list",
            Self::ClientsRemove => "clients:remove",
            Self::ClientsUpdate => "clients:update",
            Self::CustomersList => "customers:list",
            Self::CustomersRemove => "customers:remove",
            Self::CustomersUpdate => "customers:update",
            Self::DeviceFunctionCall => "devices.function:call",
            Self::DeviceVariableGet => "devices.variable:get",
            Self::DevicesGet => "devices:get",
            Self::DevicesImport => "devices:import",
            Self::DevicesList => "devices:list",
            Self::DevicesPing => "devices:ping",
            Self::DevicesRelease => "devices:release",
            Self::DevicesRemove => "devices:remove",
            Self::DevicesUpdate => "devices:update",
            Self::DiagnosticsGet => "devices.diagnostics:get",
            Self::DiagnosticsUpdate => "devices.diagnostics:update",
            Self::EventsGet => "events:get",
            Self::EventsSend => "events:send",
            Self::IntegrationsCreate => "integrations:create",
            Self::IntegrationsGet => "integrations:get",
            Self::IntegrationsList => "integrations:list",
            Self::IntegrationsRemove => "integrations:remove",
            Self::IntegrationsTest => "integrations:test",
            Self::IntegrationsUpdate => "integrations:update",
            Self::LocationsGet => "locations:get",
            Self::ProductsGet => "products:get",
            Self::TeamInvite => "teams.users:invite",
            Self::TeamList => "teams.users:list",
            Self::TeamRemove => "teams.users:remove",
            Self::TeamUpdate => "teams.users:update",
        }
    }
}

impl World {
    pub(crate) fn authenticate(&self, credentials: &Credentials) -> Result<Caller, Refusal> {
        let token = match credentials.tokens.as_slice() {
            [] => return Err(Refusal::NoToken),
            [token] => token,
            [_, ..] => return Err(Refusal::TokenSentTwice),
        };
        let known = self.registry.tokens.get(token).ok_or(Refusal::UnknownToken)?;
        if known.expires_at.is_some_and(|at| at <= self.now()) {
            return Err(Refusal::ExpiredToken);
        }
        Ok(Caller {
            principal: known.principal.clone(),
            token: token.clone(),
        })
    }

    /// `:product` is the number or the slug.
    pub(crate) fn product_id(&self, reference: &str) -> Result<ProductId, Refusal> {
        let number = reference.parse().ok().map(ProductId);
        self.registry
            .products
            .values()
            .find(|product| Some(product.id) == number || product.slug == reference)
            .map(|product| product.id)
            .ok_or(Refusal::ProductNotFound)
    }

    /// May the caller use this scope in this product? Customers may not use product routes at all.
    pub(crate) fn enter_product(
        &self,
        credentials: &Credentials,
        reference: &str,
        scope: Scope,
    ) -> Result<(Caller, ProductId), Refusal> {
        let caller = self.authenticate(credentials)?;
        let product = self.product_id(reference)?;
        match &caller.principal {
            Principal::User(user) if self.registry.products[&product].role_of(user).is_some() => {}
            Principal::ProductClient(own) if *own == product => {}
            Principal::ApiUser(name) => self.check_scope(name, product, scope)?,
            Principal::User(_) | Principal::ProductClient(_) | Principal::Customer(_) => {
                return Err(Refusal::WrongRoute);
            }
        }
        Ok((caller, product))
    }

    fn check_scope(&self, api_user: &str, product: ProductId, scope: Scope) -> Result<(), Refusal> {
        let missing = Refusal::MissingScope {
            status: self.config.inference.missing_scope_status,
        };
        let known = self.registry.api_users.get(api_user).ok_or(Refusal::UnknownToken)?;
        if known.product_id != product {
            return Err(Refusal::WrongRoute);
        }
        if known.scopes.contains(scope.as_str()) {
            Ok(())
        } else {
            Err(missing)
        }
    }

    /// Only a person with a role in the team may manage clients' homes and API users.
    pub(crate) fn enter_team(
        &self,
        credentials: &Credentials,
        reference: &str,
        scope: Scope,
    ) -> Result<ProductId, Refusal> {
        let (caller, product) = self.enter_product(credentials, reference, scope)?;
        match &caller.principal {
            Principal::User(user)
                if self.registry.products[&product].role_of(user) == Some(ProductRole::Administrator) =>
            {
                Ok(product)
            }
            Principal::ApiUser(_) => Ok(product),
            Principal::User(_) | Principal::ProductClient(_) | Principal::Customer(_) => Err(Refusal::WrongRoute),
        }
    }

    /// Routes of an account: people only.
    pub(crate) fn enter_account(&self, credentials: &Credentials) -> Result<UserId, Refusal> {
        match self.authenticate(credentials)?.principal {
            Principal::User(id) => Ok(id),
            Principal::ApiUser(_) => Err(Refusal::ApiUsersNotAllowed),
            Principal::ProductClient(_) | Principal::Customer(_) => Err(Refusal::WrongRoute),
        }
    }

    /// People and customers: whoever can own a device.
    pub(crate) fn enter_as_owner(&self, credentials: &Credentials) -> Result<(Caller, Owner), Refusal> {
        let caller = self.authenticate(credentials)?;
        match caller.principal.as_owner() {
            Some(owner) => Ok((caller, owner)),
            None if matches!(caller.principal, Principal::ApiUser(_)) => Err(Refusal::ApiUsersNotAllowed),
            None => Err(Refusal::WrongRoute),
        }
    }

    /// A device on the plain routes, by id or name, if the caller owns it.
    pub(crate) fn owned_device(
        &self,
        credentials: &Credentials,
        reference: &str,
    ) -> Result<(Caller, DeviceId), Refusal> {
        let (caller, owner) = self.enter_as_owner(credentials)?;
        let device = self
            .find_device(reference, |device| device.owner.as_ref() == Some(&owner))
            .ok_or(Refusal::PermissionDenied)?;
        Ok((caller, device.id.clone()))
    }

    /// `GET /v1/devices/:id` also shows product devices that the token may see (reference §5.2).
    pub(crate) fn visible_device(&self, credentials: &Credentials, reference: &str) -> Result<DeviceId, Refusal> {
        let caller = self.authenticate(credentials)?;
        let owner = caller.principal.as_owner();
        let sees = |device: &Device| {
            let in_product = device.product_id.is_some_and(|product| match &caller.principal {
                Principal::User(user) => self
                    .registry
                    .products
                    .get(&product)
                    .is_some_and(|one| one.role_of(user).is_some()),
                Principal::ProductClient(own) => *own == product,
                Principal::ApiUser(name) => self.check_scope(name, product, Scope::DevicesGet).is_ok(),
                Principal::Customer(_) => false,
            });
            in_product || (owner.is_some() && device.owner == owner)
        };
        let device = self.find_device(reference, sees).ok_or(Refusal::PermissionDenied)?;
        Ok(device.id.clone())
    }

    fn find_device(&self, reference: &str, may_see: impl Fn(&Device) -> bool) -> Option<&Device> {
        let by_id = self.registry.devices.get(&DeviceId::new(reference));
        by_id.filter(|device| may_see(device)).or_else(|| {
            self.registry
                .devices
                .values()
                .find(|device| device.name.as_deref() == Some(reference) && may_see(device))
        })
    }

    /// A device on the product routes: by id only, claimed or not.
    pub(crate) fn product_device(
        &self,
        credentials: &Credentials,
        product: &str,
        device: &str,
        scope: Scope,
    ) -> Result<(Caller, DeviceId), Refusal> {
        let (caller, product) = self.enter_product(credentials, product, scope)?;
        let id = DeviceId::new(device);
        match self.registry.devices.get(&id) {
            Some(device) if device.product_id == Some(product) => Ok((caller, id)),
            Some(_) | None => Err(Refusal::NotInProduct),
        }
    }

    /// Clients and hooks of a product or, without one, of the caller's account.
    pub(crate) fn enter_home(
        &self,
        credentials: &Credentials,
        product: Option<&str>,
        scope: Scope,
    ) -> Result<ClientHome, Refusal> {
        match product {
            Some(product) => Ok(ClientHome::Product(self.enter_product(credentials, product, scope)?.1)),
            None => Ok(ClientHome::Account(self.enter_account(credentials)?)),
        }
    }
}
