//! `ostler check`: everything in order, and each verdict failing for its own reason.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ostler_sim::Sim;
use ostler_store::{InstallationLock, MIGRATIONS, MasterKey, MasterKeys, Store, StoreOptions};
use ostler_testkit::{issued, self_signed};
use reqwest::Method;
use serde_json::{Value, json};

use crate::installation::{Installation, Said, cloud, thermostats};

/// The verdict on one thing.
struct Checked(Value);

impl Checked {
    async fn on(installation: &Installation, variables: &[(&str, &str)]) -> Self {
        let said = installation.operate_under(&["check", "--json"], variables).await;
        let report = said.json();
        assert_eq!(said.status, i32::from(report["ok"] == json!(false)), "{said:#?}");
        Self(report)
    }

    #[track_caller]
    fn verdict(&self, what: &str) -> &Value {
        let verdicts = self.0["verdicts"].as_array().unwrap();
        verdicts
            .iter()
            .find(|verdict| verdict["what"] == what)
            .unwrap_or_else(|| panic!("{what}: {:#}", self.0))
    }

    fn standings(&self) -> Vec<(&str, &str)> {
        let verdicts = self.0["verdicts"].as_array().unwrap();
        verdicts
            .iter()
            .map(|each| (each["what"].as_str().unwrap(), each["standing"].as_str().unwrap()))
            .collect()
    }

    #[track_caller]
    fn fails(&self, what: &str, words: &str) {
        let verdict = self.verdict(what);
        assert_eq!(verdict["standing"], "failed", "{verdict:#}");
        assert!(
            verdict["detail"].as_str().unwrap().contains(words),
            "{words}: {verdict:#}"
        );
        assert_eq!(self.0["ok"], json!(false));
    }

    #[track_caller]
    fn is(&self, what: &str, standing: &str) {
        assert_eq!(self.verdict(what)["standing"], standing, "{:#}", self.0);
    }
}

/// An installation with one product at a simulated cloud, hooks and all; its server has ended.
async fn connected() -> (Installation, Sim) {
    let installation = Installation::new().await;
    let sim = cloud().await;
    let mut server = installation.serve();
    let product_id = installation.declare_thermostat().await;
    installation
        .set_connection(&product_id, &sim, &thermostats(&sim).client_secret)
        .await;
    let (status, answer) = installation
        .staff(Method::POST, &format!("products/{product_id}/webhook"), &Value::Null)
        .await;
    assert_eq!(status, 200, "{answer}");
    stop(&mut server);
    (installation, sim)
}

fn stop(server: &mut ostler_testkit::Process) {
    server.terminate();
    assert!(server.wait(std::time::Duration::from_secs(20)).success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_in_order_holds_beside_its_server_and_without_it() {
    let (installation, _sim) = connected().await;
    let all_but_tls = [
        ("configuration", "ok"),
        ("master key", "ok"),
        ("disk space", "ok"),
        ("database", "ok"),
        ("secrets", "ok"),
        ("device cloud", "ok"),
        ("webhook", "ok"),
        ("clock", "ok"),
        ("public URL", "ok"),
        ("certificate", "skipped"),
    ];
    assert_eq!(Checked::on(&installation, &[]).await.standings(), all_but_tls);

    let _server = installation.serve();
    let beside = Checked::on(&installation, &[]).await;
    assert_eq!(beside.standings(), all_but_tls);
    let words = |what: &str| beside.verdict(what)["detail"].as_str().unwrap().to_owned();
    assert!(words("database").contains("in use by a server that is ready"));
    assert!(words("public URL").contains("Ostler answers"));

    let said: Said = installation.operate(&["check"]).await.succeeded();
    assert_eq!(
        said.out.lines().filter(|line| line.starts_with("ok ")).count(),
        9,
        "{}",
        said.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_master_key_and_certificate_fail() {
    let installation = Installation::new().await;
    let bad_setting = Checked::on(&installation, &[("OSTLER_LISTEN", "0.0.0.0:80")]).await;
    bad_setting.fails("configuration", "listen");
    assert_eq!(bad_setting.standings().len(), 1, "nothing else can be known");

    let certified = issued(&installation.scratch, "chain", &["127.0.0.1"]);
    let other = self_signed(&installation.scratch, "other", &["127.0.0.1"]);
    let [chain, key, other] = [certified.certificate, certified.key, other.key].map(|file| file.display().to_string());
    let fitting = [
        ("OSTLER_TLS_CERTIFICATE_FILE", chain.as_str()),
        ("OSTLER_TLS_KEY_FILE", &key),
    ];
    Checked::on(&installation, &fitting).await.is("certificate", "ok");
    let foreign = [
        ("OSTLER_TLS_CERTIFICATE_FILE", chain.as_str()),
        ("OSTLER_TLS_KEY_FILE", &other),
    ];
    Checked::on(&installation, &foreign)
        .await
        .fails("certificate", "is not the key of");

    let master_key = installation.path("master.key");
    std::fs::set_permissions(&master_key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let readable = Checked::on(&installation, &[]).await;
    readable.fails("master key", "644");
    readable.is("secrets", "skipped");
    readable.is("database", "ok");
    std::fs::remove_file(&master_key).unwrap();
    Checked::on(&installation, &[])
        .await
        .fails("master key", "cannot be read");
    std::fs::write(&master_key, "short").unwrap();
    std::fs::set_permissions(&master_key, std::fs::Permissions::from_mode(0o600)).unwrap();
    Checked::on(&installation, &[]).await.fails("master key", "32 bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_its_own_certificate_is_asked_although_no_customer_would_trust_it() {
    let installation = Installation::new().await;
    let certified = issued(&installation.scratch, "chain", &["localhost"]);
    let public_url = installation.base_url.replace("http://127.0.0.1", "https://localhost");
    let tls = [
        ("OSTLER_TLS_CERTIFICATE_FILE", certified.certificate),
        ("OSTLER_TLS_KEY_FILE", certified.key),
        ("OSTLER_PUBLIC_URL", public_url.into()),
    ];
    let tls: Vec<(&str, &str)> = tls
        .iter()
        .map(|(name, value)| (*name, value.to_str().unwrap()))
        .collect();
    let _server = installation.serve_under(&tls);
    let checked = Checked::on(&installation, &tls).await;
    checked.is("certificate", "ok");
    checked.is("database", "ok");
    checked.fails("public URL", "certificate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_fails_that_is_absent_damaged_old_or_not_writable() {
    let installation = Installation::new().await;
    let database = installation.path("ostler.db");

    let held = InstallationLock::take(&database).unwrap();
    Checked::on(&installation, &[])
        .await
        .fails("database", "in use by a process that is not ready");
    drop(held);

    let lock = installation.path("ostler.db.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    Checked::on(&installation, &[])
        .await
        .fails("database", "cannot be written");
    std::fs::remove_dir(&lock).unwrap();
    Checked::on(&installation, &[]).await.is("database", "ok");

    let old = installation.path("old.db");
    make_old(&old).await;
    let old = format!("sqlite:{}", old.display());
    Checked::on(&installation, &[("OSTLER_DATABASE_URL", &old)])
        .await
        .fails("database", "is older than this program");
    Checked::on(&installation, &[("OSTLER_DATABASE_URL", "sqlite:/nowhere/x.db")])
        .await
        .fails("database", "does not exist");
    let unreachable = "postgres://nobody:hush@127.0.0.1:1/none";
    let unreachable = Checked::on(&installation, &[("OSTLER_DATABASE_URL", unreachable)]).await;
    unreachable.fails("database", "cannot be opened");
    assert!(!unreachable.0.to_string().contains("hush"), "{:#}", unreachable.0);

    damage(&database);
    let damaged = Checked::on(&installation, &[]).await;
    damaged.fails("database", "");
    damaged.is("secrets", "skipped");
}

/// As the version before this one left it.
async fn make_old(path: &Path) {
    let keys = MasterKeys::new(MasterKey::from_bytes([1; 32]), Vec::new());
    let mut options = StoreOptions::new(keys, std::sync::Arc::new(ostler_server::edge::OsEntropy));
    options.migrations = &MIGRATIONS[..MIGRATIONS.len() - 1];
    let now = ostler_core::time::Timestamp::from_millis(1_800_000_000_000);
    Store::open(&format!("sqlite:{}", path.display()), options, now)
        .await
        .unwrap()
        .close()
        .await;
}

/// A disk that lost its later half.
fn damage(path: &Path) {
    let mut content = std::fs::read(path).unwrap();
    let half = content.len() / 2;
    content[half..].fill(0xff);
    std::fs::write(path, content).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_fail_that_another_master_key_sealed() {
    let (installation, _sim) = connected().await;
    std::fs::write(installation.path("master.key"), [7; 32]).unwrap();
    let checked = Checked::on(&installation, &[]).await;
    checked.is("master key", "ok");
    // The cloud's credential, the registration key, the ingest secret.
    checked.fails("secrets", "3 of 3 do not open");
    checked.is("device cloud", "skipped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_refuses_a_missing_hook_and_a_wrong_clock_fail() {
    let installation = Installation::new().await;
    let sim = cloud().await;
    let mut server = installation.serve();
    let product_id = installation.declare_thermostat().await;
    let good = thermostats(&sim).client_secret;

    installation.set_connection(&product_id, &sim, &good).await;
    let without_hook = Checked::on(&installation, &[]).await;
    without_hook.is("device cloud", "ok");
    without_hook.fails("webhook", "none was ever made");
    assert_eq!(without_hook.verdict("webhook")["product"], "thermostat");

    installation
        .staff(Method::POST, &format!("products/{product_id}/webhook"), &Value::Null)
        .await;
    Checked::on(&installation, &[]).await.is("webhook", "ok");
    let moved = [("OSTLER_PUBLIC_URL", "http://localhost:1")];
    Checked::on(&installation, &moved)
        .await
        .fails("webhook", "there is none for `ostler/`");

    sim.handle().advance_ms(60_000);
    Checked::on(&installation, &[])
        .await
        .fails("clock", "apart from the device cloud's");
    sim.handle().advance_ms(-60_000);

    installation.set_connection(&product_id, &sim, "wrong").await;
    let refused = Checked::on(&installation, &[]).await;
    refused.fails("device cloud", "did not accept the credential");
    refused.is("webhook", "skipped");
    assert!(!refused.0.to_string().contains("wrong"), "{:#}", refused.0);

    installation.set_connection(&product_id, &sim, &good).await;
    sim.shutdown().await;
    let gone = Checked::on(&installation, &[]).await;
    gone.fails("device cloud", "could not be reached");
    gone.is("clock", "warning");
    stop(&mut server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_url_fails_that_leads_nowhere_or_to_somebody_else() {
    let installation = Installation::new().await;
    let sim = cloud().await;
    let elsewhere = sim.base_url();
    Checked::on(&installation, &[("OSTLER_PUBLIC_URL", &elsewhere)])
        .await
        .fails("public URL", "not as Ostler");
    let nowhere = [("OSTLER_PUBLIC_URL", "https://ostler.invalid")];
    Checked::on(&installation, &nowhere)
        .await
        .fails("public URL", "has no address");

    // Ours, but started under another address.
    let _server = installation.serve();
    let other_name = installation.base_url.replace("127.0.0.1", "localhost");
    Checked::on(&installation, &[("OSTLER_PUBLIC_URL", &other_name)])
        .await
        .fails("public URL", "calls itself http://127.0.0.1");
}
