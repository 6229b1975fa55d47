//! The journal of SQLite: what waits in it is durable, and nobody can tell that it waits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ostler_core::command::CommandState;
use ostler_core::grant::GrantSource;
use ostler_core::id::{CustomerId, DeviceId, EventId};
use ostler_core::interval::{Interval, IntervalSet};
use ostler_core::mapping::PointValue;
use ostler_core::policy::Presence;
use ostler_store::{
    Arrivals, Command, CommandFilter, EventFate, FaultPlan, FaultPoint, Heard, IntentRecorded, NewEvent,
    OutcomeRecorded, Page, Settlement, Store, StoreError, StoreOptions, StoredEvent, StoredPoint,
};
use ostler_testkit::Scratch;

use super::telemetry::always;
use super::world::{Armed, Counting, NOW, Place, World, later, options, said};

/// Where nothing is filed only because time passes: a slow machine takes its time.
async fn patient() -> World {
    World::with(Place::sqlite(), |options| StoreOptions {
        file_after: Duration::from_secs(3600),
        ..options
    })
    .await
}

/// The files as a crash would leave them now.
async fn crashed(world: &World) -> (Store, Scratch) {
    let Place::Sqlite(scratch) = &world.place else {
        panic!("PostgreSQL has no journal")
    };
    let copy = Scratch::new();
    for file in ["ostler.db", "ostler.db-wal"] {
        std::fs::copy(scratch.path().join(file), copy.path().join(file)).unwrap();
    }
    let url = format!("sqlite:{}", copy.path().join("ostler.db").display());
    let store = Store::open(&url, options(&Arc::new(Counting::default())), NOW).await;
    (store.unwrap(), copy)
}

async fn waiting(path: &Path) -> i64 {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let mut db = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let (count,) = sqlx::query_as("SELECT COUNT(*) FROM journal")
        .fetch_one(&mut db)
        .await
        .unwrap();
    count
}

/// An event that says what is known of the device's presence once the first such has been stored.
fn event(world: &World, device_id: DeviceId, number: u64, value: f64) -> NewEvent {
    let heard = Heard {
        device_id,
        presence: Presence::Online,
        at: later(number),
        last_heard_at: Some(later(number)),
    };
    NewEvent {
        heard: Some(heard),
        ..world.event(device_id, number.cast_signed(), &[("t", value)])
    }
}

async fn deliver(store: &Store, event: NewEvent, fates_matter: bool) -> Vec<EventFate> {
    let arrivals = Arrivals {
        events: vec![event],
        fates_matter,
        ..Arrivals::default()
    };
    store.record_arrivals(arrivals).await.unwrap()
}

fn answered(command: &ostler_store::NewCommand, return_value: i32) -> Settlement {
    Settlement {
        command_id: command.id,
        state: CommandState::Answered {
            return_value: Some(return_value),
            at: later(9),
        },
        sent_at: Some(later(8)),
        at: later(9),
    }
}

/// Everything that a reader can see of it.
async fn seen(store: &Store, device_id: DeviceId) -> (Vec<StoredPoint>, Vec<StoredEvent>, Vec<Command>) {
    let key = "t".parse().unwrap();
    let points = store
        .points(device_id, &key, &always(), Page::first(500))
        .await
        .unwrap();
    let events = store.events(device_id, &always(), Page::first(500)).await.unwrap();
    let commands = store
        .commands(CommandFilter::default(), Page::first(500))
        .await
        .unwrap();
    (points.items, events.items, commands.items)
}

/// An odd number in binary: read back from a decimal it may differ in its last bit.
fn odd(number: u64) -> f64 {
    20.0 + (number as f64) / 7.0
}

/// A device whose presence is known, so that its events wait.
async fn live_device(world: &World) -> DeviceId {
    let (_, device_id, _) = world.held_device().await;
    let first = deliver(&world.store, event(world, device_id, 1, 0.1), false).await;
    assert_eq!(first, [EventFate::Stored], "it changes what policy judges by");
    device_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_what_waits_survives_a_crash() {
    let world = patient().await;
    let device_id = live_device(&world).await;
    for number in 2..40 {
        let fates = deliver(&world.store, event(&world, device_id, number, odd(number)), false).await;
        assert_eq!(fates, [EventFate::Journaled]);
    }
    let commands: Vec<_> = (0..5).map(|_| world.command(device_id)).collect();
    for command in &commands {
        let recorded = world.store.record_intent(command.clone()).await.unwrap();
        assert_eq!(recorded, IntentRecorded::Recorded);
    }
    for command in &commands[1..] {
        let recorded = world.store.record_outcome(answered(command, 7)).await.unwrap();
        assert_eq!(recorded, OutcomeRecorded::Recorded);
    }
    let (copy, files) = crashed(&world).await;
    let Place::Sqlite(scratch) = &world.place else {
        unreachable!()
    };
    assert!(waiting(&scratch.path().join("ostler.db")).await > 0, "nothing waited");
    assert_eq!(waiting(&files.path().join("ostler.db")).await, 0);
    assert_eq!(seen(&copy, device_id).await, seen(&world.store, device_id).await);
    let (points, events, found) = seen(&copy, device_id).await;
    assert_eq!((points.len(), events.len(), found.len()), (39, 39, 5));
    assert_eq!(points[2].value, PointValue::Number(odd(3)), "to the last bit");
    assert_eq!(found.iter().filter(|command| command.state.is_settled()).count(), 4);
    copy.verify_audit().await.unwrap().unwrap();
    assert!(copy.model_agrees().await.unwrap());
    for command in &commands[1..] {
        let again = world.store.record_outcome(answered(command, 8)).await.unwrap();
        assert_eq!(again, OutcomeRecorded::SettledBefore);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_is_seen_as_if_it_had_been_written_at_once() {
    let (waits, written) = (World::sqlite().await, World::sqlite().await);
    let mut all = Vec::new();
    for (world, at_once) in [(&waits, false), (&written, true)] {
        let device_id = live_device(world).await;
        for step in 0..900_u64 {
            // Repetitions, and points that come late and come again with another value.
            let number = 2 + (step * 37) % 300;
            let value = odd(number + step / 400);
            deliver(&world.store, event(world, device_id, number, value), at_once).await;
            if step % 3 == 0 {
                let command = world.command(device_id);
                world.store.record_intent(command.clone()).await.unwrap();
                if at_once || step % 2 == 0 {
                    drop(world.store.read().await.unwrap());
                }
                world
                    .store
                    .record_outcome(answered(&command, step as i32))
                    .await
                    .unwrap();
            }
        }
        let (points, events, commands) = seen(&world.store, device_id).await;
        assert_eq!(commands.len(), 300);
        assert!(world.store.model_agrees().await.unwrap());
        world.store.verify_audit().await.unwrap().unwrap();
        let mut events: Vec<_> = events
            .into_iter()
            .map(|event| (event.time, event.name, event.data))
            .collect();
        // Their ids are drawn, and so is their order.
        let mut states: Vec<_> = commands
            .into_iter()
            .map(|command| (command.state, command.sent_at))
            .collect();
        events.sort();
        states.sort_by_key(|(state, _)| format!("{state:?}"));
        all.push((points, events, states));
    }
    assert_eq!(all[0].0, all[1].0);
    assert_eq!(all[0].1, all[1].1);
    assert_eq!(all[0].2, all[1].2);
}

fn database_of(world: &World) -> std::path::PathBuf {
    let Place::Sqlite(scratch) = &world.place else {
        panic!("PostgreSQL has no journal")
    };
    scratch.path().join("ostler.db")
}

/// Devices of one product whose presence is known, so that their events wait.
async fn live_devices(world: &World, count: u64) -> Vec<DeviceId> {
    let product_id = world.product("fleet").await;
    let mut devices = Vec::new();
    for number in 0..count {
        let device_id = world.device(product_id, number).await;
        deliver(&world.store, event(world, device_id, 1, 0.1), true).await;
        devices.push(device_id);
    }
    devices
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_sees_what_the_device_said_last() {
    let world = patient().await;
    let [device_id, other] = live_devices(&world, 2).await[..] else {
        unreachable!()
    };
    let key = "t".parse().unwrap();
    let mut number = 2;
    let mut wait = async || {
        number += 1;
        for device_id in [other, device_id] {
            let fates = deliver(&world.store, event(&world, device_id, number, odd(number)), false).await;
            assert_eq!(fates, [EventFate::Journaled]);
        }
        number
    };
    let (store, all) = (&world.store, always());

    let last = wait().await;
    let points = store.points(device_id, &key, &all, Page::first(500)).await.unwrap();
    assert_eq!(points.items.last().unwrap().value, PointValue::Number(odd(last)));

    let last = wait().await;
    let latest = store
        .latest_points(device_id, &[(key.clone(), all.clone())])
        .await
        .unwrap();
    assert_eq!(latest[0].value, PointValue::Number(odd(last)));

    let last = wait().await;
    let width = "PT1H".parse().unwrap();
    let around = IntervalSet::from_iter([Interval::new(NOW, later(3_600_000))]);
    let buckets = store.buckets(device_id, &key, &around, width).await.unwrap();
    assert_eq!(buckets.last().unwrap().last, odd(last));

    let last = wait().await;
    let events = store.events(device_id, &all, Page::first(500)).await.unwrap();
    assert_eq!(events.items.last().unwrap().time, later(last));

    let last = wait().await;
    let name = &events.items[0].name;
    let named = store
        .events_named(device_id, name, Interval::new(NOW, later(1000)))
        .await
        .unwrap();
    assert_eq!(named.last().unwrap().time, later(last));

    let last = Some(later(wait().await));
    let device = store.device(device_id).await.unwrap().unwrap();
    assert_eq!(device.last_heard_at, last);
    let last = Some(later(wait().await));
    let devices = store.devices(None, Page::first(10)).await.unwrap();
    assert_eq!(devices.items.len(), 2);
    assert!(
        devices.items.iter().all(|device| device.last_heard_at == last),
        "{devices:?}"
    );
    let last = Some(later(wait().await));
    let customer_id = holder_of(&world, device_id).await;
    let devices = store.customer_devices(customer_id, Page::first(10), NOW).await.unwrap();
    assert_eq!(devices.items.len(), 1);
    assert!(
        devices.items.iter().all(|device| device.last_heard_at == last),
        "{devices:?}"
    );
}

async fn holder_of(world: &World, device_id: DeviceId) -> CustomerId {
    let customer_id = world.customer("holder").await;
    let grant = world.grant(customer_id, device_id, GrantSource::Owner);
    world.store.create_grant(grant, said(), NOW).await.unwrap();
    customer_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_what_was_filed_in_part_is_whole_and_single_after_a_crash() {
    let world = patient().await;
    let [one, other] = live_devices(&world, 2).await[..] else {
        unreachable!()
    };
    let (store, database) = (&world.store, database_of(&world));
    let unanswered = world.command(one);
    for number in 2..31 {
        let command = if number == 30 {
            unanswered.clone()
        } else {
            world.command(one)
        };
        // One row of the journal holds events of both, and part of the ledger.
        let together = Arrivals {
            events: vec![
                event(&world, one, number, odd(number)),
                event(&world, other, number, odd(number)),
            ],
            ..Arrivals::default()
        };
        let (recorded, fates) = tokio::join!(store.record_intent(command.clone()), store.record_arrivals(together));
        recorded.unwrap();
        assert_eq!(fates.unwrap(), [EventFate::Journaled; 2]);
        if number % 2 == 1 {
            store.record_outcome(answered(&command, 3)).await.unwrap();
        }
    }
    let rows = waiting(&database).await;
    drop(store.read().await.unwrap());
    assert!(
        0 < waiting(&database).await && waiting(&database).await <= rows,
        "events wait on"
    );
    store
        .points(one, &"t".parse().unwrap(), &always(), Page::first(1))
        .await
        .unwrap();
    assert!(waiting(&database).await > 0, "what the other device said waits on");
    // Of a command that has been filed, but whose row of the journal is still there.
    store.record_outcome(answered(&unanswered, 4)).await.unwrap();

    let (copy, files) = crashed(&world).await;
    assert_eq!(waiting(&files.path().join("ostler.db")).await, 0);
    for device_id in [one, other] {
        let (points, events, commands) = seen(&copy, device_id).await;
        assert_eq!((points.len(), events.len(), commands.len()), (30, 30, 29));
        assert_eq!(commands.iter().filter(|command| command.state.is_settled()).count(), 15);
        assert_eq!((points, events, commands), seen(store, device_id).await);
    }
    assert_eq!(waiting(&database).await, 0);
    copy.verify_audit().await.unwrap().unwrap();
    assert!(copy.model_agrees().await.unwrap() && store.model_agrees().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_bounded_and_what_waited_longest_goes_first() {
    let world = patient().await;
    let devices = live_devices(&world, 120).await;
    let (store, database) = (&world.store, database_of(&world));
    let mut rows_at_most = 0;
    for number in 2..320 {
        let arrivals = Arrivals {
            events: devices
                .iter()
                .map(|device_id| event(&world, *device_id, number, odd(number)))
                .collect(),
            ..Arrivals::default()
        };
        store.record_arrivals(arrivals).await.unwrap();
        rows_at_most = rows_at_most.max(waiting(&database).await);
    }
    // Each row holds an event of each device, and in quiet moments half of 16,384 wait: 68 rows. Until all
    // devices had their turn for the first time, twice as many came in.
    assert!(rows_at_most <= 210, "{rows_at_most} rows waited");
    for device_id in devices {
        let (points, events, _) = seen(store, device_id).await;
        assert_eq!((points.len(), events.len()), (319, 319));
    }
    assert_eq!(waiting(&database).await, 0);
}

#[derive(Default)]
struct Begins(AtomicU64);

impl FaultPlan for Begins {
    fn strikes(&self, point: FaultPoint) -> bool {
        if point == FaultPoint::Begin {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_device_said_in_a_flood_is_filed_part_by_part() {
    let begins = Arc::new(Begins::default());
    let plan = Arc::clone(&begins);
    let world = World::with(Place::sqlite(), |options| StoreOptions {
        file_after: Duration::from_secs(3600),
        faults: plan,
        ..options
    })
    .await;
    let device_id = live_device(&world).await;
    for first in (2..2_502).step_by(250) {
        let events = (first..first + 250).map(|number| event(&world, device_id, number, odd(number)));
        let arrivals = Arrivals {
            events: events.collect(),
            ..Arrivals::default()
        };
        world.store.record_arrivals(arrivals).await.unwrap();
    }
    let before = begins.0.load(Ordering::SeqCst);
    let latest = [("t".parse().unwrap(), always())];
    let latest = world.store.latest_points(device_id, &latest).await.unwrap();
    assert_eq!(latest[0].value, PointValue::Number(odd(2_501)));
    let parts = begins.0.load(Ordering::SeqCst) - before;
    assert_eq!(parts, 3, "2,500 events are three parts");
    assert_eq!(waiting(&database_of(&world)).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_begins_anew_while_commits_go_on() {
    let world = World::sqlite().await;
    let device_id = live_device(&world).await;
    let log = database_of(&world).with_extension("db-wal");
    let data = "x".repeat(16_384);
    let mut written = 0;
    for number in 2..3000 {
        let told = NewEvent {
            data: Some(data.clone()),
            ..event(&world, device_id, number, odd(number))
        };
        written += data.len() as u64;
        deliver(&world.store, told, false).await;
    }
    let log = std::fs::metadata(log).unwrap().len();
    // Each event passes the log twice, and it would have kept all of it.
    assert!(log < written, "{log} bytes of log for {written} bytes of events");
    let (points, _, _) = seen(&world.store, device_id).await;
    assert_eq!(points.len(), 500, "a page");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jot_whose_answer_was_lost_is_found_in_the_journal() {
    let faults = Arc::new(Armed::default());
    let plan = Arc::clone(&faults);
    let world = World::with(Place::sqlite(), |options| StoreOptions {
        faults: plan,
        ..options
    })
    .await;
    let device_id = live_device(&world).await;
    let [before, lost, never] = [2, 3, 4].map(|number| event(&world, device_id, number, odd(number)));
    deliver(&world.store, before, false).await;

    faults.arm(&[FaultPoint::CommitLost]);
    let arrivals = |event| Arrivals {
        events: vec![event],
        ..Arrivals::default()
    };
    let answer = world.store.record_arrivals(arrivals(lost.clone())).await;
    assert!(matches!(answer, Err(StoreError::CommitUnknown(_))), "{answer:?}");
    faults.arm(&[FaultPoint::BeforeCommit]);
    let answer = world.store.record_arrivals(arrivals(never)).await;
    assert!(matches!(answer, Err(StoreError::Injected(_))), "{answer:?}");
    let again = NewEvent {
        id: EventId::draw(NOW, &*world.entropy),
        ..lost
    };
    assert_eq!(deliver(&world.store, again, true).await, [EventFate::KnownBefore]);
    let (points, events, _) = seen(&world.store, device_id).await;
    assert_eq!((points.len(), events.len()), (3, 3));
}
