//! The event stream's door.

use std::sync::Arc;

use ostler_app::device_cloud::{ListedDevice, StreamItem};
use ostler_testkit::eventually_async;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::world::cloud_id;

const SOON: Duration = Duration::from_secs(20);

struct Followed {
    stream: mpsc::Sender<StreamItem>,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    async fn follow(&self, product_id: ProductId) -> Followed {
        let stopping = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&self.app).follow_events(product_id, stopping.clone()));
        let stream = eventually_async("the stream is opened", SOON, async || self.cloud.stream(product_id)).await;
        Followed { stream, stopping, task }
    }

    async fn stored(&self, device_id: DeviceId, count: usize) {
        eventually_async("events are stored", SOON, async || {
            (self.events(device_id).await.len() == count).then_some(())
        })
        .await;
    }
}

impl Followed {
    async fn say(&self, item: StreamItem) {
        self.stream.send(item).await.unwrap();
    }

    async fn stop(self) {
        self.stopping.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

on_both! {
    async fn both_doors_store_an_event_once(world) {
        let (product_id, device_id, door) = world.thermostat().await;
        let followed = world.follow(product_id).await;
        followed.say(StreamItem::Connected).await;
        for seconds in 0..20 {
            followed.say(StreamItem::Event(event(1, seconds, "t/state", r#"{"t":20}"#))).await;
        }
        world.stored(device_id, 20).await;
        let again = (0..21).map(|seconds| event(1, seconds, "t/state", r#"{"t":20}"#)).collect();
        world.deliver(&door, again).await;
        assert_eq!(world.events(device_id).await.len(), 21);
        followed.stop().await;
    }

    async fn only_connected_time_is_complete(world) {
        let (product_id, device_id, _) = world.thermostat().await;
        let followed = world.follow(product_id).await;
        followed.say(StreamItem::Connected).await;
        followed.say(StreamItem::Event(event(1, 0, "t/state", "{}"))).await;
        world.stored(device_id, 1).await;
        world.clock.advance(Duration::from_secs(50));
        followed.say(StreamItem::Heartbeat).await;
        let until_50 = Interval::new(after(0), after(50));
        let is = |expected: Vec<Interval>| {
            let expected: IntervalSet = expected.into_iter().collect();
            let world = &world;
            async move {
                let probe = async || (world.complete(product_id).await == expected).then_some(());
                eventually_async("complete is recorded", SOON, probe).await;
            }
        };
        is(vec![until_50]).await;
        world.clock.advance(Duration::from_secs(40));
        // Silent since the heartbeat: what came after it may have been missed.
        followed.say(StreamItem::Disconnected { cause: "test" }).await;
        world.clock.advance(Duration::from_secs(10));
        followed.say(StreamItem::Connected).await;
        followed.say(StreamItem::Event(event(1, 100, "t/state", "{}"))).await;
        world.stored(device_id, 2).await;
        world.clock.advance(Duration::from_secs(7));
        followed.say(StreamItem::Event(event(1, 107, "t/state", "{}"))).await;
        is(vec![until_50, Interval::new(after(100), after(107))]).await;
        followed.stop().await;
    }

    async fn what_the_database_refused_is_stored_later(world) {
        let (product_id, device_id, _) = world.thermostat().await;
        let followed = world.follow(product_id).await;
        followed.say(StreamItem::Connected).await;
        eventually_async("the stream is read", SOON, async || (followed.stream.capacity() == 16).then_some(())).await;
        world.faults.arm(FaultPoint::BeforeCommit, 2);
        followed.say(StreamItem::Event(event(1, 1, "t/state", r#"{"t":20}"#))).await;
        world.stored(device_id, 1).await;
        world.faults.arm(FaultPoint::CommitLost, 1);
        followed.say(StreamItem::Event(event(1, 2, "t/state", r#"{"t":20}"#))).await;
        world.stored(device_id, 2).await;
        followed.stop().await;
    }

    async fn presence_is_read_from_the_list_and_then_from_events(world) {
        let (product_id, device_id, _) = world.thermostat().await;
        world.cloud.devices.lock().unwrap().push(ListedDevice {
            cloud_device_id: cloud_id(1),
            name: None,
            online: Some(true),
            last_heard: None,
            owned: false,
            quarantined: false,
        });
        let followed = world.follow(product_id).await;
        followed.say(StreamItem::Connected).await;
        let is = async |expected| {
            let probe = async || (world.presence(device_id).await == expected).then_some(());
            eventually_async("presence is known", SOON, probe).await;
        };
        is(Presence::Online).await;
        followed.say(StreamItem::Event(event(1, 1, "spark/status", "offline"))).await;
        is(Presence::Offline).await;
        followed.stop().await;
    }

    async fn a_stream_that_ends_lets_its_follower_end(world) {
        let (product_id, _, _) = world.thermostat().await;
        let followed = world.follow(product_id).await;
        followed.say(StreamItem::Connected).await;
        followed.stop().await;
    }
}
