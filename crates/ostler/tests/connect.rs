//! `ostler connect particle`, against the simulated cloud.

use ostler_sim::Sim;
use reqwest::Method;
use serde_json::Value;

use crate::installation::{Installation, Said, cloud, thermostats};

struct World {
    installation: Installation,
    sim: Sim,
    product_id: String,
    _server: ostler_testkit::Process,
}

impl World {
    async fn new() -> Self {
        let installation = Installation::new().await;
        let server = installation.serve();
        let product_id = installation.declare_thermostat().await;
        Self {
            installation,
            sim: cloud().await,
            product_id,
            _server: server,
        }
    }

    async fn connect(&self, more: &[&str]) -> Said {
        let facts = self.sim.handle().facts();
        let (base_url, cloud_product) = (self.sim.base_url(), thermostats(&self.sim).id.to_string());
        let fixed = [
            "connect",
            "particle",
            "--product",
            "thermostat",
            "--cloud-product",
            &cloud_product,
            "--base-url",
            &base_url,
        ];
        let credential = ["--username", &facts.username, "--password-stdin"];
        let arguments: Vec<&str> = fixed.iter().chain(&credential).chain(more).copied().collect();
        self.installation
            .ask(&arguments, &format!("{}\n", facts.password))
            .await
    }

    async fn connection(&self) -> (u16, Value) {
        self.installation
            .staff(
                Method::GET,
                &format!("products/{}/cloud", self.product_id),
                &Value::Null,
            )
            .await
    }

    fn hooked_events(&self) -> Vec<String> {
        let hooks = self.sim.handle().hooks();
        let mut events: Vec<String> = hooks
            .iter()
            .map(|(_, hook)| hook["event"].as_str().unwrap().to_owned())
            .collect();
        events.sort();
        events
    }

    /// What was changed at the cloud, sessions apart.
    fn changes_since(&self, seq: u64) -> Vec<String> {
        let requests = self.sim.handle().requests(seq);
        let changes = requests
            .iter()
            .filter(|request| request.method != "GET" && !request.path.contains("token"));
        changes
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }

    fn seq(&self) -> u64 {
        self.sim.handle().requests(0).last().map_or(0, |request| request.seq)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_and_changes_nothing() {
    let world = World::new().await;
    let said = world.connect(&["--dry-run"]).await.succeeded();
    assert!(said.out.contains("create the API user"), "{}", said.out);
    assert!(said.out.contains("create a webhook for `ostler/`"), "{}", said.out);
    assert_eq!(world.changes_since(0), Vec::<String>::new());
    assert_eq!(world.connection().await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_somebody_to_ask_nothing_is_changed() {
    let world = World::new().await;
    world.connect(&[]).await.failed("say --yes");
    assert_eq!(world.changes_since(0), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_connected_recognised_and_repaired() {
    let world = World::new().await;
    let first = world.connect(&["--yes"]).await.succeeded();
    assert!(first.out.contains("A test event came back"), "{}", first.out);
    let (status, connection) = world.connection().await;
    assert_eq!((status, connection["credential"].as_str()), (200, Some("access_token")));
    let hooked = world.hooked_events();
    assert!(hooked.contains(&"ostler/".to_owned()) && hooked.len() > 1, "{hooked:?}");
    world.installation.operate(&["check"]).await.succeeded();
    assert_no_secret(&world, &first);

    // Nothing to do: nothing is done, and nobody has to be asked.
    let before = world.seq();
    let second = world.connect(&[]).await.succeeded();
    assert!(second.out.contains("keep the stored credential"), "{}", second.out);
    let changes = world.changes_since(before);
    assert!(
        changes.iter().all(|change| change.ends_with("/events")),
        "only the test event: {changes:?}"
    );
    assert_eq!(world.hooked_events(), hooked);

    // Somebody removes a hook at the vendor's console.
    remove_a_hook(&world).await;
    assert_ne!(world.hooked_events(), hooked);
    let third = world.connect(&["--yes"]).await.succeeded();
    assert!(third.out.contains("create a webhook for"), "{}", third.out);
    assert_eq!(world.hooked_events(), hooked);
    world.installation.operate(&["check"]).await.succeeded();
}

/// Neither of the maker nor of what was made for Ostler: 40 hexadecimal digits, or the password.
fn assert_no_secret(world: &World, said: &Said) {
    let password = world.sim.handle().facts().password;
    for text in [&said.out, &said.err] {
        assert!(!text.contains(&password));
        let longest = text
            .split(|letter: char| !letter.is_ascii_hexdigit())
            .map(str::len)
            .max();
        assert!(longest < Some(40), "{text}");
    }
}

async fn remove_a_hook(world: &World) {
    let product = thermostats(&world.sim).id;
    let (hook, _) = world.sim.handle().hooks().remove(0);
    let url = format!("{}/v1/products/{product}/integrations/{hook}", world.sim.base_url());
    let token = world.sim.handle().user_token(&world.sim.handle().maker());
    let answer = reqwest::Client::new()
        .delete(url)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_product_is_kept_as_it_is() {
    let world = World::new().await;
    let product = thermostats(&world.sim);
    let secret = world
        .installation
        .scratch
        .write("secret", format!("{}\n", product.client_secret));
    let said = world
        .installation
        .ask(
            &[
                "connect",
                "particle",
                "--product",
                "thermostat",
                "--cloud-product",
                &product.id.to_string(),
                "--base-url",
                &world.sim.base_url(),
                "--cloud-client-id",
                &product.client_id,
                "--cloud-client-secret-file",
                secret.to_str().unwrap(),
                "--yes",
            ],
            "",
        )
        .await
        .succeeded();
    assert!(said.out.contains("use the product's client"), "{}", said.out);
    let (_, connection) = world.connection().await;
    assert_eq!(connection["client_id"], product.client_id.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_does_not_come_back_is_a_failure_that_says_where_to_look() {
    let installation = Installation::new().await;
    // The cloud will deliver to where nobody is.
    let elsewhere = format!("http://localhost:{}", ostler_testkit::free_port());
    let server = installation.serve_under(&[("OSTLER_PUBLIC_URL", &elsewhere)]);
    let product_id = installation.declare_thermostat().await;
    let world = World {
        installation,
        sim: cloud().await,
        product_id,
        _server: server,
    };
    let said = world
        .connect(&["--yes", "--patience", "1"])
        .await
        .failed("did not come back within 1 s");
    assert!(said.err.contains(&elsewhere), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_products_and_uses_are_told_apart() {
    let world = World::new().await;
    let base_url = world.sim.base_url();
    let arguments = |product: &'static str| {
        [
            "connect",
            "particle",
            "--product",
            product,
            "--cloud-product",
            "1",
            "--base-url",
            base_url.as_str(),
            "--username",
            "x@example.com",
            "--password-stdin",
            "--yes",
        ]
    };
    world
        .installation
        .ask(&arguments("thermostat"), "wrong\n")
        .await
        .failed("did not accept the credential");
    world
        .installation
        .ask(&arguments("teapot"), "wrong\n")
        .await
        .failed("no product `teapot`");
    assert_eq!(world.connection().await.0, 404);
    let secret_in_the_open = [
        "connect",
        "particle",
        "--product",
        "thermostat",
        "--cloud-product",
        "1",
        "--password",
        "x",
    ];
    assert_eq!(world.installation.ask(&secret_in_the_open, "").await.status, 2);
}
