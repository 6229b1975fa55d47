//! Acknowledged is durable (P3, for power loss): what each writing connection of the shipping path
//! says about itself.

use ostler_core::command::CommandState;
use ostler_store::{Link, OpenError, Settlement, Store};

use super::world::{NOW, Place, World, later, on_both, options};

async fn setting(store: &Store, sqlite: &'static str, postgres: &'static str) -> String {
    let mut tx = store.write(NOW).await.unwrap();
    match tx.link() {
        Link::Sqlite(connection) => {
            let row = sqlx::query(sqlite).fetch_one(connection).await.unwrap();
            use sqlx::Row as _;
            row.try_get::<String, _>(0)
                .unwrap_or_else(|_| row.get::<i64, _>(0).to_string())
        }
        Link::Pg(connection) => sqlx::query_scalar(postgres).fetch_one(connection).await.unwrap(),
    }
}

on_both! {
    async fn every_write_waits_for_the_disk(world) {
        // Twice, for both the first connection and the one after it.
        for _ in 0..2 {
            match setting(&world.store, "PRAGMA synchronous", "SHOW synchronous_commit").await.as_str() {
                "2" | "on" => {}
                other => panic!("commits do not wait for the disk: {other}"),
            }
            match setting(&world.store, "PRAGMA journal_mode", "SHOW fsync").await.as_str() {
                // The tests' own server may run without fsync; the shipping path has no say in it.
                "wal" | "on" | "off" => {}
                other => panic!("the journal is {other}"),
            }
            let keys = setting(&world.store, "PRAGMA foreign_keys", "SELECT '1'").await;
            assert_eq!(keys, "1");
        }
    }

    async fn what_was_acknowledged_is_there_after_a_restart(world) {
        let (customer_id, device_id, _) = world.held_device().await;
        let command = world.command(device_id);
        let command_id = command.id;
        world.store.record_intent(command).await.unwrap();
        let state = CommandState::Answered { return_value: Some(-1), at: later(5) };
        let settlement = Settlement { command_id, state, sent_at: Some(NOW), at: later(5) };
        world.store.record_outcome(settlement).await.unwrap();
        let world = world.reopened().await;
        assert_eq!(world.store.command(command_id).await.unwrap().unwrap().state, state);
        assert_eq!(world.facts(customer_id, device_id).await.grants.len(), 1);
    }
}

#[tokio::test]
async fn a_second_writing_process_is_refused_on_sqlite() {
    let world = World::at(Place::sqlite()).await;
    let second = Store::open(&world.place.url(), options(&world.entropy), NOW).await;
    assert!(matches!(second.err(), Some(OpenError::Locked(_))));
}

#[tokio::test]
async fn a_database_in_memory_is_refused() {
    for url in ["sqlite::memory:", "sqlite://:memory:"] {
        let opened = Store::open(url, options(&std::sync::Arc::default()), NOW).await;
        assert!(matches!(opened.err(), Some(OpenError::InMemory)), "{url}");
    }
}

#[tokio::test]
async fn an_unknown_kind_of_database_is_refused() {
    let opened = Store::open("mysql://localhost/x", options(&std::sync::Arc::default()), NOW).await;
    assert!(matches!(opened.err(), Some(OpenError::UnknownScheme)));
}
