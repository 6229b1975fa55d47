//! Grants: versions, one owner, ends.

use std::collections::BTreeSet;

use ostler_core::grant::{Allowance, Grant, GrantSource};
use ostler_core::id::{CustomerId, DeviceId, GrantId};
use ostler_core::interval::Interval;
use ostler_store::{Actor, GrantChanged, GrantCreated, GrantEnded, GrantFilter, Page};

use super::world::{NOW, later, on_both, said};

on_both! {
    async fn a_grant_is_read_as_it_was_said(world) {
        let (ada, device_id, _) = world.held_device().await;
        let grant = Grant {
            functions: Allowance::Only(BTreeSet::from(["setTarget".parse().unwrap()])),
            keys: Allowance::Only(BTreeSet::new()),
            history: Interval::new(NOW, later(9)),
            ends_at: Some(later(1000)),
            ..world.grant(ada, device_id, GrantSource::Share)
        };
        assert_eq!(world.store.create_grant(grant.clone(), said(), NOW).await.unwrap(), GrantCreated::Created);
        let record = world.store.grant(grant.id).await.unwrap().unwrap();
        assert_eq!(record.grant, grant);
        assert_eq!((record.closed_at, record.reason.as_deref()), (None, Some("because")));
        let facts = world.facts(ada, device_id).await;
        assert!(facts.grants.iter().any(|held| **held == grant));
        assert_eq!(facts.grants.len(), 2);
    }

    async fn p2_a_device_has_one_owner_at_most(world) {
        let (_, device_id, grant_id) = world.held_device().await;
        let bob = world.customer("bob").await;
        let second = world.grant(bob, device_id, GrantSource::Owner);
        assert_eq!(world.store.create_grant(second.clone(), said(), NOW).await.unwrap(), GrantCreated::OwnedAlready);
        world.store.end_grant(grant_id, said(), later(1)).await.unwrap();
        assert_eq!(world.store.create_grant(second, said(), later(2)).await.unwrap(), GrantCreated::Created);
        assert_eq!(world.facts(bob, device_id).await.grants.len(), 1);
    }

    async fn p2_two_who_become_owner_at_once(world) {
        let (_, device_id, grant_id) = world.held_device().await;
        world.store.end_grant(grant_id, said(), NOW).await.unwrap();
        let (bob, eve) = (world.customer("bob").await, world.customer("eve").await);
        let created = futures_util::future::join_all([bob, eve].map(|customer| {
            world.store.create_grant(world.grant(customer, device_id, GrantSource::Owner), said(), NOW)
        })).await;
        let won = created.into_iter().filter(|created| *created.as_ref().unwrap() == GrantCreated::Created).count();
        assert_eq!(won, 1);
    }

    async fn an_owner_whose_time_ran_out_stands_in_nobodys_way(world) {
        let product_id = world.product("thermostat").await;
        let device_id = world.device(product_id, 1).await;
        let (ada, bob) = (world.customer("ada").await, world.customer("bob").await);
        let lent = Grant { ends_at: Some(later(10)), ..world.grant(ada, device_id, GrantSource::Owner) };
        world.store.create_grant(lent, said(), NOW).await.unwrap();
        let next = world.grant(bob, device_id, GrantSource::Owner);
        assert_eq!(world.store.create_grant(next.clone(), said(), later(9)).await.unwrap(), GrantCreated::OwnedAlready);
        assert_eq!(world.store.create_grant(next, said(), later(10)).await.unwrap(), GrantCreated::Created);
        assert!(world.store.model_agrees().await.unwrap());
    }

    async fn an_end_is_a_version_and_happens_once(world) {
        let (ada, device_id, grant_id) = world.held_device().await;
        let ended = world.store.end_grant(grant_id, said(), later(5)).await.unwrap();
        assert_eq!(ended, GrantEnded::Ended { customer_id: ada, device_id, at: later(5) });
        assert!(world.facts(ada, device_id).await.grants.is_empty());
        let again = world.store.end_grant(grant_id, said(), later(9)).await.unwrap();
        assert_eq!(again, GrantEnded::EndedBefore { at: later(5) });
        let record = world.store.grant(grant_id).await.unwrap().unwrap();
        assert_eq!((record.grant.version, record.grant.ends_at), (2, Some(later(5))));
        let versions = world.store.grant_versions(grant_id).await.unwrap();
        assert_eq!(versions.iter().map(|version| version.grant.ends_at).collect::<Vec<_>>(), [None, Some(later(5))]);
        let unknown = GrantId::draw(NOW, &*world.entropy);
        assert_eq!(world.store.end_grant(unknown, said(), NOW).await.unwrap(), GrantEnded::Unknown);
    }

    async fn a_change_on_an_outdated_version_changes_nothing(world) {
        let (ada, device_id, grant_id) = world.held_device().await;
        let seen = world.store.grant(grant_id).await.unwrap().unwrap().grant;
        let shorter = Grant { ends_at: Some(later(100)), ..seen.clone() };
        let changed = world.store.change_grant(shorter.clone(), said(), NOW).await.unwrap();
        let GrantChanged::Changed(changed) = changed else { panic!("{changed:?}") };
        assert_eq!((changed.version, changed.ends_at), (2, Some(later(100))));
        assert_eq!(world.store.change_grant(shorter, said(), NOW).await.unwrap(), GrantChanged::Outdated);
        assert_eq!(world.facts(ada, device_id).await.grants[0].version, 2);
    }

    async fn a_grant_for_nobody_or_nothing_is_refused(world) {
        let (ada, device_id, _) = world.held_device().await;
        let nobody = world.grant(CustomerId::draw(NOW, &*world.entropy), device_id, GrantSource::Share);
        let nothing = world.grant(ada, DeviceId::draw(NOW, &*world.entropy), GrantSource::Share);
        for grant in [nobody, nothing] {
            assert_eq!(world.store.create_grant(grant, said(), NOW).await.unwrap(), GrantCreated::NobodyOrNothing);
        }
    }

    async fn p1_an_account_that_closes_takes_all_its_grants_along(world) {
        let (ada, device_id, owner) = world.held_device().await;
        let lent = world.device(world.product("lent").await, 9).await;
        world.store.create_grant(world.grant(ada, lent, GrantSource::Share), said(), NOW).await.unwrap();
        assert!(world.store.close_customer(ada, Actor::System, later(5)).await.unwrap());

        assert!(world.facts(ada, device_id).await.grants.is_empty() && world.facts(ada, lent).await.grants.is_empty());
        let record = world.store.grant(owner).await.unwrap().unwrap();
        assert_eq!((record.grant.version, record.grant.ends_at), (2, Some(later(5))));
        // Nothing stands in the next owner's way, and nobody gives the closed account anything.
        let bob = world.customer("bob").await;
        let next = world.grant(bob, device_id, GrantSource::Owner);
        assert_eq!(world.store.create_grant(next, said(), later(6)).await.unwrap(), GrantCreated::Created);
        let again = world.grant(ada, lent, GrantSource::Share);
        assert_eq!(world.store.create_grant(again, said(), later(6)).await.unwrap(), GrantCreated::NobodyOrNothing);
        assert!(world.store.model_agrees().await.unwrap());
        world.store.verify_audit().await.unwrap().unwrap();
    }

    async fn p1_no_grant_slips_in_while_an_account_closes(world) {
        let device_id = world.device(world.product("lent").await, 9).await;
        for round in 0..8 {
            let customer = world.customer(&format!("customer-{round}")).await;
            let grants = [(); 4].map(|()| world.store.create_grant(world.grant(customer, device_id, GrantSource::Share), said(), NOW));
            let (created, closed) = futures_util::future::join(
                futures_util::future::join_all(grants),
                world.store.close_customer(customer, Actor::System, later(5)),
            ).await;
            assert!(closed.unwrap() && created.into_iter().all(|created| created.is_ok()));
            assert!(world.facts(customer, device_id).await.grants.is_empty());
        }
    }

    async fn lists_are_narrowed_and_paged(world) {
        let (ada, device_id, owner) = world.held_device().await;
        for _ in 0..4 {
            let share = world.grant(ada, device_id, GrantSource::Share);
            world.store.create_grant(share, said(), NOW).await.unwrap();
        }
        let filter = GrantFilter { customer_id: Some(ada), device_id: Some(device_id), product_id: None };
        let mut seen = Vec::new();
        let mut page = Page::first(2);
        loop {
            let listed = world.store.grants(filter, page).await.unwrap();
            seen.extend(listed.items.iter().map(|record| record.grant.id));
            page = Page::after(*seen.last().unwrap(), 2);
            if !listed.more { break; }
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.is_sorted() && seen.contains(&owner));
    }
}
