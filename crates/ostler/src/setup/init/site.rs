//! Where a new installation shall stand, and what stands there already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ostler_server::config::{Config, DEFAULTS, DatabaseUrl};
use ostler_store::{MasterKey, MasterKeys, Store, StoreOptions, sqlite_path};
use url::{Host, Url};

use crate::commands::InitArgs;
use crate::setup::{clock, entropy};

const CONFIG: &str = "ostler.toml";
const MASTER_KEY: &str = "master.key";
const DATABASE_URL: &str = "sqlite:ostler.db";

pub struct Site {
    pub directory: PathBuf,
    pub config: PathBuf,
    pub config_text: String,
    pub master_key: PathBuf,
    masked_database_url: String,
    database_url: DatabaseUrl,
    /// `None` with PostgreSQL.
    pub database_file: Option<PathBuf>,
}

impl Site {
    /// Judges the settings before anything is made of them.
    pub fn of(args: &InitArgs) -> anyhow::Result<Self> {
        let directory = args.directory.clone();
        let database_url = args.database_url.as_deref().unwrap_or(DATABASE_URL);
        let mut settings = BTreeMap::from([
            ("public_url", args.public_url.clone()),
            ("database_url", database_url.to_owned()),
        ]);
        if let Some(address) = loopback_address(&args.public_url) {
            settings.insert("listen", address);
        }
        let variables = settings
            .iter()
            .map(|(name, value)| (format!("OSTLER_{}", name.to_uppercase()), value.clone()));
        let (judged, _) = Config::load(None, &variables.collect())?;
        let database_file = sqlite_path(judged.database_url.expose()).context("the database URL cannot be used")?;
        Ok(Self {
            config: directory.join(CONFIG),
            config_text: commented(&settings),
            master_key: directory.join(MASTER_KEY),
            masked_database_url: judged.database_url.masked(),
            database_url: judged.database_url,
            database_file: database_file.map(|file| directory.join(file)),
            directory,
        })
    }

    /// Everything that a new installation would have to overwrite.
    pub async fn conflicts(&self) -> anyhow::Result<Vec<String>> {
        let files = [&self.config, &self.master_key]
            .into_iter()
            .cloned()
            .chain(self.database_files());
        let mut conflicts: Vec<String> = files
            .filter(|path| path.exists())
            .map(|path| path.display().to_string())
            .collect();
        if self.directory.exists() && !self.directory.is_dir() {
            conflicts.push(format!("{}, which is no directory", self.directory.display()));
        }
        if self.database_file.is_none() && self.server_has_installation().await? {
            conflicts.push(format!("an installation in {}", self.masked_database_url));
        }
        Ok(conflicts)
    }

    /// The database, and what SQLite and the lock put beside it.
    pub fn database_files(&self) -> Vec<PathBuf> {
        let beside = |file: &Path, ending: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let endings = ["", "-wal", "-shm", ".lock"];
        self.database_file
            .iter()
            .flat_map(|file| endings.map(|ending| beside(file, ending)))
            .collect()
    }

    /// Where it is, for people.
    pub fn database(&self) -> String {
        match &self.database_file {
            Some(file) => file.display().to_string(),
            None => self.masked_database_url.clone(),
        }
    }

    /// Tables alone are no installation: an `init` that failed may have left them.
    async fn server_has_installation(&self) -> anyhow::Result<bool> {
        let unused_keys = MasterKeys::new(MasterKey::from_bytes([0; 32]), Vec::new());
        let options = StoreOptions::new(unused_keys, entropy());
        let store = Store::look(self.database_url.expose(), options, clock().now())
            .await
            .with_context(|| format!("the database {} cannot be reached", self.masked_database_url))?;
        let has_staff = store.schema_standing().await?.outstanding.is_empty() && store.has_staff().await?;
        store.close().await;
        Ok(has_staff)
    }
}

/// Without a proxy in between, the public address is the one to listen on.
fn loopback_address(public_url: &str) -> Option<String> {
    let url = Url::parse(public_url).ok().filter(|url| url.scheme() == "http")?;
    let port = url.port_or_known_default()?;
    Some(match url.host()? {
        Host::Ipv6(address) => format!("[{address}]:{port}"),
        Host::Ipv4(address) => format!("{address}:{port}"),
        Host::Domain(_) => format!("127.0.0.1:{port}"),
    })
}

/// The defaults with their comments, and the given settings in their places. All of these stand
/// before the first table; a table may have a setting of the same name.
fn commented(settings: &BTreeMap<&str, String>) -> String {
    let first_table = DEFAULTS.find("\n[").unwrap_or(DEFAULTS.len());
    let (top, tables) = DEFAULTS.split_at(first_table);
    let top = top.lines().map(|line| {
        let name = line.split(" = ").next().unwrap_or_default();
        match settings.get(name) {
            Some(address) if name == "listen" => format!("listen = [{}]\n", toml_string(address)),
            Some(value) => format!("{name} = {}\n", toml_string(value)),
            None => format!("{line}\n"),
        }
    });
    top.collect::<String>() + tables
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(public_url: &str, database_url: Option<&str>) -> InitArgs {
        InitArgs {
            directory: "somewhere".into(),
            email: "a@example.com".into(),
            password_stdin: false,
            public_url: public_url.into(),
            database_url: database_url.map(str::to_owned),
        }
    }

    #[test]
    fn the_written_configuration_says_what_was_asked_and_keeps_every_comment() {
        let site = Site::of(&args("http://[::1]:9000", Some("sqlite:a \"b\".db"))).unwrap();
        let written: toml::Table = site.config_text.parse().unwrap();
        assert_eq!(written["public_url"].as_str(), Some("http://[::1]:9000"));
        assert_eq!(written["listen"][0].as_str(), Some("[::1]:9000"));
        assert_eq!(written["database_url"].as_str(), Some("sqlite:a \"b\".db"));
        assert_eq!(written["metrics"]["listen"].as_str(), Some(""), "a table's own");
        let comments = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
        assert_eq!(comments(&site.config_text), comments(DEFAULTS));
        assert_eq!(site.database_files()[0], Path::new("somewhere/a \"b\".db"));
    }

    #[test]
    fn a_proxy_stands_before_an_https_address() {
        let site = Site::of(&args("https://api.example.com", None)).unwrap();
        let written: toml::Table = site.config_text.parse().unwrap();
        assert_eq!(written["listen"][0].as_str(), Some("127.0.0.1:8080"));
    }

    #[test]
    fn settings_that_serve_would_refuse_are_refused_before_anything_is_made() {
        for (public_url, database_url) in [
            ("http://api.example.com", None),
            ("https://a.example", Some("mysql://x")),
        ] {
            assert!(Site::of(&args(public_url, database_url)).is_err());
        }
    }
}
