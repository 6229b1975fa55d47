//! Several instances on one PostgreSQL: they share nothing but the database, and the statements
//! settle what they do at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ostler_core::grant::GrantSource;
use ostler_core::id::DeviceId;
use ostler_core::product_file::ProductFile;
use ostler_core::secret::SecretDigest;
use ostler_store::{
    Actor, FaultPlan, FaultPoint, GrantCreated, Idempotency, IntentRecorded, NewCommand, Store, StoreOptions,
};

use super::world::{Counting, NOW, World, later, options, product_file, said};

async fn two_instances() -> (World, Store) {
    let world = World::postgres().await;
    let entropy = Arc::new(Counting::default());
    let second = Store::open(&world.place.url(), options(&entropy), NOW).await.unwrap();
    (world, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_an_end_on_one_instance_is_an_end_on_all() {
    let (world, second) = two_instances().await;
    let (ada, device_id, grant_id) = world.held_device().await;
    let seen = async || {
        second
            .facts(Some(ada), device_id, None, Instant::now())
            .await
            .unwrap()
            .grants
            .len()
    };
    assert_eq!(seen().await, 1);
    world.store.end_grant(grant_id, said(), later(1)).await.unwrap();
    assert_eq!(seen().await, 0);
}

/// Counts how often the database is asked.
#[derive(Default)]
struct Asked(AtomicU64);

impl FaultPlan for Asked {
    fn strikes(&self, point: FaultPoint) -> bool {
        if point == FaultPoint::Read {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p8_a_product_that_another_instance_changed_costs_no_second_look() {
    let world = World::postgres().await;
    let (ada, device_id, _) = world.held_device().await;
    let asked = Arc::new(Asked::default());
    let with_count = StoreOptions {
        faults: Arc::clone(&asked) as Arc<dyn FaultPlan>,
        ..options(&Arc::new(Counting::default()))
    };
    let second = Store::open(&world.place.url(), with_count, NOW).await.unwrap();
    let cost = async |device_id| {
        let before = asked.0.load(Ordering::SeqCst);
        let facts = second.facts(Some(ada), device_id, None, Instant::now()).await.unwrap();
        let name = facts
            .device
            .map(|device| (device.product.version, device.product.declaration.name.clone()));
        (asked.0.load(Ordering::SeqCst) - before, name)
    };
    assert_eq!(cost(DeviceId::draw(NOW, &*world.entropy)).await, (1, None));
    let (first, told) = cost(device_id).await;
    assert_eq!((first, told.unwrap().0), (1, 1));
    for (version, name) in [(2, "Warm"), (3, "Warmer")] {
        let file = ProductFile {
            name: name.to_owned(),
            ..product_file("thermostat")
        };
        world.store.apply_product(&file, Actor::System, later(1)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(
                cost(device_id).await,
                (1, Some((version, name.to_owned()))),
                "changed elsewhere, and seen"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_two_instances_make_one_owner() {
    let (world, second) = two_instances().await;
    let product_id = world.product("thermostat").await;
    let device_id = world.device(product_id, 1).await;
    for round in 0..10 {
        let (ada, bob) = (
            world.customer(&format!("ada{round}")).await,
            world.customer(&format!("bob{round}")).await,
        );
        let (first, other) = (
            world.grant(ada, device_id, GrantSource::Owner),
            world.grant(bob, device_id, GrantSource::Owner),
        );
        let ids = [first.id, other.id];
        let (one, two) = futures_util::future::join(
            world.store.create_grant(first, said(), NOW),
            second.create_grant(other, said(), NOW),
        )
        .await;
        let created = [one.unwrap(), two.unwrap()];
        assert_eq!(created.iter().filter(|each| **each == GrantCreated::Created).count(), 1);
        for id in ids {
            world.store.end_grant(id, said(), later(1)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_one_key_on_two_instances_is_one_command() {
    let (world, second) = two_instances().await;
    let (_, device_id, _) = world.held_device().await;
    // Each instance hands in the same keys, in opposite orders: their commits block each other.
    let keyed = |key: usize| NewCommand {
        idempotency: Some(Idempotency {
            key: format!("k{key}"),
            body_digest: SecretDigest::of("x"),
        }),
        ..world.command(device_id)
    };
    let ours = (0..40).map(|key| world.store.record_intent(keyed(key)));
    let theirs = (0..40).rev().map(|key| second.record_intent(keyed(key)));
    let (ours, mut theirs) = futures_util::future::join(
        futures_util::future::join_all(ours),
        futures_util::future::join_all(theirs),
    )
    .await;
    theirs.reverse();
    for pair in ours.into_iter().zip(theirs) {
        // A deadlock may have refused one of the two; never may both have been recorded.
        let recorded = [pair.0, pair.1]
            .into_iter()
            .filter(|each| matches!(each, Ok(IntentRecorded::Recorded)))
            .count();
        assert_eq!(recorded, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cool_down_holds_across_instances() {
    let (world, second) = two_instances().await;
    let (_, device_id, _) = world.held_device().await;
    for round in 0..10u64 {
        let cooling = || NewCommand {
            cool_down: Duration::from_millis(100),
            created_at: later(round * 100),
            ..world.command(device_id)
        };
        let (one, two) =
            futures_util::future::join(world.store.record_intent(cooling()), second.record_intent(cooling())).await;
        let recorded = [one.unwrap(), two.unwrap()];
        assert_eq!(
            recorded
                .iter()
                .filter(|each| **each == IntentRecorded::Recorded)
                .count(),
            1,
            "{recorded:?}"
        );
    }
}
