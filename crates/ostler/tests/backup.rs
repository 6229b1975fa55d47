//! `ostler migrate`, `backup`, `restore`, `audit` and `openapi`.

use std::os::unix::fs::PermissionsExt as _;

use ostler_testkit::Postgres;
use reqwest::Method;
use serde_json::{Value, json};

use crate::installation::{Installation, ostler};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_serving_brings_the_installation_back() {
    let installation = Installation::new().await;
    let mut server = installation.serve();
    let product_id = installation.declare_thermostat().await;
    let copy = installation.scratch.join("copy.db");
    let copy = copy.to_str().unwrap();
    let said = installation.operate(&["backup", "--to", copy]).await.succeeded();
    assert!(
        said.out.contains("verifies") && said.out.contains("is NOT in it"),
        "{}",
        said.out
    );
    let content = std::fs::read(copy).unwrap();
    let key = std::fs::read(installation.path("master.key")).unwrap();
    assert!(!content.windows(key.len()).any(|window| window == key));
    assert_eq!(std::fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);

    installation
        .operate(&["backup", "--to", copy])
        .await
        .failed("is there already");
    assert_eq!(std::fs::read(copy).unwrap(), content);
    installation
        .operate(&["restore", "--from", copy])
        .await
        .failed("is there");

    server.kill();
    for name in ["ostler.db", "ostler.db-wal", "ostler.db-shm"] {
        let path = installation.path(name);
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let said = installation
        .operate(&["restore", "--from", copy, "--dry-run"])
        .await
        .succeeded();
    assert!(said.out.contains("Nothing was changed") && !installation.path("ostler.db").exists());
    installation.operate(&["restore", "--from", copy]).await.succeeded();
    installation.operate(&["check"]).await.succeeded();
    let _server = installation.serve();
    let (status, _) = installation
        .staff(Method::GET, &format!("products/{product_id}"), &Value::Null)
        .await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_and_one_of_another_key_are_noticed() {
    let installation = Installation::new().await;
    let server = installation.serve();
    installation.declare_thermostat().await;
    drop(server);
    let copy = installation.scratch.join("copy.db");
    installation
        .operate(&["backup", "--to", copy.to_str().unwrap()])
        .await
        .succeeded();
    std::fs::rename(installation.path("ostler.db"), installation.path("away.db")).unwrap();

    let mut content = std::fs::read(&copy).unwrap();
    let half = content.len() / 2;
    content[half..].fill(0xff);
    let damaged = installation.scratch.write("damaged.db", content);
    installation
        .operate(&["restore", "--from", damaged.to_str().unwrap()])
        .await
        .failed("nothing was restored");
    assert!(!installation.path("ostler.db").exists());

    std::fs::write(installation.path("master.key"), [9; 32]).unwrap();
    let said = installation
        .operate(&["restore", "--from", copy.to_str().unwrap(), "--dry-run"])
        .await
        .succeeded();
    assert!(said.err.contains("do not open"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_left_to_its_own_tools() {
    let database = Postgres::shared().fresh_database(None);
    let installation = Installation::with(&["--database-url", database.url()]).await;
    installation
        .operate(&["backup", "--to", "x.db"])
        .await
        .failed("pg_dump");
    installation
        .operate(&["restore", "--from", "x.db"])
        .await
        .failed("pg_dump");
    let said = installation.operate(&["audit", "verify"]).await.succeeded();
    assert!(said.out.contains("Every chain verifies"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_head_proves_that_nothing_was_taken_back() {
    let installation = Installation::new().await;
    let old = installation.scratch.join("old.db");
    installation
        .operate(&["backup", "--to", old.to_str().unwrap()])
        .await
        .succeeded();
    let server = installation.serve();
    installation.declare_thermostat().await;
    let head = installation.scratch.join("head.json");
    let head = head.to_str().unwrap();
    installation
        .operate(&["audit", "head", "--out", head])
        .await
        .succeeded();
    installation
        .operate(&["audit", "head", "--out", head])
        .await
        .failed("cannot be made");
    let verdict = installation
        .operate(&["audit", "verify", "--head", head, "--json"])
        .await
        .succeeded()
        .json();
    assert_eq!(
        (&verdict["ok"], verdict["chains"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    drop(server);

    // Whoever owns the disk puts an older state in the place of the present one.
    for name in ["ostler.db", "ostler.db-wal", "ostler.db-shm"] {
        let path = installation.path(name);
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    installation
        .operate(&["restore", "--from", old.to_str().unwrap()])
        .await
        .succeeded();
    installation.operate(&["audit", "verify"]).await.succeeded();
    installation
        .operate(&["audit", "verify", "--head", head])
        .await
        .failed("does not verify");
    let verdict = installation
        .operate(&["audit", "verify", "--head", head, "--json"])
        .await;
    assert_eq!((verdict.status, &verdict.json()["ok"]), (1, &json!(false)));

    let forged = std::fs::read_to_string(head)
        .unwrap()
        .replace("\"seq\": ", "\"seq\": 1");
    let forged = installation.scratch.write("forged.json", forged);
    installation
        .operate(&["audit", "verify", "--head", forged.to_str().unwrap()])
        .await
        .failed("signature");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrate_says_what_it_did_and_refuses_beside_a_server() {
    let installation = Installation::new().await;
    let said = installation.operate(&["migrate"]).await.succeeded();
    assert!(said.out.contains("nothing was changed"), "{}", said.out);
    let fresh = format!("sqlite:{}", installation.path("fresh.db").display());
    let said = installation
        .operate_under(&["migrate"], &[("OSTLER_DATABASE_URL", &fresh)])
        .await
        .succeeded();
    assert!(said.out.contains("was made"), "{}", said.out);
    let _server = installation.serve();
    installation
        .operate(&["migrate"])
        .await
        .failed("another process is using");
}

#[tokio::test]
async fn the_openapi_document_is_printed_without_an_installation() {
    let said = ostler(["openapi"], &[], "").await.succeeded();
    assert!(said.json()["paths"]["/admin/v1/products"]["get"].is_object());
}
