//! One delivery, from either door: judged event by event, made durable as a whole.

use bytes::Bytes;
use ostler_core::event::CloudEvent;
use ostler_core::id::{CloudDeviceId, ProductId};
use ostler_core::time::Timestamp;
use ostler_store::{Arrivals, Door, EventFate, Rejection, RejectionReason, StoreError};

use super::doors::OpenDoor;
use super::judge::{Kind, Origin};
use super::registration::RegistrationError;
use crate::App;
use crate::settle::may_confirm;

/// What came in at the hook's door.
#[derive(Debug)]
pub enum Delivery {
    Events(Vec<CloudEvent>),
    /// A body that the adapter could not read.
    Unreadable(Bytes),
}

#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// Nothing of it is durable; the sender may repeat it.
    #[error("too much is waiting to be stored")]
    Overloaded,
    #[error("the delivery could not be made durable")]
    Store(#[source] StoreError),
}

impl From<StoreError> for DeliveryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded => Self::Overloaded,
            other => Self::Store(other),
        }
    }
}

/// An event that may settle a command once it is durable, if it is new.
struct Confirming {
    /// Which of the delivery's events it is.
    place: usize,
    origin: Origin,
    event: CloudEvent,
}

/// Where and when something came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub product_id: ProductId,
    pub door: Door,
    pub at: Timestamp,
}

/// A delivery as it was judged.
#[derive(Default)]
pub(super) struct Judged {
    arrivals: Arrivals,
    confirming: Vec<Confirming>,
    pub heartbeat: bool,
}

impl Judged {
    fn turn_away(&mut self, rejection: Rejection) {
        self.arrivals.rejections.push(rejection);
    }
}

impl App {
    /// Takes what the cloud's hook brought. Answers only once all of it is durable.
    pub async fn take_delivery(&self, door: &OpenDoor, delivery: Delivery) -> Result<(), DeliveryError> {
        let now = self.clock.now();
        let taken = self.take_at_hook(door.product_id, delivery, now).await;
        match &taken {
            Ok(heartbeat) => self.hook_delivered(door.product_id, *heartbeat, now).await,
            Err(_) => self.hook_failed(door.product_id),
        }
        taken.map(|_| ())
    }

    /// Whether a heartbeat was among what was delivered.
    async fn take_at_hook(
        &self,
        product_id: ProductId,
        delivery: Delivery,
        now: Timestamp,
    ) -> Result<bool, DeliveryError> {
        let arrival = Arrival {
            product_id,
            door: Door::Hook,
            at: now,
        };
        let mut judged = Judged::default();
        match delivery {
            Delivery::Events(events) => judged = self.judge(arrival, events).await?,
            Delivery::Unreadable(body) => judged.turn_away(self.unreadable(arrival, &body)),
        }
        let heartbeat = judged.heartbeat;
        self.keep(judged).await?;
        Ok(heartbeat)
    }

    /// Looks up the source of each event and decides what becomes of it. Registrations happen here.
    pub(super) async fn judge(&self, arrival: Arrival, events: Vec<CloudEvent>) -> Result<Judged, StoreError> {
        let mut judged = Judged::default();
        for event in events {
            match Kind::of(event, arrival.at) {
                Kind::Heartbeat => judged.heartbeat = true,
                Kind::Chatter => count(arrival.door, "ignored"),
                Kind::OfNobody(event) => judged.turn_away(self.rejected(arrival, RejectionReason::NoDevice, event)),
                Kind::Malformed(event) => judged.turn_away(self.rejected(arrival, RejectionReason::Malformed, event)),
                Kind::OfDevice { source, event } => self.accept(&mut judged, arrival, &source, event).await?,
                Kind::Registration {
                    source,
                    credential,
                    event,
                } => {
                    // Boxed, like all that is rare here: what every delivery carries along stays small.
                    let registered =
                        Box::pin(self.register_by_event(arrival.product_id, &source, &credential, arrival.at));
                    match registered.await {
                        Ok(()) => self.accept(&mut judged, arrival, &source, event).await?,
                        Err(RegistrationError::Store(error)) => return Err(error),
                        Err(RegistrationError::Refused | RegistrationError::TooManyFailures { .. }) => {
                            judged.turn_away(self.rejected(arrival, RejectionReason::WrongCredential, event));
                        }
                        Err(RegistrationError::Elsewhere) => {
                            judged.turn_away(self.rejected(arrival, RejectionReason::UnknownDevice, event));
                        }
                    }
                }
            }
        }
        Ok(judged)
    }

    /// An event of a device of this product is taken; of any other, turned away.
    async fn accept(
        &self,
        judged: &mut Judged,
        arrival: Arrival,
        source: &CloudDeviceId,
        event: CloudEvent,
    ) -> Result<(), StoreError> {
        let known = self.store.event_source(source).await?;
        let Some(known) = known.filter(|known| known.product.id == arrival.product_id) else {
            judged.turn_away(self.rejected(arrival, RejectionReason::UnknownDevice, event));
            return Ok(());
        };
        let Arrival {
            door, at: received_at, ..
        } = arrival;
        let origin = Origin {
            device_id: known.device_id,
            product: known.product,
            door,
            received_at,
        };
        let arrivals = &mut judged.arrivals;
        if may_confirm(&origin.product, &event.name) {
            arrivals.fates_matter = true;
            judged.confirming.push(Confirming {
                place: arrivals.events.len(),
                origin: origin.clone(),
                event: event.clone(),
            });
        }
        arrivals.events.push(origin.telemetry(event, &*self.entropy));
        Ok(())
    }

    /// Makes it durable; may be refused when too much is waiting.
    async fn keep(&self, judged: Judged) -> Result<(), StoreError> {
        let Judged {
            arrivals, confirming, ..
        } = judged;
        if arrivals.is_empty() {
            return Ok(());
        }
        count_rejections(&arrivals.rejections);
        let waited_since = self.clock.instant();
        let fates = self.store.record_arrivals(arrivals).await?;
        self.after_commit(waited_since, confirming, &fates).await;
        Ok(())
    }

    /// The same at the stream's door: waits for room instead of refusing, for nobody repeats it.
    pub(super) async fn keep_streamed(&self, judged: Judged) -> Result<(), StoreError> {
        let Judged {
            arrivals, confirming, ..
        } = judged;
        if arrivals.is_empty() {
            return Ok(());
        }
        count_rejections(&arrivals.rejections);
        let waited_since = self.clock.instant();
        let fates = self.store.record_streamed(arrivals).await?;
        self.after_commit(waited_since, confirming, &fates).await;
        Ok(())
    }

    /// Lets what is new settle commands. The delivery is durable whatever happens here.
    async fn after_commit(&self, waited_since: std::time::Instant, confirming: Vec<Confirming>, fates: &[EventFate]) {
        let waited = self.clock.instant().saturating_duration_since(waited_since);
        metrics::histogram!("ostler_ingest_commit_seconds").record(waited);
        let new = confirming
            .into_iter()
            .filter(|confirming| fates.get(confirming.place) == Some(&EventFate::Stored));
        for Confirming { origin, event, .. } in new {
            let settled = self.settle_by_event(origin.device_id, &origin.product, &event, origin.received_at);
            if let Err(error) = Box::pin(settled).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, device.id = %origin.device_id, "an event could not settle commands");
            }
        }
    }
}

fn count_rejections(rejections: &[Rejection]) {
    for rejection in rejections {
        count(rejection.door, rejection.reason.as_str());
    }
}

fn count(door: Door, fate: &'static str) {
    metrics::counter!("ostler_events_total", "door" => door.as_str(), "fate" => fate).increment(1);
}
