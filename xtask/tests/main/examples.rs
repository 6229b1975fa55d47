//! The example configurations, run as they are but for addresses and paths: a real nginx and a real Caddy before a
//! server that repeats what reaches it, and systemd's own judgement of the unit. What Ostler makes of the forwarded
//! address is tested with Ostler.

mod echo;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use ostler_testkit::{Process, Scratch, free_port};

use self::echo::Echo;

const SOON: Duration = Duration::from_secs(20);

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces a text that must be there, so that a changed example cannot slip past its test.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example no longer says {from:?}");
    text.replace(from, to)
}

/// Asks `url` as api.example.com, claiming to be somebody else, and returns status and body.
fn ask(url: &str, port: u16) -> (String, String) {
    let output = curl(&[url], port);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = printed.rsplit_once('\n').unwrap_or(("", &printed));
    (status.to_owned(), body.to_lowercase())
}

fn curl(arguments: &[&str], port: u16) -> Output {
    Command::new("curl")
        .args([
            "--silent",
            "--insecure",
            "--no-buffer",
            "--max-time",
            "5",
            "--write-out",
            "\n%{http_code}",
        ])
        .args(["--resolve", &format!("api.example.com:{port}:127.0.0.1")])
        .args([
            "--header",
            "X-Forwarded-For: 198.51.100.66",
            "--header",
            "Forwarded: for=198.51.100.66",
        ])
        .args(arguments)
        .output()
        .expect("curl is a prerequisite")
}

/// What both examples promise, whatever the server.
fn assert_proxies_well(base: &str, port: u16, echo: &Echo) {
    let (status, heard) = ask(&format!("{base}/v1/me?code=secret"), port);
    assert_eq!(status, "200");
    assert!(heard.contains("get /v1/me?code=secret"), "{heard}");
    assert!(
        heard.contains("x-forwarded-for: 127.0.0.1\r"),
        "the client's address is told: {heard}"
    );
    assert!(heard.contains("x-forwarded-proto: "), "{heard}");
    assert!(!heard.contains("198.51.100.66"), "a client's claim reached us: {heard}");

    assert_eq!(ask(&format!("{base}/metrics"), port).0, "404");
    assert!(!echo.was_asked_for("/metrics"));

    // The answer never ends, so that what arrives was not held back.
    let output = curl(&["--max-time", "2", &format!("{base}/v1/stream")], port);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("data: first"),
        "the first event was held back"
    );
}

#[test]
fn the_nginx_example_forwards_calls_and_streams_and_no_forged_address() {
    let (scratch, echo) = (Scratch::new(), Echo::start());
    let (plain, tls) = (free_port(), free_port());
    let (certificate, key) = certificate(&scratch);

    let mut site = example("nginx/ostler.conf");
    for (from, to) in [
        ("listen 80;", format!("listen 127.0.0.1:{plain};")),
        ("listen [::]:80;", String::new()),
        ("listen 443 ssl http2;", format!("listen 127.0.0.1:{tls} ssl http2;")),
        ("listen [::]:443 ssl http2;", String::new()),
        ("server 127.0.0.1:8080;", format!("server {};", echo.address())),
        ("/etc/ssl/ostler/fullchain.pem", certificate.display().to_string()),
        ("/etc/ssl/ostler/privkey.pem", key.display().to_string()),
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
        http { client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
               scgi_temp_path scgi; include ostler.conf; }",
    );
    let mut nginx = Command::new(nginx_program());
    nginx
        .arg("-p")
        .arg(scratch.path())
        .arg("-e")
        .arg("stderr")
        .arg("-c")
        .arg(configuration);
    let mut nginx = Process::spawn("nginx", &mut nginx, &scratch);
    nginx.wait_for_listener(SocketAddr::from(([127, 0, 0, 1], tls)), SOON);

    assert_proxies_well(&format!("https://api.example.com:{tls}"), tls, &echo);
    assert_eq!(ask(&format!("http://api.example.com:{plain}/v1/me"), plain).0, "403");
    assert_eq!(ask(&format!("http://api.example.com:{plain}/"), plain).0, "301");

    nginx.terminate();
    nginx.wait(SOON);
    let logged = std::fs::read_to_string(scratch.join("access.log")).unwrap();
    assert!(logged.contains("GET /v1/me") && !logged.contains("secret"), "{logged}");
}

#[test]
fn the_caddy_example_forwards_calls_and_streams_and_no_forged_address() {
    let (scratch, echo) = (Scratch::new(), Echo::start());
    let port = free_port();

    let mut site = example("caddy/Caddyfile");
    for (from, to) in [
        (
            "\tgrace_period 20s\n",
            "\tgrace_period 20s\n\tadmin off\n\tauto_https off\n".to_owned(),
        ),
        (
            "\napi.example.com {",
            format!("\nhttp://api.example.com:{port} {{\n\tbind 127.0.0.1"),
        ),
        (
            "reverse_proxy 127.0.0.1:8080",
            format!("reverse_proxy {}", echo.address()),
        ),
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
    let mut caddy = Process::spawn("caddy", &mut caddy, &scratch);
    caddy.wait_for_listener(SocketAddr::from(([127, 0, 0, 1], port)), SOON);

    assert_proxies_well(&format!("http://api.example.com:{port}"), port, &echo);
    let logged = caddy.wait_for_line("/v1/me", SOON);
    assert!(!logged.contains("secret"), "{logged}");
}

#[test]
fn the_caddy_example_is_valid_as_it_stands() {
    let scratch = Scratch::new();
    let configuration = scratch.write("Caddyfile", example("caddy/Caddyfile"));
    let output = Command::new("caddy")
        .args(["validate", "--adapter", "caddyfile", "--config"])
        .arg(configuration)
        .env("HOME", scratch.path())
        .env("XDG_DATA_HOME", scratch.path())
        .env("XDG_CONFIG_HOME", scratch.path())
        .output()
        .expect("caddy is a prerequisite");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_systemd_unit_is_valid_and_gives_away_little() {
    let scratch = Scratch::new();
    // systemd wants the program to be there.
    let unit = with(
        &example("systemd/ostler.service"),
        "ExecStart=/usr/local/bin/ostler",
        "ExecStart=/bin/true",
    );
    let unit = scratch.write("ostler.service", unit);
    let analyse = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output();
        let output = output.expect("systemd-analyze is a prerequisite");
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let complaints = analyse(&["verify"]);
    assert!(!complaints.contains("ostler.service"), "{complaints}");
    // An exposure of at most 2 out of 10, in systemd's own counting.
    analyse(&["security", "--offline=yes", "--threshold=20", "--no-pager"]);
}

fn nginx_program() -> &'static str {
    let debian = "/usr/sbin/nginx";
    if Path::new(debian).exists() { debian } else { "nginx" }
}

fn certificate(scratch: &Scratch) -> (PathBuf, PathBuf) {
    let (certificate, key) = (scratch.join("certificate.pem"), scratch.join("key.pem"));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
        ])
        .args(["-subj", "/CN=api.example.com", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is a prerequisite");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}
