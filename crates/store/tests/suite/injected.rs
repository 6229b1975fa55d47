//! Faults at the two choke points: what was not committed is not there, what was is, and the read
//! model never says anything else than the database.

use std::sync::Arc;

use ostler_core::grant::GrantSource;
use ostler_store::{FaultPlan, FaultPoint, IntentRecorded, StoreError};

use super::world::{Armed, NOW, Place, World, said};

async fn worlds() -> Vec<(World, Arc<Armed>)> {
    let mut worlds = Vec::new();
    for place in [Place::sqlite(), Place::postgres().await] {
        let armed = Arc::new(Armed::default());
        let faults = Arc::clone(&armed) as Arc<dyn FaultPlan>;
        let world = World::with(place, |options| ostler_store::StoreOptions { faults, ..options }).await;
        worlds.push((world, armed));
    }
    worlds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_changes_neither_database_nor_model() {
    for (world, armed) in worlds().await {
        let (ada, device_id, _) = world.held_device().await;
        for point in [FaultPoint::Begin, FaultPoint::BeforeCommit] {
            armed.arm(&[point]);
            let share = world.grant(ada, device_id, GrantSource::Share);
            let failed = world.store.create_grant(share, said(), NOW).await;
            assert!(matches!(failed, Err(StoreError::Injected(at)) if at == point));
            assert_eq!(world.facts(ada, device_id).await.grants.len(), 1);
        }
        world.store.verify_audit().await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_after_a_lost_commit_the_model_says_what_the_database_says() {
    for (world, armed) in worlds().await {
        let (ada, device_id, grant_id) = world.held_device().await;
        armed.arm(&[FaultPoint::CommitLost]);
        let lost = world.store.end_grant(grant_id, said(), NOW).await;
        assert!(matches!(lost, Err(StoreError::CommitUnknown(None))), "{lost:?}");
        assert!(world.facts(ada, device_id).await.grants.is_empty());
        // The chain goes on from what is really there.
        world.customer("bob").await;
        world.store.verify_audit().await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_nothing_is_answered_from_a_model_that_could_not_be_read_anew() {
    let (world, armed) = worlds().await.remove(0);
    let (ada, device_id, grant_id) = world.held_device().await;
    // The commit is lost, the rebuilding fails, and so does the first question.
    armed.arm(&[FaultPoint::CommitLost, FaultPoint::Read]);
    world.store.end_grant(grant_id, said(), NOW).await.unwrap_err();
    armed.arm(&[FaultPoint::Read]);
    let asked = world
        .store
        .facts(Some(ada), device_id, None, std::time::Instant::now())
        .await;
    assert!(matches!(asked, Err(StoreError::Injected(FaultPoint::Read))));
    assert!(world.facts(ada, device_id).await.grants.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_whose_commit_was_lost_is_found_by_its_key() {
    for (world, armed) in worlds().await {
        let (_, device_id, _) = world.held_device().await;
        let body_digest = ostler_core::secret::SecretDigest::of("x");
        let keyed = |world: &World| ostler_store::NewCommand {
            idempotency: Some(ostler_store::Idempotency {
                key: "k1".into(),
                body_digest,
            }),
            ..world.command(device_id)
        };
        let first = keyed(&world);
        armed.arm(&[FaultPoint::CommitLost]);
        let lost = world.store.record_intent(first.clone()).await;
        assert!(matches!(lost, Err(StoreError::CommitUnknown(_))));
        match world.store.record_intent(keyed(&world)).await.unwrap() {
            IntentRecorded::KeyTaken(existing) => assert_eq!(existing.id, first.id),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_goes_away_leaves_no_commit_without_its_change() {
    for (world, _) in worlds().await {
        let (ada, device_id, _) = world.held_device().await;
        for _ in 0..50 {
            let share = world.grant(ada, device_id, GrantSource::Share);
            let mut creating = Box::pin(world.store.create_grant(share, said(), NOW));
            // Polled some times, then dropped: somewhere between the beginning and the answer.
            for _ in 0..world.entropy.small(12) {
                if futures_util::poll!(&mut creating).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
                std::hint::spin_loop();
            }
            drop(creating);
        }
        world.customer("bob").await;
        world.facts(ada, device_id).await;
        world.store.verify_audit().await.unwrap().unwrap();
    }
}
