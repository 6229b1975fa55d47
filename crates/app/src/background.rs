//! What runs by itself: event streams, the jobs that settle, forget and prune.
//!
//! All of it stops when it is told to; nothing here is needed for a right to end on time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ostler_core::id::ProductId;
use ostler_store::{StoreError, StoredConnection, StoredCredential};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::App;
use crate::device_cloud::{CloudConnection, CloudCredential};

/// How often expired tokens, old keys and other leftovers are cleared away.
const TIDY_EVERY: Duration = Duration::from_secs(10 * 60);

/// How long a call that has left may still take to be written down when the server stops.
const UNDERTAKINGS_END_WITHIN: Duration = Duration::from_secs(5);

/// Tasks that outlive the request that began them.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Calls that have left, or are about to: their outcome must be written down.
    pub undertakings: TaskTracker,
    followers: Mutex<HashMap<ProductId, CancellationToken>>,
    follower_tasks: TaskTracker,
}

impl App {
    /// Runs until `stopping` is cancelled.
    pub async fn run_in_background(self: Arc<Self>, stopping: CancellationToken) {
        if let Err(error) = self.connect_clouds().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the cloud connections cannot be read: no events are followed"
            );
        }
        let jobs = async {
            tokio::join!(
                self.keep_settling_overdue_commands(),
                self.keep_hooks_beating(),
                self.keep_tidy()
            )
        };
        stopping.run_until_cancelled(jobs).await;
        self.stop_followers().await;
    }

    /// Waits for calls that have left to be written down, but not for ever: what is left over is
    /// settled as unknown at the next start.
    pub async fn finish(&self) {
        self.tasks.undertakings.close();
        if tokio::time::timeout(UNDERTAKINGS_END_WITHIN, self.tasks.undertakings.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                calls = self.tasks.undertakings.len(),
                "calls were still unanswered when the server stopped"
            );
        }
    }

    /// A product's cloud connection was set, changed or taken away: reach the cloud anew, and
    /// follow the product's events there.
    pub async fn cloud_changed(&self, product_id: ProductId) -> Result<(), StoreError> {
        let connection = self.store.cloud_connection(product_id).await?;
        let is_connected = connection.is_some();
        self.cloud.connect(product_id, connection.map(CloudConnection::from));
        self.unfollow(product_id);
        if is_connected {
            self.follow(product_id);
        }
        Ok(())
    }

    /// To be done before anybody is served: a call that came earlier would be told that its product
    /// is not connected.
    pub async fn connect_clouds(&self) -> Result<(), StoreError> {
        for (product_id, connection) in self.store.cloud_connections().await? {
            if !self.follows(product_id) {
                self.cloud.connect(product_id, Some(connection.into()));
                self.follow(product_id);
            }
        }
        Ok(())
    }

    fn follows(&self, product_id: ProductId) -> bool {
        self.tasks
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&product_id)
    }

    fn follow(&self, product_id: ProductId) {
        let stopping = CancellationToken::new();
        let mut followers = self.tasks.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = followers.insert(product_id, stopping.clone()) {
            former.cancel();
        }
        let app = self.shared();
        self.tasks
            .follower_tasks
            .spawn(async move { app.follow_events(product_id, stopping).await });
    }

    fn unfollow(&self, product_id: ProductId) {
        let mut followers = self.tasks.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = followers.remove(&product_id) {
            follower.cancel();
        }
        self.liveness.mark_stale(product_id);
    }

    async fn stop_followers(&self) {
        let followers = std::mem::take(&mut *self.tasks.followers.lock().unwrap_or_else(PoisonError::into_inner));
        followers.values().for_each(CancellationToken::cancel);
        self.tasks.follower_tasks.close();
        self.tasks.follower_tasks.wait().await;
    }

    async fn keep_tidy(&self) {
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            if let Err(error) = self.tidy().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "leftovers could not be cleared away"
                );
            }
        }
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.store.forget_idempotency_keys(now).await?;
        self.prune_identity(now).await
    }

    /// Whether the database answers.
    pub async fn ping_store(&self) -> Result<(), StoreError> {
        // A pooled connection is tried before it is handed out.
        self.store.read().await.map(drop)
    }
}

impl From<StoredConnection> for CloudConnection {
    fn from(stored: StoredConnection) -> Self {
        let credential = match stored.credential {
            StoredCredential::Client {
                client_id,
                client_secret,
            } => CloudCredential::Client {
                client_id,
                client_secret,
            },
            StoredCredential::Token(token) => CloudCredential::Token(token),
        };
        Self {
            base_url: stored.base_url,
            cloud_product: stored.cloud_product,
            credential,
        }
    }
}
