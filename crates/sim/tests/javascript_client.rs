//! The real npm package `particle-api-js` against the simulated cloud: log in, list, call, read,
//! publish, stream, hooks. The steps are in `tests/particle-api-js/main-job.mjs`.

use std::path::Path;
use std::process::Stdio;

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
    let mut script = Command::new("node");
    script
        .current_dir(&folder)
        .args([
            "main-job.mjs",
            &cloud.sim.base_url(),
            &facts.username,
            &facts.password,
            "thermostat",
        ])
        .arg(device.as_str());
    run(&mut script).await;
    let acts = cloud.handle.acts(0);
    assert_eq!(acts.iter().map(|act| act.argument.as_str()).collect::<Vec<_>>(), ["24"]);
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
