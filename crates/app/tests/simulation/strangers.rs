//! P8: a stranger takes the same way as somebody who asks for a device that does not exist.

use std::time::Duration;

use ostler_app::call_function::Wait;
use ostler_core::grant::GrantSource;
use ostler_core::history::BucketWidth;
use ostler_core::id::DeviceId;
use ostler_core::interval::Interval;
use ostler_core::port::Clock as _;
use ostler_store::{FaultPoint, Page};

use super::chance::SeededEntropy;
use super::faults::Passage;
use super::site::FREE;
use super::world::{Life, World};
use ostler_app::call_function::{CallFunctionError, CallRequest};
use ostler_app::history::RangeQuestion;
use ostler_core::policy::FunctionCall;

/// Everything that can be asked about a device, and what was passed on the way to each refusal.
async fn ways_of(life: &Life, device_id: DeviceId) -> Vec<(&'static str, String, Vec<Passage>)> {
    let caller = life
        .app
        .authenticate(life.site.customers[0].token.reveal())
        .await
        .unwrap();
    let key = "temperature".parse().unwrap();
    let question = RangeQuestion {
        device_id,
        key,
        range: Interval::ALWAYS,
    };
    let minute: BucketWidth = "PT1M".parse().unwrap();
    let mut ways = Vec::new();
    let key_of_its_own = format!("key-{}", life.witness.number());
    let key = Some(key_of_its_own.as_str());
    for (kind, key) in [
        ("call", None),
        ("call with a key", key),
        ("call with that key again", key),
    ] {
        let call = FunctionCall {
            device_id,
            function: "set".parse().unwrap(),
            argument: "1".into(),
        };
        let idempotency_key = key.map(|key: &str| key.parse().unwrap());
        let request = CallRequest {
            call,
            on_behalf_of: None,
            reason: None,
            idempotency_key,
            wait: Wait::ForOutcome,
        };
        life.faults.take_passed();
        let refused = life.app.call_function(&caller, request).await;
        let Err(CallFunctionError::Denied {
            denied,
            command_id: None,
            ..
        }) = refused
        else {
            panic!("P8: {refused:?}")
        };
        ways.push((kind, denied.to_string(), quiet(life, 1).await));
    }
    let said = |answer: Result<String, String>| answer.unwrap_err();
    life.faults.take_passed();
    let device = life.app.device(&caller, device_id).await;
    ways.push((
        "device",
        said(device.map(|_| String::new()).map_err(|error| error.to_string())),
        quiet(life, 0).await,
    ));
    let points = life.app.points(&caller, &question, Page::first(10)).await;
    ways.push((
        "points",
        said(points.map(|_| String::new()).map_err(|error| error.to_string())),
        quiet(life, 0).await,
    ));
    let buckets = life.app.buckets(&caller, &question, minute).await;
    ways.push((
        "buckets",
        said(buckets.map(|_| String::new()).map_err(|error| error.to_string())),
        quiet(life, 0).await,
    ));
    let latest = life.app.latest_values(&caller, device_id).await;
    ways.push((
        "latest",
        said(latest.map(|_| String::new()).map_err(|error| error.to_string())),
        quiet(life, 0).await,
    ));
    let events = life
        .app
        .events(&caller, device_id, Interval::ALWAYS, Page::first(10))
        .await;
    ways.push((
        "events",
        said(events.map(|_| String::new()).map_err(|error| error.to_string())),
        quiet(life, 0).await,
    ));
    ways
}

/// What was passed, once also that is written which is written after the answer. The disk does not
/// know of the simulation's time, so its commits are waited for and not guessed.
async fn quiet(life: &Life, commits: usize) -> Vec<Passage> {
    let mut passed = Vec::new();
    let committed = |passed: &[Passage]| {
        let last = Passage::Store(FaultPoint::CommitLost);
        passed.iter().filter(|passage| **passage == last).count()
    };
    for _ in 0..1_000 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        passed.extend(life.faults.take_passed());
        if committed(&passed) >= commits {
            // What waits in the journal finds its place.
            drop(life.store.read().await.unwrap());
            passed.extend(life.faults.take_passed());
            return passed;
        }
    }
    panic!("waited in vain for {commits} commits: {passed:?}");
}

fn a_stranger_learns_nothing(mut world: World) {
    world.live(async |life| {
        let nowhere = DeviceId::draw(life.clock.now(), &SeededEntropy::new(4711));
        let unknown = ways_of(life, nowhere).await;
        // What the device just said may wait in the journal: to read it would take longer than to read nothing.
        for (kind, _, passed) in unknown.iter().filter(|(kind, ..)| !kind.starts_with("call")) {
            // The other is `quiet`'s own.
            let facts = [Passage::Store(FaultPoint::Read); 2];
            assert_eq!(passed, &facts, "{kind}: a stranger has nothing read but the facts");
        }
        assert_eq!(
            ways_of(life, life.site.devices[FREE]).await,
            unknown,
            "a device that nobody may use"
        );
        life.grant(1, FREE, GrantSource::Owner, None).await.unwrap();
        assert_eq!(
            ways_of(life, life.site.devices[FREE]).await,
            unknown,
            "a device that somebody else owns"
        );
        let ended = life.grant(0, FREE, GrantSource::Share, None).await.unwrap();
        assert!(life.end(ended, 1).await);
        assert_eq!(
            ways_of(life, life.site.devices[FREE]).await,
            unknown,
            "a device that was theirs"
        );
    });
}

#[test]
fn p8_a_stranger_takes_the_way_of_nobody_on_sqlite() {
    a_stranger_learns_nothing(World::new(8));
}

#[test]
fn p8_a_stranger_takes_the_way_of_nobody_on_postgres() {
    a_stranger_learns_nothing(World::on_postgres(8));
}
