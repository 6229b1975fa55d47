//! Opening a database only to look at it, beside whoever writes to it.

use ostler_store::{
    Actor, MIGRATIONS, MasterKey, MasterKeys, SchemaStanding, Store, StoreOptions, UnsealError, WriteProbe,
    probe_writing,
};

use super::world::{NOW, Place, World, on_both, options};

on_both! {
    async fn a_looking_store_sees_what_is_committed_and_can_change_nothing(world) {
        world.held_device().await;
        let looking = Store::look(&world.place.url(), options(&world.entropy), NOW).await.unwrap();
        assert_eq!(looking.schema_standing().await.unwrap(), SchemaStanding::default());
        assert_eq!(looking.quick_check().await.unwrap(), None);
        let (seen, own) = (looking.verify_audit().await.unwrap().unwrap(), world.store.verify_audit().await.unwrap().unwrap());
        assert_eq!(seen, own);
        assert!(!looking.has_staff().await.unwrap());

        let product_id = world.product("another").await;
        let written = looking.rotate_registration_key(product_id, Actor::System, NOW).await;
        written.unwrap_err();
        assert!(looking.product(product_id).await.unwrap().is_some(), "it sees what came later");
        looking.close().await;
        world.product("still-writable").await;
    }

    async fn secrets_that_another_key_sealed_are_named(world) {
        let product_id = world.product("sealed").await;
        let looking = Store::look(&world.place.url(), options(&world.entropy), NOW).await.unwrap();
        let report = looking.check_sealed().await.unwrap();
        assert_eq!((report.total, report.unopened.len()), (1, 0));
        looking.close().await;

        let foreign = MasterKeys::new(MasterKey::from_bytes([10; 32]), Vec::new());
        let foreign = StoreOptions { master_keys: foreign, ..options(&world.entropy) };
        let looking = Store::look(&world.place.url(), foreign, NOW).await.unwrap();
        let report = looking.check_sealed().await.unwrap();
        assert_eq!(report.unopened[0].product_id, product_id);
        assert_eq!(report.unopened[0].why, UnsealError::UnknownKey);
        looking.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_lacks_everything_and_stays_empty() {
    let place = Place::empty_postgres();
    let entropy = std::sync::Arc::default();
    let looking = Store::look(&place.url(), options(&entropy), NOW).await.unwrap();
    assert_eq!(
        looking.schema_standing().await.unwrap().outstanding.len(),
        MIGRATIONS.len()
    );
    looking.close().await;
    assert_eq!(probe_writing(&place.url()).await.unwrap(), WriteProbe::Writable);
    let looking = Store::look(&place.url(), options(&entropy), NOW).await.unwrap();
    assert_eq!(
        looking.schema_standing().await.unwrap().outstanding.len(),
        MIGRATIONS.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_leaves_a_running_installation_alone_and_makes_no_file() {
    let world = World::sqlite().await;
    assert_eq!(probe_writing(&world.place.url()).await.unwrap(), WriteProbe::InUse);
    world.store.close().await;
    assert_eq!(probe_writing(&world.place.url()).await.unwrap(), WriteProbe::Writable);

    let folder = ostler_testkit::Scratch::new();
    let absent = folder.join("absent.db");
    probe_writing(&format!("sqlite:{}", absent.display()))
        .await
        .unwrap_err();
    assert!(!absent.exists());
}
