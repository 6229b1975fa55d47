//! Backup and restore of an SQLite installation.

use ostler_store::{BackupError, Store, backup, restore, verify_backup};

use super::world::{NOW, Place, World, later, options, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_installation_is_whole_and_restores() {
    let world = World::sqlite().await;
    let (ada, device_id, _) = world.held_device().await;
    let folder = ostler_testkit::Scratch::new();
    let copy = folder.join("copy.db");
    let summary = backup(&world.place.url(), &copy).await.unwrap();
    assert_eq!((summary.audit_entries, summary.newest_act_at), (4, Some(NOW)));
    // What happens later is not in it.
    world.customer("bob").await;
    assert_eq!(verify_backup(&copy).await.unwrap(), summary);
    let url = format!("sqlite:{}", folder.join("restored.db").display());
    restore(&copy, &url).await.unwrap();
    let store = Store::open(&url, options(&world.entropy), NOW).await.unwrap();
    let facts = store
        .facts(Some(ada), device_id, None, std::time::Instant::now())
        .await
        .unwrap();
    assert_eq!(facts.grants.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_never_overwrites() {
    let world = World::sqlite().await;
    let folder = ostler_testkit::Scratch::new();
    let copy = folder.write("copy.db", "precious");
    assert!(matches!(
        backup(&world.place.url(), &copy).await,
        Err(BackupError::Exists(_))
    ));
    assert_eq!(std::fs::read(&copy).unwrap(), b"precious");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restoring_over_a_running_or_a_newer_installation_is_refused() {
    let world = World::sqlite().await;
    let (_, _, grant_id) = world.held_device().await;
    let folder = ostler_testkit::Scratch::new();
    let copy = folder.join("copy.db");
    backup(&world.place.url(), &copy).await.unwrap();
    let url = world.place.url();
    assert!(matches!(restore(&copy, &url).await, Err(BackupError::Running(_))));
    world.store.end_grant(grant_id, said(), later(1000)).await.unwrap();
    world.store.close().await;
    let World { store, place, .. } = world;
    drop(store);
    // The ended grant would come back to life.
    assert!(matches!(restore(&copy, &url).await, Err(BackupError::Newer { .. })));
    drop(place);
}

/// SQLite's default.
const PAGE_BYTES: usize = 4096;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_not_restored() {
    let world = World::sqlite().await;
    world.held_device().await;
    let folder = ostler_testkit::Scratch::new();
    let copy = folder.join("copy.db");
    backup(&world.place.url(), &copy).await.unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    // A whole page: in a part of one there may be nothing.
    let middle = bytes.len() / 2 / PAGE_BYTES * PAGE_BYTES;
    bytes[middle..middle + PAGE_BYTES].fill(0xa5);
    std::fs::write(&copy, bytes).unwrap();
    let url = format!("sqlite:{}", folder.join("restored.db").display());
    assert!(restore(&copy, &url).await.is_err());
    assert!(!folder.join("restored.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_its_own_tools() {
    let place = Place::empty_postgres();
    let folder = ostler_testkit::Scratch::new();
    assert!(matches!(
        backup(&place.url(), &folder.join("x")).await,
        Err(BackupError::NotSqlite)
    ));
}
