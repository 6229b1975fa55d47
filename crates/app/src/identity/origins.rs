//! Which browser origins may call the API: those that are registered on some live client.
//!
//! Asked at every request from a browser's script, so the answer is kept for a few seconds. What CORS
//! guards is the browser's user, not our rights: those come from the token in every case.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ostler_core::client::WebOrigin;
use ostler_core::time::Timestamp;
use ostler_store::StoreError;

use crate::App;

const KEPT_FOR: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct OriginCache(RwLock<Option<Known>>);

#[derive(Clone)]
struct Known {
    origins: Arc<BTreeSet<WebOrigin>>,
    read_at: Timestamp,
}

impl OriginCache {
    fn recall(&self, now: Timestamp) -> Option<Arc<BTreeSet<WebOrigin>>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known
            .as_ref()
            .filter(|known| now.since(known.read_at) < KEPT_FOR && known.read_at <= now)?;
        Some(Arc::clone(&known.origins))
    }

    fn remember(&self, origins: &Arc<BTreeSet<WebOrigin>>, read_at: Timestamp) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Known {
            origins: Arc::clone(origins),
            read_at,
        });
    }

    /// After a change of this instance's own, which its caller expects to see at once.
    pub fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl App {
    /// `false` as well if the registry cannot be read: the browser then refuses its script the answer.
    pub async fn is_registered_origin(&self, origin: &str) -> bool {
        let Ok(origin) = origin.parse::<WebOrigin>() else {
            return false;
        };
        match self.registered_origins().await {
            Ok(origins) => origins.contains(&origin),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the clients' origins could not be read"
                );
                false
            }
        }
    }

    async fn registered_origins(&self) -> Result<Arc<BTreeSet<WebOrigin>>, StoreError> {
        let now = self.clock.now();
        if let Some(known) = self.identity.origins.recall(now) {
            return Ok(known);
        }
        let origins = Arc::new(self.store.cors_origins().await?);
        self.identity.origins.remember(&origins, now);
        Ok(origins)
    }
}
