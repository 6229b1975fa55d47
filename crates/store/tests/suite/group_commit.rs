//! The writer: what queues up shares a commit, nobody suffers for another's entry, and a full queue
//! says so.

use ostler_store::{IntentRecorded, NewCommand, StoreError, StoreOptions};

use super::world::{NOW, Place, World, on_both};

on_both! {
    async fn entries_that_wait_together_share_a_commit(world) {
        let (_, device_id, _) = world.held_device().await;
        let before = entries(&world).await;
        // While the lane is taken, all of them queue.
        let held = world.store.write(NOW).await.unwrap();
        let recording = futures_util::future::join_all(
            (0..200).map(|_| world.store.record_intent(world.command(device_id))));
        let release = async { tokio::task::yield_now().await; drop(held); };
        let (recorded, ()) = futures_util::future::join(recording, release).await;
        assert!(recorded.iter().all(|each| matches!(each, Ok(IntentRecorded::Recorded))));
        // One audit entry per commit: the first intent may have gone alone.
        assert!(entries(&world).await - before <= 2);
    }

    async fn what_is_queued_when_the_store_closes_is_written(world) {
        let (_, device_id, _) = world.held_device().await;
        let commands: Vec<_> = (0..50).map(|_| world.command(device_id)).collect();
        let recording = futures_util::future::join_all(commands.iter().map(|command| world.store.record_intent(command.clone())));
        let closing = async { tokio::task::yield_now().await; world.store.close().await; };
        let (recorded, ()) = futures_util::future::join(recording, closing).await;
        assert!(recorded.iter().all(|each| matches!(each, Ok(IntentRecorded::Recorded))));
        let late = world.store.record_intent(world.command(device_id)).await;
        assert!(matches!(late, Err(StoreError::Closed)));
    }
}

async fn entries(world: &World) -> i64 {
    world
        .store
        .verify_audit()
        .await
        .unwrap()
        .unwrap()
        .iter()
        .map(|report| report.entries)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_entry_that_the_database_refuses_fails_alone() {
    // PostgreSQL cannot store a NUL in text, and says so for the whole statement.
    let world = World::postgres().await;
    let (_, device_id, _) = world.held_device().await;
    let held = world.store.write(NOW).await.unwrap();
    let recording = futures_util::future::join_all((0..50).map(|number| {
        let argument = if number == 25 { "\0" } else { "20" };
        world.store.record_intent(NewCommand {
            argument: argument.into(),
            ..world.command(device_id)
        })
    }));
    let release = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (recorded, ()) = futures_util::future::join(recording, release).await;
    for (number, recorded) in recorded.into_iter().enumerate() {
        assert_eq!(recorded.is_ok(), number != 25, "{number}: {recorded:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_said_at_once_and_nothing_is_lost() {
    for place in [Place::sqlite(), Place::postgres().await] {
        let world = World::with(place, |options| StoreOptions { queue: 8, ..options }).await;
        let (_, device_id, _) = world.held_device().await;
        let held = world.store.write(NOW).await.unwrap();
        let commands: Vec<_> = (0..40).map(|_| world.command(device_id)).collect();
        let recording = futures_util::future::join_all(
            commands
                .iter()
                .map(|command| world.store.record_intent(command.clone())),
        );
        let release = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        let (recorded, ()) = futures_util::future::join(recording, release).await;
        let mut refused = 0;
        for (command, recorded) in commands.iter().zip(recorded) {
            let stored = world.store.command(command.id).await.unwrap().is_some();
            match recorded {
                Ok(answer) => assert!(stored && answer == IntentRecorded::Recorded),
                Err(StoreError::Overloaded) if !stored => refused += 1,
                Err(error) => panic!("{error}, stored: {stored}"),
            }
        }
        assert!(refused > 0);
    }
}
