//! Upgrades through the shipping path, on a database that has something in it.

use std::sync::Arc;

use ostler_store::{MIGRATIONS, Migration, OpenError, Store, StoreOptions};

use super::world::{Counting, NOW, Place, World, options};

/// Opening with the first `count` files only, as a former release did.
fn former(entropy: &Arc<Counting>, count: usize) -> StoreOptions {
    StoreOptions {
        migrations: &MIGRATIONS[..count],
        ..options(entropy)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_an_upgrade_of_a_filled_database_loses_no_rows() {
    for place in [Place::sqlite(), Place::empty_postgres()] {
        let entropy = Arc::new(Counting::default());
        // Everything but the newest file: it is the one that a release adds.
        let store = Store::open(&place.url(), former(&entropy, MIGRATIONS.len() - 1), NOW)
            .await
            .unwrap();
        let world = World { store, entropy, place };
        let (ada, device_id, grant_id) = world.held_device().await;
        let command = world.command(device_id);
        world.store.record_intent(command.clone()).await.unwrap();
        let world = world.reopened().await;
        assert_eq!(world.facts(ada, device_id).await.grants[0].id, grant_id);
        assert!(world.store.command(command.id).await.unwrap().is_some());
        world.store.verify_audit().await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_migration_is_refused() {
    static EDITED: &[Migration] = &[Migration {
        version: 1,
        name: "0001_registry",
        sql: "SELECT 1",
    }];
    for place in [Place::sqlite(), Place::empty_postgres()] {
        let entropy = Arc::new(Counting::default());
        Store::open(&place.url(), options(&entropy), NOW)
            .await
            .unwrap()
            .close()
            .await;
        let opened = Store::open(
            &place.url(),
            StoreOptions {
                migrations: EDITED,
                ..options(&entropy)
            },
            NOW,
        )
        .await;
        assert!(matches!(opened.err(), Some(OpenError::Migrate(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_fails_leaves_nothing_behind() {
    static FAULTY: &[Migration] = &[
        Migration {
            version: 1,
            name: "one",
            sql: "CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x')",
        },
        Migration {
            version: 2,
            name: "two",
            sql: "CREATE TABLE two (a TEXT); INSERT INTO nowhere VALUES (1)",
        },
    ];
    for place in [Place::sqlite(), Place::empty_postgres()] {
        let entropy = Arc::new(Counting::default());
        let opened = Store::open(
            &place.url(),
            StoreOptions {
                migrations: FAULTY,
                ..options(&entropy)
            },
            NOW,
        )
        .await;
        assert!(matches!(opened.err(), Some(OpenError::Migrate(_))));
        // Were table `one` or its record still there, the real first migration would be refused.
        Store::open(&place.url(), options(&entropy), NOW)
            .await
            .unwrap()
            .close()
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_together_migrate_once() {
    let place = Place::empty_postgres();
    let url = place.url();
    let opened = futures_util::future::join_all((0..4).map(|_| {
        let entropy = Arc::new(Counting::default());
        let url = url.clone();
        async move {
            Store::open(&url, options(&entropy), NOW)
                .await
                .map(|store| store.chain_id())
        }
    }));
    for opened in opened.await {
        opened.unwrap();
    }
}
