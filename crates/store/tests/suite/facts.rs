//! Facts: from the read model on SQLite, by one statement on PostgreSQL, and always the same.

use std::time::Instant;

use ostler_core::grant::GrantSource;
use ostler_core::id::{CustomerId, DeviceId};
use ostler_core::policy::Presence;
use ostler_store::Heard;

use super::world::{NOW, later, on_both, said};

on_both! {
    async fn facts_hold_the_device_and_just_this_customers_grants(world) {
        let (ada, device_id, grant_id) = world.held_device().await;
        let bob = world.customer("bob").await;
        let share = world.grant(bob, device_id, GrantSource::Share);
        world.store.create_grant(share, said(), NOW).await.unwrap();
        let facts = world.facts(ada, device_id).await;
        assert_eq!(facts.grants.iter().map(|grant| grant.id).collect::<Vec<_>>(), [grant_id]);
        assert_eq!(facts.device.unwrap().product.declaration.slug.as_str(), "thermostat");
    }

    async fn a_stranger_and_an_unknown_device_yield_nothing(world) {
        let (_, device_id, _) = world.held_device().await;
        let stranger = CustomerId::draw(NOW, &*world.entropy);
        let unknown = DeviceId::draw(NOW, &*world.entropy);
        assert!(world.facts(stranger, device_id).await.grants.is_empty());
        let facts = world.facts(stranger, unknown).await;
        assert!(facts.device.is_none() && facts.grants.is_empty() && facts.last_called_at.is_none());
    }

    async fn quarantine_shows_at_once(world) {
        let (ada, device_id, _) = world.held_device().await;
        assert!(world.store.quarantine_device(device_id, true, &said(), NOW).await.unwrap());
        assert!(!world.store.quarantine_device(device_id, true, &said(), NOW).await.unwrap());
        assert!(world.facts(ada, device_id).await.device.unwrap().quarantined);
        assert!(world.store.quarantine_device(device_id, false, &said(), NOW).await.unwrap());
        assert!(!world.facts(ada, device_id).await.device.unwrap().quarantined);
    }

    async fn presence_that_arrives_late_moves_nothing_back(world) {
        let (ada, device_id, _) = world.held_device().await;
        let heard = |presence, at, spoke: Option<u64>| Heard {
            device_id, presence, at: later(at), last_heard_at: spoke.map(later),
        };
        let now = NOW;
        world.store.record_presence(&[heard(Presence::Online, 10, Some(10)), heard(Presence::Offline, 20, None)], now).await.unwrap();
        assert_eq!(world.facts(ada, device_id).await.device.unwrap().presence, Presence::Offline);
        world.store.record_presence(&[heard(Presence::Online, 15, Some(15))], now).await.unwrap();
        let record = world.store.device(device_id).await.unwrap().unwrap();
        assert_eq!((record.presence, record.last_heard_at), (Presence::Offline, Some(later(15))));
        world.facts(ada, device_id).await;
    }

    async fn the_clouds_id_leads_to_our_device(world) {
        let (_, device_id, _) = world.held_device().await;
        let cloud_id = world.store.device(device_id).await.unwrap().unwrap().cloud_device_id;
        assert_eq!(world.store.device_by_cloud_id(&cloud_id).await.unwrap(), Some(device_id));
        let unknown = "ffffffffffffffffffffffff".parse().unwrap();
        assert_eq!(world.store.device_by_cloud_id(&unknown).await.unwrap(), None);
    }

    async fn the_maker_needs_no_customer(world) {
        let (_, device_id, _) = world.held_device().await;
        let facts = world.store.facts(None, device_id, None, Instant::now()).await.unwrap();
        assert!(facts.device.is_some() && facts.grants.is_empty());
    }
}
