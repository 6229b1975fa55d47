//! History: stored once, found again, and never more of it than asked for.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ostler_core::event::CloudEvent;
use ostler_core::history::BucketWidth;
use ostler_core::id::{DeviceId, EventId, ProductId, RejectedEventId};
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::mapping::{Point, PointValue, TimeSource};
use ostler_core::policy::Presence;
use ostler_core::time::Timestamp;
use ostler_store::{
    Actor, Arrivals, Door, EventCursor, EventFate, FaultPlan, FaultPoint, Heard, NewEvent, NewPoint, Page,
    REJECTED_EVENTS_MAX, Rejection, RejectionReason, StoreError, StoredPoint,
};

use super::world::{NOW, Place, World, later, on_both};

const CLOUD_ID: &str = "e00fce680000000000000001";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + millis)
}

fn window(from: i64, to: i64) -> Interval {
    Interval::new(at(from), at(to))
}

fn windows(list: &[(i64, i64)]) -> IntervalSet {
    list.iter().map(|(from, to)| window(*from, *to)).collect()
}

pub(super) fn always() -> IntervalSet {
    [Interval::ALWAYS].into_iter().collect()
}

impl World {
    async fn thermostat(&self) -> (ProductId, DeviceId) {
        let product_id = self.product("thermostat").await;
        (product_id, self.device(product_id, 1).await)
    }

    /// An event with the points of one key, published and received at `time`.
    pub(super) fn event(&self, device_id: DeviceId, time: i64, points: &[(&str, f64)]) -> NewEvent {
        let data = format!("{points:?}");
        let published = CloudEvent {
            source: Some(CLOUD_ID.parse().unwrap()),
            name: "t/state".to_owned(),
            data: Some(data.clone()),
            published_at: at(time),
            vendor_event_id: None,
        };
        let point = |(key, value): &(&str, f64)| NewPoint {
            time: at(time),
            point: Point {
                key: key.parse().unwrap(),
                value: PointValue::Number(*value),
            },
        };
        NewEvent {
            id: EventId::draw(NOW, &*self.entropy),
            device_id,
            identity: published.identity(),
            name: published.name,
            data: Some(data),
            vendor_event_id: None,
            door: Door::Hook,
            published_at: at(time),
            received_at: at(time),
            time: at(time),
            time_source: TimeSource::Cloud,
            points: points.iter().map(point).collect(),
            heard: None,
        }
    }

    async fn keep(&self, events: Vec<NewEvent>) -> Vec<EventFate> {
        self.store
            .record_arrivals(Arrivals {
                events,
                fates_matter: true,
                ..Arrivals::default()
            })
            .await
            .unwrap()
    }

    async fn all_points(&self, device_id: DeviceId, key: &str) -> Vec<(i64, f64)> {
        let key = key.parse().unwrap();
        let listed = self
            .store
            .points(device_id, &key, &always(), Page::first(500))
            .await
            .unwrap();
        assert!(!listed.more);
        listed.items.iter().map(numbered).collect()
    }

    fn rejection(&self, product_id: ProductId, number: i64) -> Rejection {
        Rejection {
            id: RejectedEventId::draw(at(number), &*self.entropy),
            product_id,
            door: Door::Stream,
            reason: RejectionReason::UnknownDevice,
            cloud_device_id: Some(CLOUD_ID.parse().unwrap()),
            name: Some(format!("t/{number}")),
            body: None,
            received_at: at(number),
        }
    }
}

fn numbered(point: &StoredPoint) -> (i64, f64) {
    let PointValue::Number(number) = point.value else {
        panic!("{point:?} is no number")
    };
    (point.time.millis() - NOW.millis(), number)
}

on_both! {
    async fn a_redelivery_is_stored_once(world) {
        let (_, device_id) = world.thermostat().await;
        let first = world.event(device_id, 1, &[("t", 20.5)]);
        let again = NewEvent {
            id: EventId::draw(NOW, &*world.entropy),
            door: Door::Stream,
            received_at: later(900),
            // A mapping that was changed in between must not write beside what is there.
            points: vec![NewPoint { time: at(2), point: Point { key: "t".parse().unwrap(), value: PointValue::Number(9.0) } }],
            ..first.clone()
        };
        let twice = vec![first.clone(), NewEvent { id: EventId::draw(NOW, &*world.entropy), ..first.clone() }];
        assert_eq!(world.keep(twice).await, [EventFate::Stored, EventFate::KnownBefore]);
        let other = world.event(device_id, 3, &[("t", 21.0)]);
        assert_eq!(world.keep(vec![again, other]).await, [EventFate::KnownBefore, EventFate::Stored]);
        assert_eq!(world.all_points(device_id, "t").await, [(1, 20.5), (3, 21.0)]);
        let events = world.store.events(device_id, &always(), Page::first(10)).await.unwrap();
        assert_eq!(events.items.len(), 2);
        assert_eq!((events.items[0].id, events.items[0].received_at), (first.id, first.received_at));
        assert_eq!(events.items[0].data, first.data);
    }

    async fn of_points_for_one_instant_the_last_to_arrive_stands(world) {
        let (_, device_id) = world.thermostat().await;
        let named = |name: &str, value: f64, received: i64| {
            let event = world.event(device_id, 5, &[("t", value)]);
            let identity = CloudEvent {
                source: None, name: name.to_owned(), data: None, published_at: at(5), vendor_event_id: None,
            }.identity();
            NewEvent { identity, received_at: at(received), ..event }
        };
        world.keep(vec![named("b", 2.0, 20), named("a", 1.0, 10)]).await;
        assert_eq!(world.all_points(device_id, "t").await, [(5, 2.0)], "within one commit");
        world.keep(vec![named("c", 3.0, 15)]).await;
        assert_eq!(world.all_points(device_id, "t").await, [(5, 2.0)], "one that arrived earlier changes nothing");
        world.keep(vec![named("d", 4.0, 30)]).await;
        assert_eq!(world.all_points(device_id, "t").await, [(5, 4.0)]);
    }

    async fn every_kind_of_value_is_read_back(world) {
        let (_, device_id) = world.thermostat().await;
        let values = [
            ("a", PointValue::Number(-0.1), PointValue::Number(-0.1)),
            ("b", PointValue::Integer(9_007_199_254_740_991), PointValue::Number(9_007_199_254_740_991.0)),
            ("c", PointValue::Boolean(false), PointValue::Boolean(false)),
            ("d", PointValue::Text("ä \"quoted\" \\ \n".into()), PointValue::Text("ä \"quoted\" \\ \n".into())),
            ("e", PointValue::Location { lat: 47.25, lon: -8.5 }, PointValue::Location { lat: 47.25, lon: -8.5 }),
        ];
        let points = values.iter().map(|(key, value, _)| NewPoint {
            time: at(1),
            point: Point { key: key.parse().unwrap(), value: value.clone() },
        });
        world.keep(vec![NewEvent { points: points.collect(), ..world.event(device_id, 1, &[]) }]).await;
        for (key, _, expected) in values {
            let key = key.parse().unwrap();
            let read = world.store.points(device_id, &key, &always(), Page::first(1)).await.unwrap();
            assert_eq!(read.items, [StoredPoint { time: at(1), value: expected }]);
        }
    }

    async fn numbers_come_back_to_the_last_bit(world) {
        let (_, device_id) = world.thermostat().await;
        let mut chance = model::Chance::seeded(1);
        let mut numbers = vec![21.3, 0.1 + 0.2, f64::MIN_POSITIVE, 1e300, 123_456.789_012_345_67];
        while numbers.len() < 500 {
            let number = f64::from_bits(chance.bits());
            if number.is_finite() {
                numbers.push(number);
            }
        }
        let events = numbers.iter().zip(0..).map(|(number, time)| world.event(device_id, time, &[("t", *number)]));
        world.keep(events.collect()).await;
        let read: Vec<f64> = world.all_points(device_id, "t").await.into_iter().map(|(_, number)| number).collect();
        assert_eq!(read, numbers);
    }

    async fn a_page_holds_what_is_visible_and_the_next_goes_on(world) {
        let (_, device_id) = world.thermostat().await;
        let points: Vec<NewEvent> = (0..20).map(|time| world.event(device_id, time, &[("t", time as f64)])).collect();
        world.keep(points).await;
        let visible = windows(&[(2, 5), (8, 9), (12, 18)]);
        let key = "t".parse().unwrap();
        let mut seen = Vec::new();
        let mut page = Page::first(4);
        loop {
            let listed = world.store.points(device_id, &key, &visible, page).await.unwrap();
            seen.extend(listed.items.iter().map(|point| numbered(point).0));
            match listed.items.last() {
                Some(last) if listed.more => page = Page::after(last.time, 4),
                Some(_) | None => break,
            }
        }
        assert_eq!(seen, [2, 3, 4, 8, 12, 13, 14, 15, 16, 17]);
    }

    async fn the_latest_value_is_the_latest_visible_one(world) {
        let (_, device_id) = world.thermostat().await;
        world.keep(vec![
            world.event(device_id, 9, &[("t", 9.0), ("h", 90.0)]),
            world.event(device_id, 4, &[("t", 4.0)]),
            world.event(device_id, 6, &[("t", 6.0), ("x", 1.0)]),
        ]).await;
        let visible = [
            ("t".parse().unwrap(), windows(&[(0, 5), (6, 9)])),
            ("none".parse().unwrap(), always()),
            ("h".parse().unwrap(), always()),
            ("x".parse().unwrap(), IntervalSet::default()),
        ];
        let latest = world.store.latest_points(device_id, &visible).await.unwrap();
        let told: Vec<_> = latest.iter().map(|point| (point.key.as_str(), point.time, point.value.clone())).collect();
        assert_eq!(told, [("t", at(6), PointValue::Number(6.0)), ("h", at(9), PointValue::Number(90.0))]);
    }

    async fn buckets_hold_only_visible_points(world) {
        let (_, device_id) = world.thermostat().await;
        let second = |seconds: i64| seconds * 1000;
        let times = [second(0), second(1), second(4), second(5), second(9), second(10), second(31)];
        world.keep(times.iter().zip(1..).map(|(time, number)| {
            world.event(device_id, *time, &[("t", f64::from(number))])
        }).collect()).await;
        let width: BucketWidth = "PT10S".parse().unwrap();
        let key = "t".parse().unwrap();
        let visible = windows(&[(second(1), second(5)), (second(9), second(60))]);
        let buckets = world.store.buckets(device_id, &key, &visible, width).await.unwrap();
        let told: Vec<_> = buckets.iter().map(|bucket| {
            (bucket.start.millis() - NOW.millis(), bucket.count, bucket.min, bucket.max, bucket.sum, bucket.last)
        }).collect();
        assert_eq!(told, [
            (0, 3, 2.0, 5.0, 10.0, 5.0),
            (second(10), 1, 6.0, 6.0, 6.0, 6.0),
            (second(30), 1, 7.0, 7.0, 7.0, 7.0),
        ]);
        assert_eq!(world.store.buckets(device_id, &key, &IntervalSet::default(), width).await.unwrap(), []);
    }

    async fn a_bucket_before_1970_begins_before_it(world) {
        let (_, device_id) = world.thermostat().await;
        let time = Timestamp::from_millis(-1);
        let event = world.event(device_id, 1, &[("t", 1.0)]);
        let points = event.points.iter().cloned().map(|point| NewPoint { time, ..point }).collect();
        world.keep(vec![NewEvent { points, ..event }]).await;
        let width: BucketWidth = "PT1M".parse().unwrap();
        let buckets = world.store.buckets(device_id, &"t".parse().unwrap(), &always(), width).await.unwrap();
        assert_eq!(buckets[0].start, width.start_of(time));
    }

    async fn events_of_one_instant_are_paged_by_id(world) {
        let (_, device_id) = world.thermostat().await;
        let mut events = Vec::new();
        for (published, time) in [(1, 7), (2, 7), (3, 7), (4, 2), (5, 30)] {
            events.push(NewEvent { time: at(time), ..world.event(device_id, published, &[]) });
        }
        let mut expected: Vec<EventCursor> =
            events[..4].iter().map(|event| EventCursor { time: event.time, id: event.id }).collect();
        expected.sort_by_key(|cursor| (cursor.time, cursor.id));
        world.keep(events).await;
        let visible = windows(&[(0, 20)]);
        let mut seen = Vec::new();
        let mut page = Page::first(1);
        loop {
            let listed = world.store.events(device_id, &visible, page).await.unwrap();
            seen.extend(listed.items.iter().map(|event| event.cursor()));
            match listed.items.last() {
                Some(last) if listed.more => page = Page::after(last.cursor().to_string().parse().unwrap(), 1),
                Some(_) | None => break,
            }
        }
        assert_eq!(seen, expected);
    }

    async fn rejections_are_bounded_per_product(world) {
        let product_id = world.product("thermostat").await;
        let other = world.product("vehicle").await;
        let kept = Arrivals { rejections: vec![world.rejection(other, 0)], ..Arrivals::default() };
        world.store.record_arrivals(kept).await.unwrap();
        for round in 0..3 {
            let rejections = (0..500).map(|number| world.rejection(product_id, 500 * round + number)).collect();
            world.store.record_streamed(Arrivals { rejections, ..Arrivals::default() }).await.unwrap();
        }
        let mut page = Page::first(500);
        let mut names = Vec::new();
        loop {
            let listed = world.store.rejected_events(Some(product_id), page).await.unwrap();
            names.extend(listed.items.iter().filter_map(|rejected| rejected.name.clone()));
            match listed.items.last() {
                Some(last) if listed.more => page = Page::after(last.id, 500),
                Some(_) | None => break,
            }
        }
        assert_eq!(names.len() as i64, REJECTED_EVENTS_MAX);
        assert_eq!((names[0].as_str(), names[999].as_str()), ("t/1499", "t/500"), "the newest are kept");
        let others = world.store.rejected_events(Some(other), Page::first(5)).await.unwrap().items;
        assert_eq!(others, [Rejection { id: others[0].id, ..world.rejection(other, 0) }]);
        let mut all = world.store.rejected_events(None, Page::first(500)).await.unwrap();
        assert_eq!(all.items[0].name.as_deref(), Some("t/1499"));
        while all.more {
            let behind = Page::after(all.items.last().unwrap().id, 500);
            all = world.store.rejected_events(None, behind).await.unwrap();
        }
        assert_eq!(all.items, others, "the oldest of all is the other product's");
    }

    async fn complete_intervals_grow_and_never_shrink(world) {
        let product_id = world.product("thermostat").await;
        let extend = async |door, from, to| {
            world.store.extend_complete(product_id, door, window(from, to), NOW).await.unwrap();
        };
        extend(Door::Stream, 0, 10).await;
        extend(Door::Stream, 0, 50).await;
        extend(Door::Stream, 0, 30).await;
        extend(Door::Hook, 40, 60).await;
        extend(Door::Stream, 80, 80).await;
        extend(Door::Stream, 90, 100).await;
        let read = world.store.complete_intervals(product_id, window(20, 95)).await.unwrap();
        assert_eq!(read, windows(&[(20, 60), (90, 95)]));
        let elsewhere = world.product("vehicle").await;
        assert!(world.store.complete_intervals(elsewhere, window(0, 100)).await.unwrap().is_empty());
    }

    async fn an_event_tells_presence_and_old_news_does_not(world) {
        let (customer_id, device_id, _) = world.held_device().await;
        let heard = |presence, time| Some(Heard { device_id, presence, at: at(time), last_heard_at: None });
        let event = |time, presence| NewEvent { heard: heard(presence, time), ..world.event(device_id, time, &[]) };
        world.keep(vec![event(5, Presence::Online), event(9, Presence::Offline)]).await;
        let presence = async || world.facts(customer_id, device_id).await.device.unwrap().presence;
        assert_eq!(presence().await, Presence::Offline);
        world.keep(vec![event(7, Presence::Online)]).await;
        assert_eq!(presence().await, Presence::Offline, "it was published before");
        // A redelivery of the first word must not count again either.
        world.keep(vec![event(5, Presence::Online)]).await;
        assert_eq!(presence().await, Presence::Offline);
        world.keep(vec![event(12, Presence::Online)]).await;
        assert_eq!(presence().await, Presence::Online);
    }

    async fn the_source_of_an_event_is_a_device_of_ours(world) {
        let (product_id, device_id) = world.thermostat().await;
        let source = world.store.event_source(&CLOUD_ID.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((source.device_id, source.product.id), (device_id, product_id));
        let unknown = "e00fce680000000000000009".parse().unwrap();
        assert!(world.store.event_source(&unknown).await.unwrap().is_none());
    }

    async fn a_full_queue_is_said_and_loses_nothing_that_was_promised(world) {
        let world = World::with(same_kind(&world).await, |options| ostler_store::StoreOptions { queue: 1, ..options }).await;
        let (_, device_id) = world.thermostat().await;
        let deliveries = (0..200).map(|time| {
            let event = world.event(device_id, time, &[("t", 1.0)]);
            world.store.record_arrivals(Arrivals { events: vec![event], fates_matter: true, ..Arrivals::default() })
        });
        let answers = futures_util::future::join_all(deliveries).await;
        let stored = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(answers.iter().any(|answer| matches!(answer, Err(StoreError::Overloaded))));
        assert!(stored > 0);
        assert_eq!(world.all_points(device_id, "t").await.len(), stored);
    }

    async fn a_lost_commit_is_repeated_without_a_second_row(world) {
        let plan = Arc::new(OnceLost::default());
        let faults = Arc::clone(&plan);
        let world = World::with(same_kind(&world).await, |options| ostler_store::StoreOptions { faults, ..options }).await;
        let (_, device_id) = world.thermostat().await;
        let event = world.event(device_id, 1, &[("t", 1.0)]);
        plan.armed.store(true, Ordering::Relaxed);
        let arrivals = Arrivals { events: vec![event.clone()], ..Arrivals::default() };
        let lost = world.store.record_arrivals(arrivals).await;
        assert!(matches!(lost, Err(StoreError::CommitUnknown(_))), "{lost:?}");
        let again = NewEvent { id: EventId::draw(NOW, &*world.entropy), ..event };
        assert_eq!(world.keep(vec![again]).await, [EventFate::KnownBefore]);
        assert_eq!(world.all_points(device_id, "t").await, [(1, 1.0)]);
    }

    async fn a_door_opens_with_the_secrets_of_its_product(world) {
        let product_id = world.product("thermostat").await;
        world.product("vehicle").await;
        let doors = world.store.ingest_doors(NOW).await.unwrap();
        assert_eq!(doors.len(), 2);
        let door = doors.get("thermostat").unwrap();
        assert_eq!(door.product_id, product_id);
        let before = door.secrets.len();
        let secret = world.store.rotate_ingest_secret(product_id, Actor::System, later(1)).await.unwrap();
        let doors = world.store.ingest_doors(later(2)).await.unwrap();
        let secrets = &doors.get("thermostat").unwrap().secrets;
        assert_eq!(secrets.len(), before + 1);
        assert!(secrets.iter().any(|digest| digest.matches(&secret.digest())));
    }

    async fn many_deliveries_at_once_share_commits(world) {
        let (_, device_id) = world.thermostat().await;
        let deliveries = (0..300).map(|time| {
            let event = world.event(device_id, time, &[("t", time as f64), ("u", 1.0)]);
            world.store.record_streamed(Arrivals { events: vec![event], fates_matter: true, ..Arrivals::default() })
        });
        for answer in futures_util::future::join_all(deliveries).await {
            assert_eq!(answer.unwrap(), [EventFate::Stored]);
        }
        assert_eq!(world.all_points(device_id, "u").await.len(), 300);
    }
}

/// Loses the answer of one commit.
#[derive(Default)]
struct OnceLost {
    armed: AtomicBool,
}

impl FaultPlan for OnceLost {
    fn strikes(&self, point: FaultPoint) -> bool {
        point == FaultPoint::CommitLost && self.armed.swap(false, Ordering::Relaxed)
    }
}

/// Another database of the same kind, for a store that is opened otherwise.
async fn same_kind(world: &World) -> Place {
    match &world.place {
        Place::Sqlite(_) => Place::sqlite(),
        Place::Postgres(_) => Place::postgres().await,
    }
}
