//! The real npm package `particle-api-js` against the simulated cloud: log in, list, call, read,
//! publish, stream, hooks, customers. The steps are in `tests/particle-api-js/*.mjs`.

use std::path::Path;
use std::process::Stdio;

use ostler_sim::CredentialKind;
use tokio::process::Command;

use crate::support::{Cloud, quiet};

#[tokio::test]
async fn the_vendors_javascript_client_works_with_the_simulated_cloud() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/particle-api-js");
    if !folder.join("node_modules/particle-api-js").exists() {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&folder))
        .await;
    }
    let cloud = Cloud::with(quiet()).await;
    let (facts, device) = (cloud.handle.facts(), cloud.device("thermostat"));
    let client = cloud.product("thermostat");
    let script = async |name: &str, account: [&str; 2]| {
        let mut script = Command::new("node");
        script
            .current_dir(&folder)
            .arg(name)
            .arg(cloud.sim.base_url())
            .args(account);
        run(script.args(["thermostat", device.as_str()])).await;
    };
    script("main-job.mjs", [&facts.username, &facts.password]).await;
    script("customers.mjs", [&client.client_id, &client.client_secret]).await;
    let acts = cloud.handle.acts(0);
    let seen: Vec<_> = acts.iter().map(|act| (act.argument.as_str(), act.credential)).collect();
    assert_eq!(seen, [("24", CredentialKind::User), ("19", CredentialKind::Customer)]);
}

async fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
