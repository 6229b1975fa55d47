//! The example configurations of nginx and Caddy, run as they are but for addresses and paths: the real proxy, with a
//! certificate, before the real Ostler; and before a server that repeats what reaches it, for what Ostler does not
//! show.

mod echo;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ostler_testkit::{Certified, Process, Scratch, free_port, self_signed};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::echo::Echo;
use crate::world::{Caller, Installation, On, REDIRECT_URI, sign_in_over};

const SOON: Duration = Duration::from_secs(20);
const HOST: &str = "api.example.com";
/// What a client claims that would like to be somebody else.
const FORGED: &str = "198.51.100.66";

/// A proxy that runs by its example.
struct Proxy {
    process: Process,
    port: u16,
    certified: Certified,
    scratch: Scratch,
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces a text that must be there, so that a changed example cannot slip past its test.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example no longer says {from:?}");
    text.replace(from, to)
}

impl Proxy {
    /// `plain` is where the example redirects from.
    fn nginx(port: u16, plain: u16, upstream: SocketAddr) -> Self {
        let scratch = Scratch::new();
        let certified = self_signed(&scratch, "site", &[HOST]);
        let mut site = example("nginx/ostler.conf");
        for (from, to) in [
            ("listen 80;", format!("listen 127.0.0.1:{plain};")),
            ("listen [::]:80;", String::new()),
            ("listen 443 ssl http2;", format!("listen 127.0.0.1:{port} ssl http2;")),
            ("listen [::]:443 ssl http2;", String::new()),
            ("server 127.0.0.1:8080;", format!("server {upstream};")),
            (
                "/etc/ssl/ostler/fullchain.pem",
                certified.certificate.display().to_string(),
            ),
            ("/etc/ssl/ostler/privkey.pem", certified.key.display().to_string()),
            (
                "/var/log/nginx/ostler.log",
                scratch.join("access.log").display().to_string(),
            ),
        ] {
            site = with(&site, from, &to);
        }
        scratch.write("ostler.conf", site);
        let configuration = scratch.write(
            "nginx.conf",
            "daemon off; pid nginx.pid; error_log stderr; events {}
            http { client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                   uwsgi_temp_path uwsgi; scgi_temp_path scgi; include ostler.conf; }",
        );
        let debian = Path::new("/usr/sbin/nginx");
        let mut nginx = Command::new(if debian.exists() { debian } else { Path::new("nginx") });
        nginx
            .arg("-p")
            .arg(scratch.path())
            .args(["-e", "stderr", "-c"])
            .arg(configuration);
        Self::listening("nginx", &mut nginx, scratch, certified, port)
    }

    fn caddy(port: u16, upstream: SocketAddr) -> Self {
        let scratch = Scratch::new();
        let certified = self_signed(&scratch, "site", &[HOST]);
        let (certificate, key) = (certified.certificate.display(), certified.key.display());
        let mut site = example("caddy/Caddyfile");
        for (from, to) in [
            (
                "\tgrace_period 20s\n",
                "\tgrace_period 20s\n\tadmin off\n\tauto_https off\n".to_owned(),
            ),
            (
                "\napi.example.com {",
                format!("\nhttps://{HOST}:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {key}"),
            ),
            ("reverse_proxy 127.0.0.1:8080", format!("reverse_proxy {upstream}")),
        ] {
            site = with(&site, from, &to);
        }
        let configuration = scratch.write("Caddyfile", site);
        let mut caddy = Command::new("caddy");
        caddy
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(configuration)
            .env("HOME", scratch.path())
            .env("XDG_DATA_HOME", scratch.path())
            .env("XDG_CONFIG_HOME", scratch.path());
        Self::listening("caddy", &mut caddy, scratch, certified, port)
    }

    fn listening(name: &str, command: &mut Command, scratch: Scratch, certified: Certified, port: u16) -> Self {
        let mut process = Process::spawn(name, command, &scratch);
        process.wait_for_listener(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SOON);
        Self {
            process,
            port,
            certified,
            scratch,
        }
    }

    fn base(&self) -> String {
        public_url(self.port)
    }

    /// A client at another address of loopback, which on the way claims to be somebody else.
    fn client_at(&self, last: u8) -> reqwest::Client {
        let certificate = std::fs::read(&self.certified.certificate).expect("the proxy's certificate");
        let certificate = reqwest::Certificate::from_pem(&certificate).expect("PEM");
        client_at(last)
            .resolve(HOST, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .tls_certs_only([certificate])
            .build()
            .expect("a client")
    }
}

fn public_url(port: u16) -> String {
    format!("https://{HOST}:{port}")
}

fn client_at(last: u8) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .local_address(IpAddr::from([127, 0, 0, last]))
        .timeout(SOON)
}

/// Asks with every field by which a client might pretend.
async fn pretending(http: &reqwest::Client, url: &str, claim: &str) -> (StatusCode, String) {
    let request = http
        .get(url)
        .header("X-Forwarded-For", claim)
        .header("Forwarded", format!("for={claim};host=evil.example;proto=http"))
        .header("X-Forwarded-Host", "evil.example")
        .header("X-Forwarded-Proto", "http");
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

/// An installation that stands behind a proxy at this port.
async fn behind(port: u16) -> (Installation, SocketAddr) {
    let mut installation = Installation::start(On::Sqlite).await;
    installation.restart_with(&[
        ("OSTLER_PUBLIC_URL", &public_url(port)),
        ("OSTLER_TRUSTED_PROXIES", "127.0.0.1/32"),
        ("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_ADDRESS", "30"),
    ]);
    let address = installation
        .base()
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    (installation, address)
}

/// Everything that a customer's app and the vendor's hook need, through the proxy.
async fn assert_serves(installation: &Installation, proxy: &Proxy) {
    let base = proxy.base();
    let fleet = installation.thermostats().await;
    let ada = installation.customer("ada").await;
    installation.grant(&ada, &fleet.devices[0].0, json!({})).await;
    let client_id = installation.app_client().await;

    let http = proxy.client_at(9);
    let scope = "devices:read devices:control";
    let tokens = sign_in_over(http.clone(), &base, &client_id, REDIRECT_URI, &ada, scope).await;
    assert!(tokens.pages[0].contains("type=\"password\""), "{}", tokens.pages[0]);
    let ada = Caller::over(http.clone(), &base, Some(tokens.access_token));
    let called = ada.call(&fleet.devices[0].0, "setTarget", "21").await.expect(200);
    assert_eq!(called.at("/return_value"), 21);

    let hook = Caller::over(http.clone(), &base, Some(fleet.ingest_secret.clone()));
    let path = format!("/ingest/particle/{}", fleet.slug);
    let delivery = |bytes: usize| json!({"event": "e", "coreid": "x", "data": "x".repeat(bytes)});
    hook.post(&path, &delivery(200_000)).await.expect(204);
    hook.post(&path, &delivery(300_000))
        .await
        .expect_problem(413, "too-large");
    // What Ostler takes, the proxy takes.
    let maker = Caller::over(http, &base, installation.maker().await.token().map(str::to_owned));
    let body = |bytes: usize| Value::String("x".repeat(bytes));
    maker
        .post("/admin/v1/products", &body(1_048_000))
        .await
        .expect_problem(400, "invalid-request");
    let refused = maker.post("/admin/v1/products", &body(1_049_000)).await;
    assert_eq!(refused.status, 413, "{refused:?}");
}

/// Who asks is the one whose address the proxy saw, whatever the client writes.
async fn assert_no_pretence_helps(proxy: &Proxy, behind: SocketAddr) {
    let metadata = format!("{}/.well-known/oauth-authorization-server", proxy.base());
    let (status, said) = pretending(&proxy.client_at(1), &metadata, FORGED).await;
    assert_eq!(status, 200);
    assert!(said.contains(&proxy.base()) && !said.contains("evil.example"), "{said}");

    let limited = async |http: &reqwest::Client, url: &str| {
        for nth in 0..40 {
            let (status, _) = pretending(http, url, &format!("198.51.100.{nth}")).await;
            if status == StatusCode::TOO_MANY_REQUESTS {
                return true;
            }
        }
        false
    };
    assert!(
        limited(&proxy.client_at(2), &metadata).await,
        "another claim each time, and one allowance"
    );
    let (status, _) = pretending(&proxy.client_at(3), &metadata, "127.0.0.2").await;
    assert_eq!(status, 200, "one who claims to be the one who has none left");
    // Nobody but the proxy is believed, nobody pays for others, and the proxy itself has used nothing.
    let around = format!("http://{behind}/.well-known/oauth-authorization-server");
    assert!(limited(&client_at(4).build().unwrap(), &around).await);
    let (status, _) = pretending(&proxy.client_at(5), &metadata, "127.0.0.4").await;
    assert_eq!(status, 200);

    let (status, _) = pretending(&proxy.client_at(6), &format!("{}/metrics", proxy.base()), FORGED).await;
    assert_eq!(status, 404);
    let seen = client_at(1)
        .build()
        .unwrap()
        .get(format!("http://{behind}/metrics"))
        .send()
        .await
        .unwrap();
    assert_eq!(seen.status(), 200, "the machine's own monitoring sees them");
}

/// A sign-in took place, and none of its codes or tokens stand in the proxy's log.
fn assert_logged(log: &str) {
    assert!(log.contains("/oauth/token"), "{log}");
    assert!(!log.contains("ost_"), "{log}");
}

/// What reaches the other side, and when what it says comes back.
async fn assert_forwards(proxy: &Proxy, echo: &Echo) {
    let (http, base) = (proxy.client_at(7), proxy.base());
    let (status, heard) = pretending(&http, &format!("{base}/v1/me?code=secret"), FORGED).await;
    let heard = heard.to_lowercase();
    assert_eq!(status, 200);
    assert!(heard.contains("get /v1/me?code=secret"), "{heard}");
    assert!(
        heard.contains("x-forwarded-for: 127.0.0.7\r"),
        "the client's address is told: {heard}"
    );
    assert!(heard.contains("x-forwarded-proto: https\r"), "{heard}");
    assert!(!heard.contains(FORGED), "a client's claim reached us: {heard}");

    assert_eq!(pretending(&http, &format!("{base}/metrics"), FORGED).await.0, 404);
    assert!(!echo.was_asked_for("/metrics"));

    // The answer never ends, so that what arrives was not held back.
    let mut stream = http
        .request(Method::GET, format!("{base}/v1/stream"))
        .send()
        .await
        .unwrap();
    let first = tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await;
    let first = first.expect("the first event was held back").unwrap().unwrap();
    assert_eq!(&first[..], b"data: first\n\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ostler_behind_the_nginx_example_serves_customers_and_believes_no_forged_address() {
    let port = free_port();
    let (installation, address) = behind(port).await;
    let mut proxy = Proxy::nginx(port, free_port(), address);
    assert_serves(&installation, &proxy).await;
    assert_no_pretence_helps(&proxy, address).await;
    proxy.process.terminate();
    proxy.process.wait(SOON);
    assert_logged(&std::fs::read_to_string(proxy.scratch.join("access.log")).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ostler_behind_the_caddy_example_serves_customers_and_believes_no_forged_address() {
    let port = free_port();
    let (installation, address) = behind(port).await;
    let mut proxy = Proxy::caddy(port, address);
    assert_serves(&installation, &proxy).await;
    assert_no_pretence_helps(&proxy, address).await;
    proxy.process.terminate();
    proxy.process.wait(SOON);
    assert_logged(&proxy.process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nginx_example_forwards_streams_at_once_and_logs_no_secret() {
    let (echo, plain) = (Echo::start(), free_port());
    let mut proxy = Proxy::nginx(free_port(), plain, echo.address());
    assert_forwards(&proxy, &echo).await;

    let in_clear = async |path: &str| {
        let request = proxy.client_at(8).get(format!("http://{HOST}:{plain}{path}"));
        request.send().await.unwrap().status()
    };
    assert_eq!(in_clear("/v1/me").await, 403);
    assert_eq!(in_clear("/").await, 301);

    proxy.process.terminate();
    proxy.process.wait(SOON);
    let logged = std::fs::read_to_string(proxy.scratch.join("access.log")).unwrap();
    assert!(logged.contains("GET /v1/me") && !logged.contains("secret"), "{logged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caddy_example_forwards_streams_at_once_and_logs_no_secret() {
    let echo = Echo::start();
    let mut proxy = Proxy::caddy(free_port(), echo.address());
    assert_forwards(&proxy, &echo).await;
    let logged = proxy.process.wait_for_line("/v1/me", SOON);
    assert!(!logged.contains("secret"), "{logged}");
}
