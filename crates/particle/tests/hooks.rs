//! Hooks at the simulated cloud: exactly one each, however often and after whatever happened.

use ostler_app::device_cloud::{DeviceCloud, HookRequest, HookStep};
use serde_json::{Value, json};

use crate::simulated::Barn;

pub fn request() -> HookRequest {
    HookRequest {
        url: "http://127.0.0.1:9/ingest/particle/barn".into(),
        secret: "ost_in_secret".into(),
        event_prefixes: vec!["t/".into(), "ostler/".into()],
    }
}

fn hooks_of(barn: &Barn) -> Vec<(String, Value)> {
    let mut hooks: Vec<_> = barn
        .cloud
        .hooks()
        .into_iter()
        .map(|(_, hook)| (hook["event"].as_str().unwrap().to_owned(), hook))
        .collect();
    hooks.sort_by(|one, other| one.0.cmp(&other.0));
    hooks
}

#[tokio::test]
async fn hooks_are_made_once() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let made = [
        HookStep::Created { event: "t/".into() },
        HookStep::Created {
            event: "ostler/".into(),
        },
    ];
    let ensure = |dry_run| {
        let adapter = &adapter;
        async move {
            let request = request();
            adapter
                .particle
                .ensure_hooks(adapter.product_id, &request, dry_run)
                .await
                .unwrap()
        }
    };
    assert_eq!(ensure(true).await, made);
    assert_eq!(hooks_of(&barn).len(), 0, "a dry run changes nothing");
    assert_eq!(ensure(false).await, made);
    let again = ensure(false).await;
    assert!(
        again.iter().all(|step| matches!(step, HookStep::Unchanged { .. })),
        "{again:?}"
    );
    let hooks = hooks_of(&barn);
    assert_eq!(hooks.len(), 2);
    assert_eq!(hooks[0].1["headers"]["Authorization"], "Bearer ost_in_secret");
    assert_eq!(hooks[0].1["noDefaults"], json!(true));
}

#[tokio::test]
async fn a_new_secret_replaces_the_hook_and_a_duplicate_goes() {
    let barn = Barn::new().await;
    let adapter = barn.adapter();
    let mut wanted = request();
    wanted.event_prefixes = vec!["t/".into()];
    adapter
        .particle
        .ensure_hooks(adapter.product_id, &wanted, false)
        .await
        .unwrap();
    wanted.secret = "ost_in_rotated".into();
    let steps = adapter
        .particle
        .ensure_hooks(adapter.product_id, &wanted, false)
        .await
        .unwrap();
    let repaired = HookStep::Repaired {
        event: "t/".into(),
        what: "headers".into(),
    };
    assert_eq!(steps, [repaired]);

    wanted.event_prefixes = vec!["ostler/".into(), "t/".into()];
    adapter
        .particle
        .ensure_hooks(adapter.product_id, &wanted, false)
        .await
        .unwrap();
    wanted.event_prefixes = vec!["t/".into()];
    let steps = adapter
        .particle
        .ensure_hooks(adapter.product_id, &wanted, false)
        .await
        .unwrap();
    let gone = HookStep::RemovedDuplicate {
        event: "ostler/".into(),
    };
    assert_eq!(steps, [HookStep::Unchanged { event: "t/".into() }, gone]);
    assert_eq!(hooks_of(&barn).len(), 1);
}
