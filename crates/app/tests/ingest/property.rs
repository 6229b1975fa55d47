//! Whatever comes in at the hook's door: it is taken, and every event is accounted for.

use ostler_core::event::REGISTRATION_EVENT;
use ostler_core::time::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::world::{NOW, cloud_id};

const CASES: usize = 20_000;
const PER_DELIVERY: usize = 100;

fn any_event() -> impl Strategy<Value = CloudEvent> {
    let source = prop_oneof![
        4 => Just(Some(cloud_id(1))),
        1 => Just(Some(cloud_id(2))),
        1 => Just(Some(cloud_id(99))),
        1 => Just(None),
    ];
    let name = prop_oneof![
        4 => Just("t/state".to_owned()),
        1 => Just("loc".to_owned()),
        1 => Just("spark/status".to_owned()),
        1 => Just(REGISTRATION_EVENT.to_owned()),
        1 => Just("hook-sent/x".to_owned()),
        2 => "(\\PC|\u{0}){0,20}",
        1 => "[a-z]{250,260}",
    ];
    let data = prop_oneof![
        1 => Just(None),
        2 => "(\\PC|\u{0}){0,40}".prop_map(Some),
        2 => (any::<f64>(), any::<i64>()).prop_map(|(t, time)| Some(format!(r#"{{"t":{t:?},"time":{time},"mode":{t:?}}}"#))),
        1 => "[\\[{]{0,4}\"?(t|loc|lat|towers|time|mode|\\\\u0000)\"?[:,]{0,1}[0-9e.+-]{0,9}[\\]}]{0,4}".prop_map(Some),
        1 => (any::<f64>(), any::<f64>()).prop_map(|(lat, lon)| Some(format!(r#"{{"loc":{{"lat":{lat:?},"lon":{lon:?}}}}}"#))),
    ];
    let published = prop_oneof![4 => 0..100_000_i64, 1 => any::<i64>()];
    (source, name, data, published).prop_map(|(source, name, data, published)| CloudEvent {
        source,
        name,
        data,
        published_at: Timestamp::from_millis(NOW.millis().saturating_add(published)),
        vendor_event_id: None,
    })
}

on_both! {
    async fn property_every_delivery_is_taken(world) {
        let (product_id, device_id, door) = world.thermostat().await;
        let vehicle = world.product("vehicle").await;
        world.device(vehicle, 2).await;
        let mut runner = TestRunner::deterministic();
        let deliveries = proptest::collection::vec(any_event(), PER_DELIVERY);
        let mut of_the_device = std::collections::HashSet::new();
        for _ in 0..CASES / PER_DELIVERY {
            let events = deliveries.new_tree(&mut runner).unwrap().current();
            let stored = events.iter().filter(|event| {
                let plausible = event.name.len() <= 256
                    && event.published_at >= Timestamp::from_millis(0)
                    && event.published_at <= after(24 * 3600);
                event.source == Some(cloud_id(1)) && event.name != REGISTRATION_EVENT && plausible
            });
            of_the_device.extend(stored.map(|event| *event.identity().as_bytes()));
            world.deliver(&door, events).await;
        }
        let mut count = 0;
        let mut page = Page::first(500);
        loop {
            let listed = world.app.events(&maker(), device_id, Interval::ALWAYS, page).await.unwrap();
            count += listed.items.len();
            match listed.items.last() {
                Some(last) if listed.more => page = Page::after(last.cursor(), 500),
                Some(_) | None => break,
            }
        }
        assert_eq!(count, of_the_device.len(), "each once, and none of another device");
        assert!(!world.rejected(product_id).await.is_empty());
    }
}
