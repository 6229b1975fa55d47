//! Events and who sees them. The bus hands every event to the streams that are open at that moment
//! and remembers nothing: the vendor has no replay either (reference §8.1).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::clock::rfc3339;
use crate::id::{DeviceId, ProductId};
use crate::world::Owner;

/// A reader that is this far behind loses its stream; the server may close at any time.
const UNREAD_MAX: usize = 4_096;

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Device(DeviceId),
    /// Published through the API.
    Api,
    /// Made by the cloud about a webhook; never triggers one itself (reference §9.4).
    Hook(Option<DeviceId>),
}

/// One event as it passes through the cloud.
#[derive(Clone, Debug)]
pub struct Event {
    /// `PARTICLE_EVENT_ID`; only webhooks show it.
    pub id: String,
    pub name: String,
    pub data: Option<String>,
    pub ttl: u32,
    pub published_at: i64,
    pub coreid: String,
    pub origin: Origin,
    pub product_id: Option<ProductId>,
    pub firmware_version: u16,
    pub private: bool,
    pub(crate) owner: Option<Owner>,
}

impl Event {
    pub(crate) fn device(&self) -> Option<&DeviceId> {
        match &self.origin {
            Origin::Device(id) => Some(id),
            Origin::Hook(id) => id.as_ref(),
            Origin::Api => None,
        }
    }

    /// The `data:` line of a stream. Product streams say more (reference §8.1).
    pub(crate) fn to_wire(&self, view: &View, numeric_ttl: bool) -> Value {
        let ttl = if numeric_ttl {
            json!(self.ttl)
        } else {
            json!(self.ttl.to_string())
        };
        let mut wire = json!({
            "data": self.data,
            "ttl": ttl,
            "published_at": rfc3339(self.published_at),
            "coreid": self.coreid,
        });
        if let View::Product(product) | View::ProductDevice(product, _) = view {
            wire["userid"] = json!(self.owner.as_ref().map(Owner::as_str));
            wire["version"] = json!(self.firmware_version);
            wire["productID"] = json!(product);
        }
        wire
    }
}

/// What one stream is entitled to.
#[derive(Clone, Debug)]
pub(crate) enum View {
    /// In process only.
    Everything,
    PublicAndMine(Owner),
    Mine(Owner),
    Device(DeviceId),
    Product(ProductId),
    ProductDevice(ProductId, DeviceId),
}

impl View {
    fn shows(&self, event: &Event) -> bool {
        match self {
            Self::Everything => true,
            Self::PublicAndMine(owner) => !event.private || event.owner.as_ref() == Some(owner),
            Self::Mine(owner) => event.owner.as_ref() == Some(owner),
            Self::Device(id) => event.device() == Some(id),
            Self::Product(product) => event.product_id == Some(*product),
            Self::ProductDevice(product, id) => event.product_id == Some(*product) && event.device() == Some(id),
        }
    }

    pub(crate) fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(id) | Self::ProductDevice(_, id) => Some(id),
            Self::Everything | Self::PublicAndMine(_) | Self::Mine(_) | Self::Product(_) => None,
        }
    }
}

#[derive(Debug)]
struct Subscriber {
    view: View,
    prefix: String,
    /// None for readers in process, whom the limits do not concern.
    source: Option<IpAddr>,
    unread: mpsc::Sender<Arc<Event>>,
}

/// All open streams.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    subscribers: BTreeMap<u64, Subscriber>,
    next_id: u64,
}

impl Bus {
    pub(crate) fn subscribe(
        &mut self,
        view: View,
        prefix: &str,
        source: Option<IpAddr>,
    ) -> (u64, mpsc::Receiver<Arc<Event>>) {
        let (unread, events) = mpsc::channel(UNREAD_MAX);
        let id = self.next_id;
        self.next_id += 1;
        self.subscribers.insert(
            id,
            Subscriber {
                view,
                prefix: prefix.to_owned(),
                source,
                unread,
            },
        );
        (id, events)
    }

    pub(crate) fn unsubscribe(&mut self, id: u64) {
        self.subscribers.remove(&id);
    }

    pub(crate) fn deliver(&mut self, event: &Arc<Event>) {
        self.subscribers.retain(|_, one| {
            let wanted = event.name.starts_with(&one.prefix) && one.view.shows(event);
            !wanted || one.unread.try_send(Arc::clone(event)).is_ok()
        });
    }

    pub(crate) fn open_from(&self, source: IpAddr) -> usize {
        self.subscribers
            .values()
            .filter(|one| one.source == Some(source))
            .count()
    }

    pub(crate) fn open(&self) -> usize {
        self.subscribers.values().filter(|one| one.source.is_some()).count()
    }

    /// Ends at most `at_most` streams over HTTP, of one device if one is named.
    pub(crate) fn close(&mut self, device: Option<&DeviceId>, at_most: usize) -> usize {
        let ids: Vec<u64> = self
            .subscribers
            .iter()
            .filter(|(_, one)| one.source.is_some() && (device.is_none() || one.view.device() == device))
            .map(|(id, _)| *id)
            .take(at_most)
            .collect();
        for id in &ids {
            self.subscribers.remove(id);
        }
        ids.len()
    }
}
