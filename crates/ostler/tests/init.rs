//! `ostler init`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ostler_testkit::{Postgres, Scratch};
use serde_json::{Value, json};

use crate::installation::{EMAIL, Installation, PASSWORD, ostler};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_installation_serves_and_lets_its_owner_and_its_client_in() {
    let installation = Installation::new().await;
    for name in ["ostler.toml", "master.key", "ostler.db"] {
        assert_eq!(mode(&installation.path(name)), 0o600, "{name}");
    }
    assert_eq!(std::fs::read(installation.path("master.key")).unwrap().len(), 32);

    let _server = installation.serve();
    let session = reqwest::Client::new()
        .post(format!("{}/admin/v1/session", installation.base_url))
        .json(&json!({"email": EMAIL, "password": PASSWORD}))
        .send()
        .await
        .unwrap();
    let session: Value = session.error_for_status().unwrap().json().await.unwrap();
    assert!(session["access_token"].as_str().unwrap().starts_with("ost_at_"));
    let (status, products) = installation.staff(reqwest::Method::GET, "products", &Value::Null).await;
    assert_eq!((status, &products["items"]), (200, &json!([])));
}

#[tokio::test]
async fn a_drawn_password_is_shown_once_and_stored_nowhere() {
    let scratch = Scratch::new();
    let directory = scratch.join("new/installation");
    let said = ostler(["init", directory.to_str().unwrap(), "--email", EMAIL], &[], "")
        .await
        .succeeded();
    let owner = said.out.lines().find(|line| line.starts_with("Owner")).unwrap();
    let password = owner.rsplit(" / ").next().unwrap();
    assert!(password.len() >= 22, "{owner}");
    assert!(said.out.contains("ostler check --config") && said.out.contains("ostler serve --config"));
    for entry in std::fs::read_dir(directory).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !content
                .windows(password.len())
                .any(|window| window == password.as_bytes())
        );
    }
}

#[tokio::test]
async fn everything_in_the_way_is_told_and_nothing_is_touched() {
    let scratch = Scratch::new();
    scratch.write("master.key", "precious");
    scratch.write("ostler.db", "history");
    let said = ostler(["init", scratch.path().to_str().unwrap(), "--email", EMAIL], &[], "").await;
    let said = said.failed("nothing was made");
    assert!(
        said.err.contains("master.key") && said.err.contains("ostler.db"),
        "{said:?}"
    );
    assert_eq!(std::fs::read(scratch.join("master.key")).unwrap(), b"precious");
    assert_eq!(std::fs::read(scratch.join("ostler.db")).unwrap(), b"history");
    assert!(!scratch.join("ostler.toml").exists());
}

#[tokio::test]
async fn what_fails_half_way_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let directory = scratch.join("a/b");
    let absent = format!("sqlite:{}", scratch.join("absent/ostler.db").display());
    let arguments = [
        "init",
        directory.to_str().unwrap(),
        "--email",
        EMAIL,
        "--database-url",
        &absent,
    ];
    ostler(arguments, &[], "").await.failed("absent/ostler.db");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn wrong_use_makes_nothing() {
    let scratch = Scratch::new();
    let directory = scratch.join("installation");
    let init = |more: &[&str], input: &'static str| {
        let fixed = ["init".to_owned(), directory.display().to_string()];
        let arguments: Vec<String> = fixed
            .into_iter()
            .chain(more.iter().map(|&word| word.to_owned()))
            .collect();
        async move { ostler(arguments, &[], input).await }
    };
    assert_eq!(init(&[], "").await.status, 2);
    init(&["--email", "nobody"], "").await.failed("e-mail");
    init(&["--email", EMAIL, "--public-url", "http://api.example.com"], "")
        .await
        .failed("public_url");
    init(&["--email", EMAIL, "--password-stdin"], "short\n")
        .await
        .failed("at least 8 characters");
    init(&["--email", EMAIL, "--password-stdin"], "")
        .await
        .failed("no password");
    assert!(!directory.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_an_installation_like_any_other_and_is_not_overwritten_either() {
    let database = Postgres::shared().fresh_database(None);
    let installation = Installation::with(&["--database-url", database.url()]).await;
    assert!(!installation.path("ostler.db").exists());
    installation.operate(&["check"]).await.succeeded();

    let scratch = Scratch::new();
    let directory = scratch.join("second");
    let arguments = [
        "init",
        directory.to_str().unwrap(),
        "--email",
        EMAIL,
        "--database-url",
        database.url(),
    ];
    ostler(arguments, &[], "").await.failed("an installation in postgres");
    assert!(!directory.exists());
}
