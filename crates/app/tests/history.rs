//! Who sees how much of the past.

use std::collections::BTreeSet;
use std::time::Duration;

use ostler_app::history::{HistoryError, RangeQuestion};
use ostler_app::ingest::Delivery;
use ostler_core::caller::{Caller, ProductReach};
use ostler_core::grant::{Allowance, Grant};
use ostler_core::history::BucketWidth;
use ostler_core::id::{DeviceId, ProductId};
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::mapping::PointValue;
use ostler_core::name::TelemetryKey;
use ostler_store::{Actor, Door, Page};

use crate::world::{World, after, event, machine, on_both};

fn key(text: &str) -> TelemetryKey {
    text.parse().unwrap()
}

fn only(keys: &[&str]) -> Allowance<TelemetryKey> {
    Allowance::Only(keys.iter().map(|text| key(text)).collect::<BTreeSet<_>>())
}

fn seconds(from: i64, to: i64) -> Interval {
    Interval::new(after(from), after(to))
}

impl World {
    /// A device that said its temperature every ten seconds, for a hundred; the present is then.
    async fn told(&self) -> (ProductId, DeviceId) {
        let product_id = self.product("thermostat").await;
        let device_id = self.device(product_id, 1).await;
        let secret = self
            .store
            .rotate_ingest_secret(product_id, Actor::System, after(0))
            .await
            .unwrap();
        let door = self.app.open_ingest_door("thermostat", &secret).await.unwrap();
        self.clock.advance(Duration::from_secs(100));
        let events = (0..10).map(|step| {
            event(
                1,
                10 * step,
                "t/state",
                &format!(r#"{{"t":{step},"heating":{}}}"#, step % 2 == 0),
            )
        });
        self.app
            .take_delivery(&door, Delivery::Events(events.collect()))
            .await
            .unwrap();
        (product_id, device_id)
    }

    async fn values(&self, caller: &Caller, device_id: DeviceId, range: Interval) -> Result<Vec<i64>, HistoryError> {
        let question = RangeQuestion {
            device_id,
            key: key("temperature"),
            range,
        };
        let page = self.app.points(caller, &question, Page::first(500)).await?;
        Ok(page
            .points
            .items
            .iter()
            .map(|point| (point.time.millis() - after(0).millis()) / 1000)
            .collect())
    }
}

on_both! {
    async fn a_range_is_half_open_and_ascending(world) {
        let (_, device_id) = world.told().await;
        let ada = world.holder("ada", device_id, |grant| grant).await;
        assert_eq!(world.values(&ada, device_id, seconds(10, 40)).await.unwrap(), [10, 20, 30]);
        assert_eq!(world.values(&ada, device_id, seconds(11, 20)).await.unwrap(), [0_i64; 0]);
    }

    async fn only_the_grants_window_is_seen(world) {
        let (_, device_id) = world.told().await;
        let windowed = |grant: Grant| Grant { history: seconds(20, 60), ends_at: Some(after(500)), ..grant };
        let bob = world.holder("bob", device_id, windowed).await;
        assert_eq!(world.values(&bob, device_id, Interval::ALWAYS).await.unwrap(), [20, 30, 40, 50]);
        let latest = world.app.latest_values(&bob, device_id).await.unwrap();
        assert_eq!(latest[0].point.time, after(50));
        assert_eq!(latest[0].unit.as_deref(), Some("Cel"));
        let events = world.app.events(&bob, device_id, Interval::ALWAYS, Page::first(500)).await.unwrap();
        let times: Vec<_> = events.items.iter().map(|event| event.time).collect();
        assert_eq!(times, [after(20), after(30), after(40), after(50)]);
        let question = RangeQuestion { device_id, key: key("temperature"), range: seconds(0, 100) };
        let width: BucketWidth = "PT50S".parse().unwrap();
        let buckets = world.app.buckets(&bob, &question, width).await.unwrap().buckets;
        let told: Vec<_> = buckets.iter().map(|bucket| (bucket.count, bucket.min, bucket.max, bucket.last)).collect();
        // NOW lies on a boundary of 50 s.
        assert_eq!(told, [(3, 2.0, 4.0, 4.0), (1, 5.0, 5.0, 5.0)]);
    }

    async fn keys_that_are_not_granted_are_not_seen(world) {
        let (_, device_id) = world.told().await;
        let eve = world.holder("eve", device_id, |grant| Grant { keys: only(&["heating"]), ..grant }).await;
        let refused = world.values(&eve, device_id, Interval::ALWAYS).await;
        assert!(matches!(refused, Err(HistoryError::KeyNotGranted)));
        let latest = world.app.latest_values(&eve, device_id).await.unwrap();
        let keys: Vec<_> = latest.iter().map(|latest| latest.point.key.as_str()).collect();
        assert_eq!(keys, ["heating"]);
        assert_eq!(latest[0].point.value, PointValue::Boolean(false));
        let events = world.app.events(&eve, device_id, Interval::ALWAYS, Page::first(5)).await;
        assert!(matches!(events, Err(HistoryError::EventsNotGranted)));
        for undeclared in ["nonsense", "mode/x"] {
            let question = RangeQuestion { device_id, key: key(undeclared), range: seconds(0, 10) };
            let refused = world.app.points(&eve, &question, Page::first(1)).await;
            assert!(matches!(refused, Err(HistoryError::KeyNotGranted)), "{undeclared}");
        }
        let question = RangeQuestion { device_id, key: key("heating"), range: seconds(0, 10) };
        let refused = world.app.buckets(&eve, &question, "PT1M".parse().unwrap()).await;
        assert!(matches!(refused, Err(HistoryError::NotANumber)));
    }

    async fn a_stranger_and_an_unknown_device_are_one_answer(world) {
        let (_, device_id) = world.told().await;
        let other = world.device(world.product("thermostat").await, 2).await;
        let stranger = world.holder("mallory", other, |grant| grant).await;
        let nobody: DeviceId = "dev_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        for device_id in [device_id, nobody] {
            let range = seconds(0, 10);
            assert!(matches!(world.values(&stranger, device_id, range).await, Err(HistoryError::NotFound)));
            assert!(matches!(world.app.latest_values(&stranger, device_id).await, Err(HistoryError::NotFound)));
            let events = world.app.events(&stranger, device_id, range, Page::first(5)).await;
            assert!(matches!(events, Err(HistoryError::NotFound)));
        }
    }

    async fn the_makers_machines_see_their_products_only(world) {
        let (product_id, device_id) = world.told().await;
        let vehicle = world.product("vehicle").await;
        let near = machine(ProductReach::Only(BTreeSet::from([product_id])));
        let far = machine(ProductReach::Only(BTreeSet::from([vehicle])));
        assert_eq!(world.values(&near, device_id, seconds(0, 20)).await.unwrap(), [0, 10]);
        assert!(matches!(world.values(&far, device_id, seconds(0, 20)).await, Err(HistoryError::NotFound)));
    }

    async fn complete_is_what_was_proven_asked_and_visible(world) {
        let (product_id, device_id) = world.told().await;
        let ada = world.holder("ada", device_id, |grant| Grant { history: seconds(20, 60), ..grant }).await;
        let question = RangeQuestion { device_id, key: key("temperature"), range: seconds(0, 55) };
        let complete = async || world.app.points(&ada, &question, Page::first(1)).await.unwrap().complete;
        assert!(complete().await.is_empty(), "never the whole range by default");
        for (door, interval) in [(Door::Stream, seconds(0, 30)), (Door::Hook, seconds(40, 90))] {
            world.store.extend_complete(product_id, door, interval, after(0)).await.unwrap();
        }
        let expected: IntervalSet = [seconds(20, 30), seconds(40, 55)].into_iter().collect();
        assert_eq!(complete().await, expected);
    }

    async fn an_ended_grant_shows_nothing(world) {
        let (_, device_id) = world.told().await;
        let ada = world.holder("ada", device_id, |grant| Grant { ends_at: Some(after(90)), ..grant }).await;
        assert!(matches!(world.values(&ada, device_id, seconds(0, 10)).await, Err(HistoryError::NotFound)));
    }
}
