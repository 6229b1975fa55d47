//! Devices, cloud connections, ingest secrets.

use ostler_core::secret::SecretDigest;
use ostler_store::{
    Actor, DeviceImported, DeviceRegistered, Link, NewDevice, Page, Renamed, StoredConnection, StoredCredential,
};
use secrecy::ExposeSecret as _;

use super::world::{NOW, World, later, on_both};

const CLOUD_ID: &str = "e00fce68aaaaaaaaaaaaaaaa";

fn new_device(product_id: ostler_core::id::ProductId) -> NewDevice {
    NewDevice {
        product_id,
        cloud_device_id: CLOUD_ID.parse().unwrap(),
        name: Some("Hall".into()),
        credential_digest: None,
    }
}

fn connection(secret: &str) -> StoredConnection {
    StoredConnection {
        kind: "particle".into(),
        base_url: "https://api.particle.io".into(),
        cloud_product: "1234".into(),
        credential: StoredCredential::Client {
            client_id: "ours".into(),
            client_secret: secret.to_owned().into(),
        },
    }
}

async fn raw_secrets(world: &World) -> Vec<u8> {
    const ALL: &str = "SELECT secret FROM cloud_connection UNION ALL SELECT sealed FROM ingest_secret
                       UNION ALL SELECT registration_key FROM product";
    let mut conn = world.store.read().await.unwrap();
    let rows: Vec<(Vec<u8>,)> = match conn.link() {
        Link::Sqlite(db) => sqlx::query_as(ALL).fetch_all(db).await.unwrap(),
        Link::Pg(db) => sqlx::query_as(ALL).fetch_all(db).await.unwrap(),
    };
    rows.into_iter().flat_map(|(bytes,)| bytes).collect()
}

on_both! {
    async fn importing_twice_changes_nothing(world) {
        let product_id = world.product("thermostat").await;
        let import = || world.store.import_devices(&[], Actor::System, NOW);
        assert!(import().await.unwrap().is_empty());
        let device = new_device(product_id);
        let first = world.store.import_devices(std::slice::from_ref(&device), Actor::System, NOW).await.unwrap();
        let DeviceImported::Imported(device_id) = first[0] else { panic!("{first:?}") };
        let again = world.store.import_devices(&[device.clone(), device], Actor::System, later(1)).await.unwrap();
        assert_eq!(again, [DeviceImported::Known(device_id); 2]);
        assert_eq!(world.store.device(device_id).await.unwrap().unwrap().imported_at, Some(NOW));
    }

    async fn p2_a_device_of_the_cloud_is_in_one_product_only(world) {
        let (thermostat, tracker) = (world.product("thermostat").await, world.product("tracker").await);
        world.store.import_devices(&[new_device(thermostat)], Actor::System, NOW).await.unwrap();
        let elsewhere = world.store.import_devices(&[new_device(tracker)], Actor::System, NOW).await.unwrap();
        assert_eq!(elsewhere, [DeviceImported::ElsewhereAlready]);
        let registered = world.store.register_device(tracker, &CLOUD_ID.parse().unwrap(), NOW).await.unwrap();
        assert_eq!(registered, DeviceRegistered::ElsewhereAlready);
    }

    async fn s5_the_first_report_registers_and_every_later_one_changes_nothing(world) {
        let product_id = world.product("thermostat").await;
        let cloud_id = CLOUD_ID.parse().unwrap();
        let at_once = futures_util::future::join_all((0..8).map(|_| world.store.register_device(product_id, &cloud_id, NOW))).await;
        let at_once: Vec<_> = at_once.into_iter().map(Result::unwrap).collect();
        let device_id = at_once[0].device_id().unwrap();
        assert!(at_once.iter().all(|each| each.device_id() == Some(device_id)));
        assert_eq!(at_once.iter().filter(|each| matches!(each, DeviceRegistered::First(_))).count(), 1);
        let again = world.store.register_device(product_id, &cloud_id, later(9)).await.unwrap();
        assert_eq!(again, DeviceRegistered::Again(device_id));
        assert_eq!(world.store.device(device_id).await.unwrap().unwrap().registered_at, Some(NOW));
        assert!(world.store.model_agrees().await.unwrap());
    }

    async fn an_imported_device_registers_as_itself_with_its_own_credential(world) {
        let product_id = world.product("thermostat").await;
        let digest = SecretDigest::of("from the factory");
        let device = NewDevice { credential_digest: Some(digest), ..new_device(product_id) };
        let imported = world.store.import_devices(&[device], Actor::System, NOW).await.unwrap();
        let DeviceImported::Imported(device_id) = imported[0] else { panic!("{imported:?}") };
        let cloud_id = CLOUD_ID.parse().unwrap();
        assert_eq!(world.store.device_credential(product_id, &cloud_id).await.unwrap(), Some(digest));
        let registered = world.store.register_device(product_id, &cloud_id, later(1)).await.unwrap();
        assert_eq!(registered, DeviceRegistered::First(device_id));
    }

    async fn a_name_is_changed_kept_or_taken_away(world) {
        let (_, device_id, _) = world.held_device().await;
        let rename = async |name: Option<&str>, notes: Option<&str>| {
            let renamed = Renamed { name: name.map(Into::into), notes: notes.map(Into::into), time_zone: None };
            assert!(world.store.rename_device(device_id, &renamed, Actor::System, NOW).await.unwrap());
            let record = world.store.device(device_id).await.unwrap().unwrap();
            (record.name, record.notes)
        };
        assert_eq!(rename(Some("Hall"), Some("by the door")).await, (Some("Hall".into()), Some("by the door".into())));
        assert_eq!(rename(None, Some("")).await, (Some("Hall".into()), None));
    }

    async fn a_customer_sees_devices_while_a_grant_is_in_force(world) {
        let (ada, device_id, grant_id) = world.held_device().await;
        let seen = async |now| {
            let listed = world.store.customer_devices(ada, Page::first(10), now).await.unwrap();
            listed.items.into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(seen(NOW).await, [device_id]);
        assert!(seen(NOW - std::time::Duration::from_millis(1)).await.is_empty());
        world.store.end_grant(grant_id, super::world::said(), later(5)).await.unwrap();
        assert!(seen(later(5)).await.is_empty());
    }

    async fn p4_cloud_secrets_are_sealed_and_open_again(world) {
        let product_id = world.product("thermostat").await;
        assert!(world.store.set_cloud_connection(product_id, &connection("hunter2"), Actor::System, NOW).await.unwrap());
        assert!(world.store.set_cloud_connection(product_id, &connection("hunter3"), Actor::System, NOW).await.unwrap());
        let read = world.store.cloud_connections().await.unwrap();
        assert_eq!((read.len(), read[0].0), (1, product_id));
        match &read[0].1.credential {
            StoredCredential::Client { client_secret, .. } => assert_eq!(client_secret.expose_secret(), "hunter3"),
            StoredCredential::Token(_) => panic!("it was a client"),
        }
        let raw = raw_secrets(&world).await;
        assert!(!raw.windows(7).any(|window| window.starts_with(b"hunter")));
        assert!(!format!("{read:?}").contains("hunter"));
        assert!(world.store.remove_cloud_connection(product_id, Actor::System, NOW).await.unwrap());
        assert!(world.store.cloud_connection(product_id).await.unwrap().is_none());
        let nothing = ostler_core::id::ProductId::draw(NOW, &*world.entropy);
        assert!(!world.store.set_cloud_connection(nothing, &connection("x"), Actor::System, NOW).await.unwrap());
    }

    async fn two_ingest_secrets_are_live_during_rotation(world) {
        let product_id = world.product("thermostat").await;
        let slug: ostler_core::name::Slug = "thermostat".parse().unwrap();
        let live = async |now| world.store.ingest_doors(now).await.unwrap().remove(&slug).unwrap().secrets.len();
        let hook = world.store.hook_secret(product_id, Actor::System, NOW).await.unwrap();
        let same = world.store.hook_secret(product_id, Actor::System, later(1)).await.unwrap();
        assert_eq!(hook.expose_secret(), same.expose_secret());
        let second = world.store.rotate_ingest_secret(product_id, Actor::System, later(2)).await.unwrap();
        assert_eq!(live(later(2)).await, 2);
        let newest = world.store.hook_secret(product_id, Actor::System, later(3)).await.unwrap();
        assert_eq!(newest.expose_secret(), second.reveal());
        world.store.rotate_ingest_secret(product_id, Actor::System, later(4)).await.unwrap();
        assert_eq!(live(later(4)).await, 2);
        assert_eq!(world.store.end_former_ingest_secrets(product_id, Actor::System, later(5)).await.unwrap(), 1);
        assert_eq!(live(later(5)).await, 1);
        let raw = raw_secrets(&world).await;
        assert!(!raw.windows(7).any(|window| window == b"ost_in_"));
    }
}
