//! Settings: the compiled-in defaults, a file over them, the environment over both.
//!
//! Read once, in `main`, and checked as a whole: all faults are reported together. Each module is
//! then handed the part it needs; nobody passes the whole [`Config`] around.

mod document;
mod reader;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use document::{Document, Fault, Faults};

use crate::network::Network;
use reader::Reader;

/// `config.default.toml`: every setting with its comment.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

#[derive(Debug, Clone)]
pub struct Config {
    pub public_url: Url,
    pub listen: Vec<SocketAddr>,
    pub trusted_proxies: Vec<Network>,
    pub database_url: DatabaseUrl,
    pub master_key_file: PathBuf,
    pub tls: Option<Tls>,
    pub limits: Limits,
    pub calls: Calls,
    pub passwords: Passwords,
    pub tokens: Tokens,
    pub ingest: Ingest,
    pub log: Log,
    pub metrics: Metrics,
}

#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    pub reload: Duration,
}

/// For the listener and the frame.
#[derive(Debug, Clone)]
pub struct Limits {
    pub connections: usize,
    pub header_deadline: Duration,
    pub body_deadline: Duration,
    pub write_deadline: Duration,
    pub idle_deadline: Duration,
    pub body_bytes: usize,
    pub ingest_body_bytes: usize,
    pub request_deadline: Duration,
    pub stop_deadline: Duration,
    pub streams_per_caller: usize,
    /// Zero: no limit.
    pub requests_per_minute_per_caller: u32,
    /// Zero: no limit.
    pub requests_per_minute_per_address: u32,
}

/// For the use case that calls functions.
#[derive(Debug, Clone)]
pub struct Calls {
    pub deadline: Duration,
    pub attach: Duration,
}

/// For the pool that hashes passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    pub memory_kib: u32,
    pub iterations: u32,
    pub parallelism: u32,
    pub workers: usize,
    pub waiting_max: usize,
}

#[derive(Debug, Clone)]
pub struct Tokens {
    pub access_token: Duration,
    pub authorization_code: Duration,
    pub refresh_idle: Duration,
    pub refresh_tolerance: Duration,
    pub session: Duration,
}

#[derive(Debug, Clone)]
pub struct Ingest {
    pub queue_events: usize,
    pub batch_events: usize,
    pub rejected_events: usize,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone)]
pub struct Metrics {
    pub allowed: Vec<Network>,
    pub listen: Option<SocketAddr>,
}

impl Metrics {
    /// Who may read `/metrics` on the public addresses: nobody, if it has an address of its own.
    pub fn allowed_in_public(&self) -> Vec<Network> {
        if self.listen.is_some() {
            Vec::new()
        } else {
            self.allowed.clone()
        }
    }
}

/// May hold a password, so it tells itself only when asked by name.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The URL without what is secret in it.
    pub fn masked(&self) -> String {
        document::masked_url(self.expose())
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Config {
    /// Reads the file, if one is named, under the variables. Relative paths are taken from the file's
    /// directory, so that it does not matter where the program was started.
    pub fn load(file: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<(Self, Document), Faults> {
        let document = Document::load(file, environment)?;
        let config = Self::read(&document, base(file))?;
        Ok((config, document))
    }

    fn read(document: &Document, base: &Path) -> Result<Self, Faults> {
        let mut reader = Reader::new(document, base);
        let config = Self {
            public_url: public_url(&mut reader),
            listen: reader.list("listen", "must be addresses such as \"127.0.0.1:8080\""),
            trusted_proxies: reader.list("trusted_proxies", "must be networks such as \"10.0.0.0/8\""),
            database_url: database_url(&mut reader),
            master_key_file: reader.path("master_key_file"),
            tls: tls(&mut reader),
            limits: limits(&mut reader),
            calls: Calls {
                deadline: reader.seconds("calls.deadline_seconds", 1..=55),
                attach: reader.seconds("calls.attach_seconds", 1..=600),
            },
            passwords: Passwords {
                memory_kib: reader.number("passwords.memory_kib", 8..=4_194_304),
                iterations: reader.number("passwords.iterations", 1..=100),
                parallelism: reader.number("passwords.parallelism", 1..=64),
                workers: reader.number("passwords.workers", 1..=1_024),
                waiting_max: reader.number("passwords.waiting_max", 1..=100_000),
            },
            tokens: Tokens {
                access_token: reader.seconds("tokens.access_token_seconds", 10..=86_400),
                authorization_code: reader.seconds("tokens.authorization_code_seconds", 10..=600),
                refresh_idle: reader.seconds("tokens.refresh_idle_days", 1..=3_650) * 86_400,
                refresh_tolerance: reader.seconds("tokens.refresh_tolerance_seconds", 0..=300),
                session: reader.seconds("tokens.session_hours", 1..=8_760) * 3_600,
            },
            ingest: Ingest {
                queue_events: reader.number("ingest.queue_events", 1..=1_000_000),
                batch_events: reader.number("ingest.batch_events", 1..=100_000),
                rejected_events: reader.number("ingest.rejected_events", 0..=10_000_000),
            },
            log: Log {
                format: log_format(&mut reader),
                level: log_level(&mut reader),
            },
            metrics: Metrics {
                allowed: reader.list("metrics.allowed", "must be networks such as \"10.0.0.0/8\""),
                listen: reader.optional("metrics.listen", "must be an address such as \"127.0.0.1:9090\""),
            },
        };
        check_network_face(&config, &mut reader);
        reader.finish(config)
    }
}

fn base(file: Option<&Path>) -> &Path {
    file.and_then(Path::parent).unwrap_or(Path::new(""))
}

fn public_url(reader: &mut Reader<'_>) -> Url {
    let url: Url = reader.parsed("public_url", "must be a URL such as \"https://api.example.com\"");
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !bare || !matches!(url.scheme(), "http" | "https") {
        reader.fault(
            "public_url",
            "must be http or https and name nothing but a host and a port",
        );
    } else if url.scheme() == "http" && !names_loopback(&url) {
        reader.fault("public_url", "must be https unless it names this machine's loopback");
    }
    url
}

fn names_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn database_url(reader: &mut Reader<'_>) -> DatabaseUrl {
    let text = reader.text("database_url");
    if !["sqlite:", "postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        reader.fault("database_url", "must begin with \"sqlite:\" or \"postgres://\"");
    }
    DatabaseUrl(reader.relative_database_url(text).into())
}

fn tls(reader: &mut Reader<'_>) -> Option<Tls> {
    let reload = reader.seconds("tls.reload_seconds", 1..=86_400);
    match (
        reader.optional_path("tls.certificate_file"),
        reader.optional_path("tls.key_file"),
    ) {
        (Some(certificate_file), Some(key_file)) => Some(Tls {
            certificate_file,
            key_file,
            reload,
        }),
        (None, None) => None,
        (Some(_), None) => {
            reader.fault("tls.key_file", "must be set when tls.certificate_file is");
            None
        }
        (None, Some(_)) => {
            reader.fault("tls.certificate_file", "must be set when tls.key_file is");
            None
        }
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    Limits {
        connections: reader.number("limits.connections", 1..=1_000_000),
        header_deadline: reader.seconds("limits.header_deadline_seconds", 1..=600),
        body_deadline: reader.seconds("limits.body_deadline_seconds", 1..=3_600),
        write_deadline: reader.seconds("limits.write_deadline_seconds", 1..=3_600),
        idle_deadline: reader.seconds("limits.idle_deadline_seconds", 1..=3_600),
        body_bytes: reader.number("limits.body_bytes", 1_024..=1_073_741_824),
        ingest_body_bytes: reader.number("limits.ingest_body_bytes", 1_024..=1_073_741_824),
        request_deadline: reader.seconds("limits.request_deadline_seconds", 1..=3_600),
        stop_deadline: reader.seconds("limits.stop_deadline_seconds", 0..=3_600),
        streams_per_caller: reader.number("limits.streams_per_caller", 1..=100_000),
        requests_per_minute_per_caller: reader.number("limits.requests_per_minute_per_caller", 0..=100_000_000),
        requests_per_minute_per_address: reader.number("limits.requests_per_minute_per_address", 0..=100_000_000),
    }
}

fn log_format(reader: &mut Reader<'_>) -> LogFormat {
    match reader.text("log.format").as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => {
            reader.fault("log.format", "must be \"text\" or \"json\"");
            LogFormat::Text
        }
    }
}

fn log_level(reader: &mut Reader<'_>) -> String {
    let level = reader.text("log.level");
    if crate::log::filter(&level).is_err() {
        reader.fault(
            "log.level",
            "must be a level or directives such as \"info,ostler_store=debug\"",
        );
    }
    level
}

/// Tokens in clear on a network that others can read would make every other care pointless.
fn check_network_face(config: &Config, reader: &mut Reader<'_>) {
    if config.listen.is_empty() {
        reader.fault("listen", "must name at least one address");
    }
    let in_clear = config.tls.is_none() && config.trusted_proxies.is_empty();
    if in_clear && config.listen.iter().any(|address| !address.ip().is_loopback()) {
        reader.fault(
            "listen",
            "must be loopback addresses unless tls or trusted_proxies is set",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<(Config, Document), Faults> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ostler.toml");
        std::fs::write(&path, file).unwrap();
        Config::load(Some(&path), &environment(variables))
    }

    fn faults(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
        load(file, variables)
            .unwrap_err()
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_defaults_are_valid_and_every_setting_has_a_comment() {
        Config::load(None, &BTreeMap::new()).unwrap();
        // A run of settings shares the comment above it.
        let mut commented = false;
        for line in DEFAULTS.lines().filter(|line| !line.starts_with('[')) {
            match line.chars().next() {
                Some('#') => commented = true,
                Some(_) => assert!(commented, "{line}"),
                None => commented = false,
            }
        }
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let file = "[limits]\nbody_bytes = 2048\nconnections = 5\n";
        let variables = [
            ("OSTLER_LIMITS_BODY_BYTES", "4096"),
            ("OSTLER_TOKENS__SESSION_HOURS", "2"),
            ("OSTLER_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
        ];
        let (config, _) = load(file, &variables).unwrap();
        assert_eq!(config.limits.body_bytes, 4_096);
        assert_eq!(config.limits.connections, 5);
        assert_eq!(config.limits.ingest_body_bytes, 262_144);
        assert_eq!(config.tokens.session, Duration::from_secs(7_200));
        assert_eq!(config.trusted_proxies.len(), 2);
    }

    #[test]
    fn all_faults_are_reported_together() {
        let file = "public_ur = \"x\"\nlisten = [\"0.0.0.0:80\", \"nowhere\"]\n[limits]\nbody_bytes = \"big\"\n[tls]\nkey_file = \"k\"\n";
        let variables = [
            ("OSTLER_LIMITS_CONNECTIONS", "0"),
            ("OSTLER_NONSENSE", "1"),
            ("OSTLER_DATABASE_URL", "mysql://x"),
            ("OSTLER_LOG_LEVEL", "loud=nonsense"),
        ];
        insta::assert_debug_snapshot!(faults(file, &variables), @r#"
        [
            "limits.body_bytes: must be a whole number",
            "public_ur: is not a setting",
            "OSTLER_NONSENSE: is not a setting",
            "listen: must be addresses such as \"127.0.0.1:8080\"",
            "database_url: must begin with \"sqlite:\" or \"postgres://\"",
            "tls.certificate_file: must be set when tls.key_file is",
            "limits.connections: must be a whole number from 1 to 1000000",
            "log.level: must be a level or directives such as \"info,ostler_store=debug\"",
        ]
        "#);
    }

    #[test]
    fn plain_http_away_from_loopback_needs_a_trusted_proxy() {
        let open = "listen = [\"0.0.0.0:8080\"]\n";
        assert_eq!(faults(open, &[]).len(), 1);
        load(open, &[("OSTLER_TRUSTED_PROXIES", "10.0.0.1")]).unwrap();
        load(
            open,
            &[("OSTLER_TLS_CERTIFICATE_FILE", "c"), ("OSTLER_TLS_KEY_FILE", "k")],
        )
        .unwrap();
    }

    #[test]
    fn a_public_url_in_clear_or_with_a_path_is_refused() {
        for url in [
            "http://api.example.com",
            "https://api.example.com/v1",
            "ftp://api.example.com",
            "https://a@b.example",
        ] {
            assert_eq!(faults("", &[("OSTLER_PUBLIC_URL", url)]).len(), 1, "{url}");
        }
        load("", &[("OSTLER_PUBLIC_URL", "http://localhost:9000")]).unwrap();
    }

    #[test]
    fn a_secret_may_come_from_a_file_and_is_masked_when_printed() {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("url");
        std::fs::write(&secret, "postgres://ostler:hunter2@db/ostler\n").unwrap();
        let (config, document) = load("", &[("OSTLER_DATABASE_URL_FILE", secret.to_str().unwrap())]).unwrap();
        assert_eq!(config.database_url.expose(), "postgres://ostler:hunter2@db/ostler");
        let printed = document.masked();
        assert!(printed.contains("postgres://ostler:…@db/ostler"), "{printed}");
        assert!(!format!("{printed}{config:?}").contains("hunter2"));
    }

    #[test]
    fn paths_are_taken_from_the_directory_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ostler.toml");
        std::fs::write(&path, "database_url_file = \"url\"\n").unwrap();
        std::fs::write(directory.path().join("url"), "sqlite:ostler.db").unwrap();
        let (config, _) = Config::load(Some(&path), &BTreeMap::new()).unwrap();
        assert_eq!(config.master_key_file, directory.path().join("master.key"));
        assert_eq!(
            config.database_url.expose(),
            format!("sqlite:{}", directory.path().join("ostler.db").display())
        );
    }
}
