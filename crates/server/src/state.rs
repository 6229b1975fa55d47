//! What every handler can reach: the frame's own parts, and the use cases.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use ostler_app::App;
use ostler_core::port::{Clock, Entropy};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config;
use crate::health::Readiness;
use crate::layers::rate::RateLimits;
use crate::metrics::Metrics;
use crate::network::Network;

/// Answers whether a browser origin is registered on some client (`Origin`, RFC 6454 §7).
pub type OriginRegistered = Arc<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

/// What the frame is made of. Public, so that programs and tests put it together by name.
pub struct Frame {
    pub public_url: Url,
    pub trusted_proxies: Vec<Network>,
    pub limits: config::Limits,
    pub metrics: Metrics,
    /// Who may read `/metrics` on the public addresses.
    pub metrics_allowed: Vec<Network>,
    pub readiness: Readiness,
    pub rates: RateLimits,
    pub origin_registered: OriginRegistered,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Cancelled when the server begins to stop: open streams end themselves then.
    pub stopping: CancellationToken,
}

#[derive(Clone)]
pub struct ServerState {
    frame: Arc<Frame>,
    app: Arc<App>,
}

impl ServerState {
    pub fn new(frame: Frame, app: Arc<App>) -> Self {
        Self {
            frame: Arc::new(frame),
            app,
        }
    }

    /// As RFC 8414 §2 and RFC 9207 compare it: `public_url` without a slash at its end.
    pub fn issuer(&self) -> String {
        self.frame.public_url.as_str().trim_end_matches('/').to_owned()
    }

    /// The use cases.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    pub fn limits(&self) -> &config::Limits {
        &self.frame.limits
    }
}
