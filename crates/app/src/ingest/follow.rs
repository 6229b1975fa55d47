//! The event stream of each connected product, read for as long as the program runs.
//!
//! One task per product: it takes what has come in, makes it durable in one commit, and takes
//! again; while it waits the stream is not read, and the cloud's side of it fills. While the
//! stream is connected nothing is missed, and presence is known.

use std::sync::Arc;
use std::time::Duration;

use ostler_core::event::CloudEvent;
use ostler_core::id::ProductId;
use ostler_core::interval::Interval;
use ostler_core::policy::Presence;
use ostler_core::time::Timestamp;
use ostler_store::{Door, Heard, StoreError};
use tokio_util::sync::CancellationToken;

use super::take::Arrival;
use crate::App;
use crate::device_cloud::{CloudError, StreamItem};

/// The most items of one commit.
const BATCH_MAX: usize = 256;
/// How often the complete interval of a connected stream is made durable.
const EXTEND_EVERY: Duration = Duration::from_secs(1);
/// After a failure of the database: longer and longer, up to the last.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
];

struct Follower {
    app: Arc<App>,
    product_id: ProductId,
    stopping: CancellationToken,
    connection: Connection,
}

enum Connection {
    Interrupted,
    /// Nothing was missed from `since` until `seen`; that is durable until `recorded`.
    Connected {
        since: Timestamp,
        seen: Timestamp,
        recorded: Timestamp,
    },
}

#[derive(Debug, thiserror::Error)]
enum PresenceUnknown {
    #[error("the device cloud did not list its devices")]
    Cloud(#[from] CloudError),
    #[error("presence could not be recorded")]
    Store(#[from] StoreError),
}

impl App {
    /// Reads one product's stream until `stopping`.
    pub async fn follow_events(self: Arc<Self>, product_id: ProductId, stopping: CancellationToken) {
        Follower {
            app: self,
            product_id,
            stopping,
            connection: Connection::Interrupted,
        }
        .run()
        .await;
    }
}

impl Follower {
    async fn run(mut self) {
        let stopping = self.stopping.clone();
        let mut stream = self.app.cloud.events(self.product_id);
        let mut items = Vec::with_capacity(BATCH_MAX);
        while let Some(1..) = stopping
            .run_until_cancelled(stream.recv_many(&mut items, BATCH_MAX))
            .await
        {
            self.take(items.drain(..)).await;
        }
        self.record_connected().await;
    }

    async fn take(&mut self, items: impl Iterator<Item = StreamItem>) {
        let now = self.app.clock.now();
        let mut events = Vec::new();
        for item in items {
            match item {
                StreamItem::Event(event) => events.push(event),
                StreamItem::Heartbeat => self.learn_presence(now).await,
                StreamItem::Connected => {
                    self.connection = Connection::Connected {
                        since: now,
                        seen: now,
                        recorded: now,
                    };
                    self.learn_presence(now).await;
                }
                StreamItem::Disconnected { cause } => {
                    tracing::info!(product.id = %self.product_id, cause, "the event stream was interrupted");
                    self.app.liveness.mark_stale(self.product_id);
                    // What came before the interruption is complete only once it is durable.
                    self.store(std::mem::take(&mut events), now).await;
                    self.record_connected().await;
                    self.connection = Connection::Interrupted;
                }
            }
        }
        if self.store(events, now).await {
            self.extend(now).await;
        }
    }

    /// Tries until the events are durable, for nobody sends them again. `false` if it had to be
    /// given up, because the program stops.
    async fn store(&mut self, events: Vec<CloudEvent>, received_at: Timestamp) -> bool {
        if events.is_empty() {
            return true;
        }
        for attempt in 0.. {
            let Err(error) = self.try_store(&events, received_at).await else {
                return true;
            };
            self.say_not_stored(&error);
            let pause = tokio::time::sleep(PAUSES[attempt.min(PAUSES.len() - 1)]);
            if self.stopping.run_until_cancelled(pause).await.is_none() {
                break;
            }
        }
        // Not durable, so from where it was last recorded nothing is claimed.
        self.connection = Connection::Interrupted;
        false
    }

    async fn try_store(&self, events: &[CloudEvent], received_at: Timestamp) -> Result<(), StoreError> {
        let arrival = Arrival {
            product_id: self.product_id,
            door: Door::Stream,
            at: received_at,
        };
        let judged = self.app.judge(arrival, events.to_vec()).await?;
        self.app.keep_streamed(judged).await
    }

    fn say_not_stored(&self, error: &StoreError) {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, product.id = %self.product_id, "events of the stream are not stored yet");
    }

    /// Nothing was missed until `now`.
    async fn extend(&mut self, now: Timestamp) {
        let Connection::Connected { since, recorded, .. } = self.connection else {
            return;
        };
        self.connection = Connection::Connected {
            since,
            seen: now,
            recorded,
        };
        if now.since(recorded) >= EXTEND_EVERY {
            self.record_connected().await;
            self.connection = Connection::Connected {
                since,
                seen: now,
                recorded: now,
            };
        }
    }

    async fn record_connected(&self) {
        if let Connection::Connected { since, seen, .. } = self.connection {
            self.app
                .extend_complete(self.product_id, Door::Stream, Interval::new(since, seen), seen)
                .await;
        }
    }

    /// From the connection on every change of presence reaches us; what changed before it, the
    /// cloud's list of devices says. Tried again with each heartbeat until it has succeeded.
    async fn learn_presence(&self, at: Timestamp) {
        if self.app.presence_is_current(self.product_id) {
            return;
        }
        match self.list_presence(at).await {
            Ok(()) => self.app.liveness.mark_current(self.product_id),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(error = cause, product.id = %self.product_id, "presence is not known yet");
            }
        }
    }

    async fn list_presence(&self, at: Timestamp) -> Result<(), PresenceUnknown> {
        let mut heard = Vec::new();
        for device in self.app.cloud.list_devices(self.product_id).await? {
            let source = self.app.store.event_source(&device.cloud_device_id).await?;
            let source = source.filter(|source| source.product.id == self.product_id);
            let (Some(source), Some(online)) = (source, device.online) else {
                continue;
            };
            let presence = if online { Presence::Online } else { Presence::Offline };
            heard.push(Heard {
                device_id: source.device_id,
                presence,
                at,
                last_heard_at: device.last_heard,
            });
        }
        Ok(self.app.store.record_presence(&heard, at).await?)
    }
}
