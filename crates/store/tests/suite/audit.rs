//! The audit chain: every act is in it, and nothing in it can be changed unnoticed.

use ostler_core::grant::GrantSource;
use ostler_store::{Actor, AuditEntry, AuditKey, ChainPoint, FaultKind, HeadFault, Link, Page, Store};

use super::world::{NOW, World, later, on_both, said};

async fn entries(store: &Store) -> Vec<AuditEntry> {
    let mut all = Vec::new();
    let mut page = Page::first(2);
    loop {
        let listed = store.audit_entries(page).await.unwrap();
        all.extend(listed.items);
        match all.last() {
            Some(last) if listed.more => page = Page::after(last.cursor(), 2),
            Some(_) | None => return all,
        }
    }
}

fn names(entries: &[AuditEntry]) -> Vec<String> {
    let acts = entries.iter().flat_map(|entry| &entry.acts);
    acts.map(|act| act.members["act"].as_str().unwrap().to_owned())
        .collect()
}

/// What somebody who owns the database might try.
async fn tamper(world: &World, sql: &'static str) {
    let mut tx = world.store.write(NOW).await.unwrap();
    let touched = match tx.link() {
        Link::Sqlite(db) => sqlx::query(sql).execute(db).await.unwrap().rows_affected(),
        Link::Pg(db) => sqlx::query(sql).execute(db).await.unwrap().rows_affected(),
    };
    assert!(touched > 0, "{sql}");
    tx.commit().await.unwrap();
}

async fn fault(world: &World) -> FaultKind {
    world.store.verify_audit().await.unwrap().unwrap_err().kind
}

on_both! {
    async fn p5_every_act_is_in_the_chain_and_it_verifies(world) {
        let (_, device_id, grant_id) = world.held_device().await;
        world.store.record_intent(world.command(device_id)).await.unwrap();
        world.store.end_grant(grant_id, said(), later(1)).await.unwrap();
        let entries = entries(&world.store).await;
        let expected = ["product.create", "device.import", "customer.create", "grant.create", "command.intent", "grant.end"];
        let mut found = names(&entries);
        found.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(found, expected);
        let reports = world.store.verify_audit().await.unwrap().unwrap();
        assert_eq!(reports.iter().map(|report| report.entries).sum::<i64>(), 6);
    }

    async fn personal_data_lies_beside_the_chain_and_can_be_erased(world) {
        let ada = world.customer("ada").await;
        let entry = &entries(&world.store).await[0];
        assert!(!serde_json::to_string(&entry.acts[0].members).unwrap().contains("example.test"));
        assert_eq!(entry.acts[0].detail.as_ref().unwrap()["email"], "ada@example.test");
        assert_eq!(world.store.erase_audit_details(ada, Actor::System, NOW).await.unwrap(), 1);
        assert!(super::audit::entries(&world.store).await[0].acts[0].detail.is_none());
        world.store.verify_audit().await.unwrap().unwrap();
    }

    async fn a_rewritten_entry_is_found(world) {
        world.held_device().await;
        tamper(&world, "UPDATE audit_entry SET body = REPLACE(body, 'system', 'nobody') WHERE seq = 2").await;
        assert_eq!(fault(&world).await, FaultKind::Rewritten);
    }

    async fn an_entry_cut_out_is_found(world) {
        world.held_device().await;
        tamper(&world, "DELETE FROM audit_entry WHERE seq = 2").await;
        assert_eq!(fault(&world).await, FaultKind::Missing);
    }

    async fn a_changed_detail_is_found(world) {
        world.customer("ada").await;
        tamper(&world, "UPDATE audit_detail SET detail = REPLACE(detail, 'ada', 'eve')").await;
        assert_eq!(fault(&world).await, FaultKind::DetailChanged);
    }

    async fn a_signed_head_shows_that_the_end_was_cut_off(world) {
        let key = AuditKey::from_seed(&[5; 32]);
        world.held_device().await;
        let head = world.store.sign_audit_head(&key, NOW).await.unwrap();
        world.customer("bob").await;
        world.store.verify_audit_head(&head, &key.public_key()).await.unwrap();
        tamper(&world, "DELETE FROM audit_detail WHERE seq >= 4").await;
        tamper(&world, "DELETE FROM audit_entry WHERE seq >= 4").await;
        world.store.verify_audit().await.unwrap().unwrap();
        let found = world.store.verify_audit_head(&head, &key.public_key()).await.unwrap_err();
        assert!(matches!(found, HeadFault::Chain(fault) if fault.kind == FaultKind::Missing), "{found}");
    }

    async fn a_head_is_read_without_walking_the_chain(world) {
        let key = AuditKey::from_seed(&[5; 32]);
        let empty = world.store.sign_audit_head(&key, NOW).await.unwrap();
        assert_eq!((empty.chains.len(), empty.chains[0].seq), (1, 0));
        world.held_device().await;
        let report = world.store.verify_audit().await.unwrap().unwrap()[0];
        let head = world.store.sign_audit_head(&key, NOW).await.unwrap();
        assert_eq!(head.chains, [ChainPoint::from(&report)]);
        // Of a chain that does not hold it says where it ends, and whoever verifies is told.
        tamper(&world, "DELETE FROM audit_entry WHERE seq = 2").await;
        let damaged = world.store.sign_audit_head(&key, NOW).await.unwrap();
        assert_eq!(damaged.chains, head.chains);
        let found = world.store.verify_audit_head(&damaged, &key.public_key()).await.unwrap_err();
        assert!(matches!(found, HeadFault::Chain(fault) if fault.kind == FaultKind::Missing), "{found}");
    }

    async fn a_head_that_was_changed_or_signed_by_another_does_not_count(world) {
        let key = AuditKey::from_seed(&[5; 32]);
        world.held_device().await;
        let head = world.store.sign_audit_head(&key, NOW).await.unwrap();
        let mut changed = head.clone();
        changed.chains[0].seq = 1;
        let found = world.store.verify_audit_head(&changed, &key.public_key()).await;
        assert!(matches!(found, Err(HeadFault::Signature)));
        let foreign = AuditKey::from_seed(&[6; 32]).public_key();
        assert!(matches!(world.store.verify_audit_head(&head, &foreign).await, Err(HeadFault::AnotherKey { .. })));
    }

    async fn the_chain_goes_on_after_a_restart(world) {
        let chain_id = world.store.chain_id();
        world.product("thermostat").await;
        let world = world.reopened().await;
        assert_eq!(world.store.chain_id(), chain_id);
        world.product("tracker").await;
        let reports = world.store.verify_audit().await.unwrap().unwrap();
        assert_eq!((reports.len(), reports[0].entries), (1, 2));
    }

    async fn after_somebody_else_extended_the_chain_it_is_read_anew(world) {
        world.product("thermostat").await;
        tamper(&world, "INSERT INTO audit_entry (chain_id, seq, at, prev_hash, hash, body)
                        SELECT chain_id, seq + 1, at, hash, hash, '[]' FROM audit_entry").await;
        // Two entries cannot follow the same one.
        let file = super::world::product_file("tracker");
        world.store.apply_product(&file, Actor::System, NOW).await.unwrap_err();
        world.store.apply_product(&file, Actor::System, NOW).await.unwrap();
        assert_eq!(entries(&world.store).await.last().unwrap().seq, 3);
    }

    async fn what_was_undone_leaves_no_entry(world) {
        let (_, device_id, _) = world.held_device().await;
        let before = entries(&world.store).await.len();
        let bob = world.customer("bob").await;
        let second = world.grant(bob, device_id, GrantSource::Owner);
        world.store.create_grant(second, said(), NOW).await.unwrap();
        assert_eq!(entries(&world.store).await.len(), before + 1);
        world.store.verify_audit().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn two_instances_on_one_postgres_extend_chains_of_their_own() {
    let world = World::postgres().await;
    let entropy = std::sync::Arc::clone(&world.entropy);
    let second = Store::open(&world.place.url(), super::world::options(&entropy), NOW)
        .await
        .unwrap();
    assert_ne!(world.store.chain_id(), second.chain_id());
    let ids: Vec<_> = (0..20)
        .map(|_| world.command("dev_01h455vb4pex5vsknk084sn02q".parse().unwrap()))
        .collect();
    let (left, right) = ids.split_at(10);
    let record = async |store: &Store, commands: &[ostler_store::NewCommand]| {
        for command in commands {
            store.record_intent(command.clone()).await.unwrap();
        }
    };
    futures_util::future::join(record(&world.store, left), record(&second, right)).await;
    let reports = second.verify_audit().await.unwrap().unwrap();
    assert_eq!(
        reports.iter().map(|report| report.entries).collect::<Vec<_>>(),
        [10, 10]
    );
}
