//! What devices say, from both doors.

mod property;
mod registration;
mod stream;

use std::time::Duration;

use ostler_app::admin::Maker;
use ostler_app::ingest::{Delivery, DeliveryError, DoorClosed, HEARTBEAT_EVENT, OpenDoor};
use ostler_core::caller::{Caller, ProductReach};
use ostler_core::event::CloudEvent;
use ostler_core::id::{DeviceId, ProductId};
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::policy::Presence;
use ostler_core::port::Clock as _;
use ostler_core::secret::IngestSecret;
use ostler_store::{Actor, Door, FaultPoint, Page, RejectedEvent, RejectionReason, StoredEvent};

use crate::world::{World, after, event, machine, on_both};

impl World {
    async fn door(&self, product_id: ProductId, slug: &str) -> OpenDoor {
        let secret = self
            .store
            .rotate_ingest_secret(product_id, Actor::System, after(0))
            .await
            .unwrap();
        self.app.open_ingest_door(slug, &secret).await.unwrap()
    }

    /// A product with one device, and its open door.
    async fn thermostat(&self) -> (ProductId, DeviceId, OpenDoor) {
        let product_id = self.product("thermostat").await;
        let device_id = self.device(product_id, 1).await;
        (product_id, device_id, self.door(product_id, "thermostat").await)
    }

    async fn deliver(&self, door: &OpenDoor, events: Vec<CloudEvent>) {
        self.app.take_delivery(door, Delivery::Events(events)).await.unwrap();
    }

    async fn events(&self, device_id: DeviceId) -> Vec<StoredEvent> {
        self.app
            .events(&maker(), device_id, Interval::ALWAYS, Page::first(500))
            .await
            .unwrap()
            .items
    }

    async fn latest(&self, device_id: DeviceId) -> Vec<String> {
        let values = self.app.latest_values(&maker(), device_id).await.unwrap();
        values
            .iter()
            .map(|latest| format!("{} {:?}", latest.point.key, latest.point.value))
            .collect()
    }

    async fn rejected(&self, product_id: ProductId) -> Vec<RejectedEvent> {
        self.rejected_within(ProductReach::All, Some(product_id)).await
    }

    async fn rejected_within(&self, reach: ProductReach, product_id: Option<ProductId>) -> Vec<RejectedEvent> {
        let maker = Maker::of(&machine(reach)).unwrap();
        self.app
            .desk(&maker)
            .rejected_events(product_id, Page::first(500))
            .await
            .unwrap()
            .items
    }

    async fn presence(&self, device_id: DeviceId) -> Presence {
        let facts = self
            .store
            .facts(None, device_id, None, self.clock.instant())
            .await
            .unwrap();
        facts.device.unwrap().presence
    }

    async fn complete(&self, product_id: ProductId) -> IntervalSet {
        self.store
            .complete_intervals(product_id, Interval::ALWAYS)
            .await
            .unwrap()
    }
}

fn maker() -> Caller {
    machine(ProductReach::All)
}

on_both! {
    async fn a_delivery_becomes_events_and_points(world) {
        let (_, device_id, door) = world.thermostat().await;
        world.clock.advance(Duration::from_secs(60));
        let data = format!(r#"{{"t":21.5,"heating":true,"mode":"auto","time":{}}}"#, after(5).millis());
        world.deliver(&door, vec![event(1, 10, "t/state", &data), event(1, 11, "other", "plain text")]).await;
        let latest = world.latest(device_id).await;
        assert_eq!(latest, ["temperature Number(21.5)", "heating Boolean(true)", "mode Text(\"auto\")"]);
        let events = world.events(device_id).await;
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].time, events[0].published_at, events[0].received_at), (after(5), after(10), after(60)));
        assert_eq!((events[1].time, events[1].data.as_deref()), (after(11), Some("plain text")));
        assert_eq!(world.presence(device_id).await, Presence::Online);
    }

    async fn a_redelivery_changes_nothing(world) {
        let (_, device_id, door) = world.thermostat().await;
        let first = event(1, 1, "t/state", r#"{"t":20}"#);
        world.deliver(&door, vec![first.clone(), first.clone()]).await;
        world.clock.advance(Duration::from_secs(30));
        world.deliver(&door, vec![CloudEvent { vendor_event_id: Some("other".into()), ..first }]).await;
        let events = world.events(device_id).await;
        assert_eq!((events.len(), events[0].received_at), (1, after(0)));
    }

    async fn only_a_device_of_the_doors_product_is_heard(world) {
        let (product_id, device_id, door) = world.thermostat().await;
        let vehicle = world.product("vehicle").await;
        let elsewhere = world.device(vehicle, 2).await;
        let nobody = CloudEvent { source: None, ..event(1, 3, "spark/status", "online") };
        world.deliver(&door, vec![
            event(2, 1, "t/state", r#"{"t":1}"#),
            event(9, 2, "t/state", r#"{"t":2}"#),
            nobody,
        ]).await;
        assert!(world.events(elsewhere).await.is_empty() && world.events(device_id).await.is_empty());
        assert_eq!(world.presence(elsewhere).await, Presence::Unknown);
        assert_eq!(world.presence(device_id).await, Presence::Unknown);
        let mut reasons: Vec<_> = world.rejected(product_id).await.iter().map(|event| event.reason.as_str()).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["no-device", "unknown-device", "unknown-device"]);
        assert!(world.rejected(vehicle).await.is_empty());

        let only = |product_id| ProductReach::Only([product_id].into());
        for (reach, asked, expected) in [
            (ProductReach::All, None, 3),
            (only(product_id), None, 3),
            (only(product_id), Some(vehicle), 0),
            (only(vehicle), None, 0),
            (only(vehicle), Some(product_id), 0),
        ] {
            let seen = world.rejected_within(reach.clone(), asked).await;
            assert_eq!(seen.len(), expected, "{reach:?} {asked:?}");
        }
    }

    async fn what_the_cloud_says_about_its_own_deliveries_is_no_event(world) {
        let (product_id, _, door) = world.thermostat().await;
        let chatter = CloudEvent { source: None, ..event(1, 1, "hook-sent/t/state", "undefined") };
        world.deliver(&door, vec![chatter]).await;
        assert!(world.rejected(product_id).await.is_empty());
    }

    async fn a_body_that_cannot_be_read_is_kept_without_credentials(world) {
        let (product_id, _, door) = world.thermostat().await;
        for body in ["{\"event\": oops \u{0} é", "event=ostler%2Fregister&data=secret", "\"ostler/register\" secret"] {
            let body = bytes::Bytes::copy_from_slice(body.as_bytes());
            world.app.take_delivery(&door, Delivery::Unreadable(body)).await.unwrap();
            // Ids sort by the millisecond in which they were drawn.
            world.clock.advance(Duration::from_millis(1));
        }
        let long = bytes::Bytes::from("é".repeat(5000).into_bytes());
        world.app.take_delivery(&door, Delivery::Unreadable(long)).await.unwrap();
        let rejected = world.rejected(product_id).await;
        assert!(rejected.iter().all(|event| event.reason == RejectionReason::Malformed));
        let bodies: Vec<_> = rejected.iter().rev().map(|event| event.body.as_deref()).collect();
        assert_eq!(bodies[..3], [Some("{\"event\": oops \u{fffd} é"), None, None]);
        assert_eq!(bodies[3].unwrap().len(), 2048);
    }

    async fn absurd_events_are_kept_apart(world) {
        let (product_id, device_id, door) = world.thermostat().await;
        let far = CloudEvent { published_at: after(30 * 24 * 3600), ..event(1, 0, "t/state", "{}") };
        let ancient = CloudEvent { published_at: ostler_core::time::Timestamp::MIN, ..far.clone() };
        let long = event(1, 1, &"n".repeat(1000), "{}");
        world.deliver(&door, vec![far, ancient, long]).await;
        assert!(world.events(device_id).await.is_empty());
        assert_eq!(world.rejected(product_id).await.len(), 3);
    }

    async fn surroundings_and_nul_do_not_reach_the_database(world) {
        let (_, device_id, door) = world.thermostat().await;
        let loc = r#"{"loc":{"lat":47.5,"lon":8.5},"towers":[{"cid":1}],"wps":[]}"#;
        world.deliver(&door, vec![
            event(1, 1, "loc", loc),
            event(1, 2, "t/state", "{\"mode\":\"a\\u0000b\"}"),
            event(1, 3, "raw\u{0}name", "a\u{0}b"),
        ]).await;
        let events = world.events(device_id).await;
        assert_eq!(events[0].data.as_deref(), Some(r#"{"loc":{"lat":47.5,"lon":8.5}}"#));
        assert_eq!((events[2].name.as_str(), events[2].data.as_deref()), ("raw\u{fffd}name", Some("a\u{fffd}b")));
        let latest = world.latest(device_id).await;
        assert_eq!(latest, ["mode Text(\"a\u{fffd}b\")", "position Location { lat: 47.5, lon: 8.5 }"]);
    }

    async fn presence_follows_the_newest_word(world) {
        let (_, device_id, door) = world.thermostat().await;
        world.deliver(&door, vec![event(1, 10, "spark/status", "offline")]).await;
        assert_eq!(world.presence(device_id).await, Presence::Offline);
        world.deliver(&door, vec![event(1, 5, "t/state", "{}"), event(1, 12, "particle/device/updates/pending", "true")]).await;
        assert_eq!(world.presence(device_id).await, Presence::Offline);
        world.deliver(&door, vec![event(1, 13, "t/state", "{}")]).await;
        assert_eq!(world.presence(device_id).await, Presence::Online);
    }

    async fn a_door_opens_with_either_of_two_secrets_and_with_no_other(world) {
        let product_id = world.product("thermostat").await;
        let rotate = async || world.store.rotate_ingest_secret(product_id, Actor::System, after(0)).await.unwrap();
        let old = rotate().await;
        assert!(world.app.open_ingest_door("thermostat", &old).await.is_ok());
        let new = rotate().await;
        for secret in [&old, &new] {
            assert!(world.app.open_ingest_door("thermostat", secret).await.is_ok(), "a new one works at once");
        }
        for (slug, secret) in [("thermostat", "ost_in_wrong"), ("vehicle", new.reveal()), ("thermostat", ""), ("", "")] {
            let opened = world.app.open_ingest_door(slug, &IngestSecret::presented(secret.into())).await;
            assert!(matches!(opened, Err(DoorClosed::Refused)), "{slug}");
        }
        rotate().await;
        world.clock.advance(Duration::from_secs(2));
        let opened = world.app.open_ingest_door("thermostat", &old).await;
        assert!(matches!(opened, Err(DoorClosed::Refused)), "the third ends the first");
    }

    async fn what_could_not_be_stored_is_said_and_can_be_repeated(world) {
        let (_, device_id, door) = world.thermostat().await;
        for point in [FaultPoint::Begin, FaultPoint::BeforeCommit, FaultPoint::CommitLost] {
            world.faults.arm(point, 1);
            let delivery = Delivery::Events(vec![event(1, 1, "t/state", r#"{"t":20}"#)]);
            let taken = world.app.take_delivery(&door, delivery).await;
            assert!(matches!(taken, Err(DeliveryError::Store(_))), "{point:?}: {taken:?}");
        }
        world.deliver(&door, vec![event(1, 1, "t/state", r#"{"t":20}"#)]).await;
        assert_eq!(world.events(device_id).await.len(), 1);
    }

    async fn two_heartbeats_prove_that_the_hook_was_open(world) {
        let (product_id, _, door) = world.thermostat().await;
        let beat = |seconds| CloudEvent { source: None, ..event(1, seconds, HEARTBEAT_EVENT, "") };
        world.deliver(&door, vec![beat(0)]).await;
        assert!(world.complete(product_id).await.is_empty());
        world.clock.advance(Duration::from_secs(60));
        world.deliver(&door, vec![beat(60)]).await;
        let proven: IntervalSet = [Interval::new(after(0), after(60))].into_iter().collect();
        assert_eq!(world.complete(product_id).await, proven);
        world.faults.arm(FaultPoint::BeforeCommit, 1);
        let refused = Delivery::Events(vec![event(1, 61, "t/state", "{}")]);
        assert!(world.app.take_delivery(&door, refused).await.is_err());
        world.clock.advance(Duration::from_secs(60));
        world.deliver(&door, vec![beat(120)]).await;
        assert_eq!(world.complete(product_id).await, proven, "a delivery was refused in between");
        assert!(world.rejected(product_id).await.is_empty());
        assert_eq!(Door::ALL.len(), 2);
    }
}
