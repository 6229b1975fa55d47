//! What is turned away, as staff will see it: bounded, scrubbed, and without credentials.

use ostler_core::event::CloudEvent;
use ostler_core::id::RejectedEventId;
use ostler_store::{Rejection, RejectionReason};

use super::judge::without_nul_in;
use super::take::Arrival;
use crate::App;

/// How much of a body is kept.
const KEPT_BYTES_MAX: usize = 2048;

/// How a registration looks in bodies that nobody can parse, in JSON and as a form.
const REGISTRATION_SPELLINGS: [&str; 2] = ["ostler/register", "ostler%2Fregister"];

impl App {
    /// A body that the adapter could not read. If it may hold a credential, nobody can strip it, and
    /// it is not kept.
    pub(super) fn unreadable(&self, arrival: Arrival, body: &[u8]) -> Rejection {
        let text = String::from_utf8_lossy(body);
        let may_be_kept = !REGISTRATION_SPELLINGS.iter().any(|spelling| text.contains(spelling));
        Rejection {
            id: RejectedEventId::draw(arrival.at, &*self.entropy),
            product_id: arrival.product_id,
            door: arrival.door,
            reason: RejectionReason::Malformed,
            cloud_device_id: None,
            name: None,
            body: may_be_kept.then(|| kept(&text)),
            received_at: arrival.at,
        }
    }

    pub(super) fn rejected(&self, arrival: Arrival, reason: RejectionReason, event: CloudEvent) -> Rejection {
        let event = event.scrubbed(&[]);
        Rejection {
            id: RejectedEventId::draw(arrival.at, &*self.entropy),
            product_id: arrival.product_id,
            door: arrival.door,
            reason,
            name: Some(kept(&event.name)),
            body: event.data.as_deref().map(kept),
            cloud_device_id: event.source,
            received_at: arrival.at,
        }
    }
}

fn kept(text: &str) -> String {
    let end = text.floor_char_boundary(KEPT_BYTES_MAX);
    without_nul_in(text[..end].to_owned())
}
