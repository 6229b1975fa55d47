//! [`Particle`]: the port's methods, each handed to the connection of its product.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ostler_app::device_cloud::{
    CloudConnection, CloudError, DeviceCloud, HookRequest, HookStep, ListedDevice, ReadOutcome, StreamItem,
};
use ostler_core::command::{CallOutcome, NotSent};
use ostler_core::id::ProductId;
use ostler_core::policy::{CallPermit, ReadPermit};
use ostler_core::port::{Clock, Entropy};
use tokio::sync::mpsc;
use tracing::error;

use crate::address::{CloudAddress, InvalidAddress};
use crate::connection::Connection;
use crate::links::Links;
use crate::lockout::Lockout;
use crate::mint::Site;
use crate::options::ParticleOptions;
use crate::pool::{Connector, Pool, connector};
use crate::stream;
use crate::token::NotAToken;

/// The device cloud of Particle.
pub struct Particle {
    options: ParticleOptions,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    connector: Connector,
    /// Products at one cloud share its connections, and its count of refused credentials.
    sites: Mutex<HashMap<CloudAddress, Arc<Site>>>,
    links: Arc<Links>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidConnection {
    #[error("its address {0}")]
    Address(#[from] InvalidAddress),
    #[error("its token {0}")]
    Token(#[from] NotAToken),
}

impl Particle {
    pub fn new(options: ParticleOptions, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            options,
            clock,
            entropy,
            connector: connector(),
            sites: Mutex::default(),
            links: Arc::new(Links::new()),
        }
    }

    pub(crate) fn site(&self, address: &CloudAddress) -> Arc<Site> {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let site = sites.entry(address.clone()).or_insert_with(|| {
            let pool = Pool::new(address.clone(), self.connector.clone(), &self.options);
            Arc::new(Site {
                pool: Arc::new(pool),
                lockout: Lockout::default(),
            })
        });
        Arc::clone(site)
    }

    /// A connection that no product is bound to yet.
    pub(crate) fn open(&self, settings: &CloudConnection) -> Result<Connection, InvalidConnection> {
        let address = settings.base_url.parse()?;
        let connection = Connection::new(
            settings.cloud_product.parse()?,
            self.site(&address),
            settings.credential.clone(),
            &self.options,
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        )?;
        Ok(connection)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn options(&self) -> &ParticleOptions {
        &self.options
    }
}

impl DeviceCloud for Particle {
    fn connect(&self, product_id: ProductId, connection: Option<CloudConnection>) {
        let Some(settings) = connection else {
            self.links.remove(product_id);
            return;
        };
        // Saying the same again must not forget that a credential was refused.
        if self.links.has(product_id, &settings) {
            return;
        }
        match self.open(&settings) {
            Ok(connection) => self.links.set(product_id, settings, connection),
            Err(cause) => {
                error!(product.id = %product_id, %cause, "product {product_id} cannot be connected to its device cloud");
                self.links.remove(product_id);
            }
        }
    }

    fn call_function<'a>(&'a self, permit: &'a CallPermit, deadline: Duration) -> BoxFuture<'a, CallOutcome> {
        async move {
            match self.links.get(permit.product_id()) {
                Some(connection) => connection.call_function(permit, deadline).await,
                None => CallOutcome::NotSent(NotSent::NotConnected),
            }
        }
        .boxed()
    }

    fn read_variable<'a>(&'a self, permit: &'a ReadPermit, deadline: Duration) -> BoxFuture<'a, ReadOutcome> {
        async move {
            match self.links.get(permit.product_id()) {
                Some(connection) => connection.read_variable(permit, deadline).await,
                None => ReadOutcome::Unavailable,
            }
        }
        .boxed()
    }

    fn events(&self, product_id: ProductId) -> mpsc::Receiver<StreamItem> {
        let (sink, source) = mpsc::channel(self.options.stream.queue);
        let follower = stream::Follower::new(
            product_id,
            Arc::clone(&self.links),
            Arc::clone(&self.entropy),
            self.options.stream.clone(),
            sink,
        );
        tokio::spawn(follower.follow());
        source
    }

    fn check(&self, product_id: ProductId) -> BoxFuture<'_, Result<(), CloudError>> {
        async move { self.linked(product_id)?.check().await }.boxed()
    }

    fn list_devices(&self, product_id: ProductId) -> BoxFuture<'_, Result<Vec<ListedDevice>, CloudError>> {
        async move { self.linked(product_id)?.list_devices().await }.boxed()
    }

    fn ensure_hooks<'a>(
        &'a self,
        product_id: ProductId,
        request: &'a HookRequest,
        dry_run: bool,
    ) -> BoxFuture<'a, Result<Vec<HookStep>, CloudError>> {
        async move { self.linked(product_id)?.ensure_hooks(request, dry_run).await }.boxed()
    }

    fn publish<'a>(
        &'a self,
        product_id: ProductId,
        name: &'a str,
        data: &'a str,
    ) -> BoxFuture<'a, Result<(), CloudError>> {
        async move { self.linked(product_id)?.publish(name, data).await }.boxed()
    }
}

impl Particle {
    fn linked(&self, product_id: ProductId) -> Result<Arc<Connection>, CloudError> {
        self.links.get(product_id).ok_or(CloudError::NotConnected)
    }
}
