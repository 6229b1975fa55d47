//! Products: applied, unchanged, reverted.

use ostler_core::product_file::ProductFile;
use ostler_store::{Actor, Applied, ApplyError, Page};

use super::world::{NOW, on_both, product_file};

fn renamed(name: &str) -> ProductFile {
    ProductFile {
        name: name.to_owned(),
        ..product_file("thermostat")
    }
}

on_both! {
    async fn applying_the_same_file_again_writes_nothing(world) {
        let id = world.product("thermostat").await;
        let again = world.store.apply_product(&product_file("thermostat"), Actor::System, NOW).await.unwrap();
        assert_eq!(again, Applied::Unchanged { id, version: 1 });
    }

    async fn every_version_is_kept_and_can_be_gone_back_to(world) {
        let id = world.product("thermostat").await;
        let changed = world.store.apply_product(&renamed("Warm"), Actor::System, NOW).await.unwrap();
        assert_eq!(changed, Applied::Changed { id, version: 2 });
        assert_eq!(world.store.product(id).await.unwrap().unwrap().file.name, "Warm");
        let back = world.store.revert_product(id, 1, Actor::System, NOW).await.unwrap();
        assert_eq!(back, Some(Applied::Changed { id, version: 3 }));
        assert_eq!(world.store.product(id).await.unwrap().unwrap().file, product_file("thermostat"));
        assert_eq!(world.store.product_file(id, 2).await.unwrap().unwrap().name, "Warm");
        assert_eq!(world.store.revert_product(id, 9, Actor::System, NOW).await.unwrap(), None);
        assert!(world.store.model_agrees().await.unwrap());
    }

    async fn a_faulty_file_changes_nothing(world) {
        let id = world.product("thermostat").await;
        let faulty = ProductFile { time_zone: "Atlantis".to_owned(), ..renamed("Warm") };
        let refused = world.store.apply_product(&faulty, Actor::System, NOW).await;
        assert!(matches!(refused, Err(ApplyError::Invalid(_))));
        assert_eq!(world.store.product(id).await.unwrap().unwrap().version, 1);
    }

    async fn a_registration_key_is_drawn_once_and_kept(world) {
        let id = world.product("thermostat").await;
        let key = world.store.registration_key(id).await.unwrap().unwrap();
        world.store.apply_product(&renamed("Warm"), Actor::System, NOW).await.unwrap();
        assert_eq!(world.store.registration_key(id).await.unwrap().unwrap().as_bytes(), key.as_bytes());
        let other = world.product("tracker").await;
        assert_ne!(world.store.registration_key(other).await.unwrap().unwrap().as_bytes(), key.as_bytes());
    }

    async fn products_are_found_by_slug_and_listed(world) {
        let thermostat = world.product("thermostat").await;
        let tracker = world.product("tracker").await;
        let found = world.store.product_by_slug(&"tracker".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(found.id, tracker);
        let listed = world.store.products(Page::first(10)).await.unwrap();
        let mut ids: Vec<_> = listed.items.iter().map(|record| record.id).collect();
        ids.sort();
        let mut expected = vec![thermostat, tracker];
        expected.sort();
        assert_eq!((ids, listed.more), (expected, false));
    }
}
