//! The event stream: what comes is passed on, silence and closing are noticed, the way back is
//! found, and the reader always knows whether it missed something.

use std::time::Duration;

use ostler_app::device_cloud::{DeviceCloud, StreamItem};
use ostler_core::event::CloudEvent;
use ostler_sim::{Fault, FaultKind};
use ostler_testkit::eventually_async;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::simulated::Barn;
use crate::support::{Adapter, client, connection, options};

const PATIENCE: Duration = Duration::from_secs(5);

async fn next(items: &mut Receiver<StreamItem>) -> StreamItem {
    timeout(PATIENCE, items.recv())
        .await
        .expect("an item in time")
        .expect("the stream goes on")
}

async fn connected(items: &mut Receiver<StreamItem>) {
    while !matches!(next(items).await, StreamItem::Connected) {}
}

async fn disconnected(items: &mut Receiver<StreamItem>) -> &'static str {
    loop {
        if let StreamItem::Disconnected { cause } = next(items).await {
            return cause;
        }
    }
}

async fn event(items: &mut Receiver<StreamItem>) -> CloudEvent {
    loop {
        if let StreamItem::Event(event) = next(items).await {
            return event;
        }
    }
}

#[tokio::test]
async fn events_come_as_they_were_published() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let mut items = adapter.particle.events(adapter.product_id);
    connected(&mut items).await;
    barn.cloud.publish_as(&barn.device, "temp/barn", Some("{\"t\":21.5}"));
    barn.cloud.publish_as(&barn.device, "empty", None);
    adapter
        .particle
        .publish(adapter.product_id, "ostler/hello", "world")
        .await
        .unwrap();

    let first = event(&mut items).await;
    assert_eq!(
        (first.name.as_str(), first.data.as_deref()),
        ("temp/barn", Some("{\"t\":21.5}"))
    );
    assert_eq!(first.source.unwrap().as_str(), barn.device.as_str());
    assert_eq!(first.published_at.millis(), barn.cloud.now_ms());
    assert_eq!(event(&mut items).await.data, None);
    let ours = event(&mut items).await;
    assert_eq!(
        (ours.name.as_str(), ours.data.as_deref(), ours.source),
        ("ostler/hello", Some("world"), None)
    );
}

#[tokio::test]
async fn a_quiet_stream_beats() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let mut items = adapter.particle.events(adapter.product_id);
    connected(&mut items).await;
    for _ in 0..3 {
        let item = next(&mut items).await;
        assert!(matches!(item, StreamItem::Heartbeat), "{item:?}");
    }
}

#[tokio::test]
async fn a_closed_stream_is_opened_again_and_the_gap_is_told() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let mut items = adapter.particle.events(adapter.product_id);
    connected(&mut items).await;
    barn.cloud.add_fault(Fault::new(FaultKind::DropStream).times(3));
    disconnected(&mut items).await;
    connected(&mut items).await;
    let holds = async {
        loop {
            barn.cloud.publish_as(&barn.device, "after", Some("x"));
            if matches!(next(&mut items).await, StreamItem::Event(event) if event.name == "after") {
                return;
            }
        }
    };
    timeout(PATIENCE, holds).await.expect("the stream holds in the end");
}

#[tokio::test]
async fn a_stream_that_fell_silent_is_given_up() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let mut items = adapter.particle.events(adapter.product_id);
    connected(&mut items).await;
    let fault = barn.cloud.add_fault(Fault::new(FaultKind::DeafStream));
    assert_eq!(disconnected(&mut items).await, "silent");
    barn.cloud.clear_fault(fault);
    connected(&mut items).await;
}

#[tokio::test]
async fn a_stream_follows_its_products_connection() {
    let barn = Barn::new().await;
    let adapter = Adapter::unconnected(options());
    let mut items = adapter.particle.events(adapter.product_id);
    let wrong = connection(&barn.sim.base_url(), client("wrong"));
    adapter.particle.connect(adapter.product_id, Some(wrong));
    let right = connection(&barn.sim.base_url(), barn.credential());
    adapter.particle.connect(adapter.product_id, Some(right));
    connected(&mut items).await;
    adapter.particle.connect(adapter.product_id, None);
    assert_eq!(disconnected(&mut items).await, "connected-anew");
}

#[tokio::test]
async fn attempts_to_open_keep_their_distance() {
    let barn = Barn::new().await;
    let mut options = options();
    options.stream.open_spacing = Duration::from_millis(200);
    barn.cloud.add_fault(Fault::new(FaultKind::DropStream));
    let adapter = barn.adapter_with(options);
    let mut items = adapter.particle.events(adapter.product_id);
    let began = tokio::time::Instant::now();
    for _ in 0..4 {
        disconnected(&mut items).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_closed() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let mut items = adapter.particle.events(adapter.product_id);
    connected(&mut items).await;
    assert_eq!(barn.cloud.open_streams(), 1);
    drop(items);
    eventually_async("the stream to be closed", PATIENCE, async || {
        (barn.cloud.open_streams() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let barn = Barn::new().await;
    let mut options = options();
    options.stream.queue = 1;
    options.stream.idle_timeout = Duration::from_secs(5);
    let adapter = barn.adapter_with(options);
    let mut items = adapter.particle.events(adapter.product_id);
    connected(&mut items).await;
    for number in 0..200 {
        barn.cloud.publish_as(&barn.device, "n", Some(&number.to_string()));
    }
    for number in 0..200 {
        assert_eq!(event(&mut items).await.data, Some(number.to_string()));
    }
}
