//! A PostgreSQL server for tests and fresh databases on it. The server of `OSTLER_TEST_POSTGRES_URL` is used when
//! that is set (its user must be allowed to create databases); otherwise a private cluster is started by itself.
//! Neither the schema nor the driver is known here.

mod cluster;
mod psql;
mod server_programs;
mod url;

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use self::cluster::{Durability, Lease};
use crate::{edge, eventually};

const LAST_GUEST: Duration = Duration::from_secs(10);

/// A server the tests may create databases on.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    _lease: Option<Lease>,
}

impl Postgres {
    /// The server nearly all tests use. A private cluster does not wait for the disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| given_server().unwrap_or_else(|| Self::private(Durability::None)))
    }

    /// A server whose commits reach the disk, for tests about durability. A given server is taken when it keeps
    /// `fsync` on.
    pub fn durable() -> &'static Self {
        static DURABLE: OnceLock<Postgres> = OnceLock::new();
        DURABLE.get_or_init(|| {
            given_server()
                .filter(|server| psql::query(&server.url, "SHOW fsync") == "on")
                .unwrap_or_else(|| Self::private(Durability::Full))
        })
    }

    fn private(durability: Durability) -> Self {
        let lease = cluster::join(durability);
        Self {
            url: lease.url.clone(),
            _lease: Some(lease),
        }
    }

    /// The server's own URL; its database is the one to connect to for administration.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new database, empty or a copy of a template (see [`Postgres::template`]). It is dropped with its handle,
    /// connections or not.
    #[track_caller]
    pub fn fresh_database(&self, template: Option<&str>) -> Database {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ostler_test_{}_{}_{}",
            std::process::id(),
            edge::nanos_since_1970(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let template = template.unwrap_or("template0");
        psql::query(
            &self.url,
            &format!("CREATE DATABASE {} TEMPLATE {}", quoted(&name), quoted(template)),
        );
        Database {
            url: url::with_database(&self.url, &name),
            server_url: self.url.clone(),
            name,
        }
    }

    /// Makes sure that a template of this name exists, and returns the name: the first process that asks creates an
    /// empty database and has `prepare` fill it (migrations, say); all others wait for it. The name must change
    /// with the content, so let it end in a digest of what `prepare` does.
    pub async fn template<Prepared>(&self, name: &str, prepare: impl FnOnce(String) -> Prepared) -> String
    where
        Prepared: Future<Output = ()>,
    {
        let lock = cluster::open(&Path::new(cluster::BUILD_TEMPORARY).join("postgres-template"));
        lock.lock().expect("the build folder supports locks");
        let name_literal = name.replace('\'', "''");
        let known = psql::query(
            &self.url,
            &format!("SELECT 1 FROM pg_database WHERE datname = '{name_literal}'"),
        );
        if known.is_empty() {
            self.build_template(name, prepare).await;
        }
        name.to_owned()
    }

    async fn build_template<Prepared>(&self, name: &str, prepare: impl FnOnce(String) -> Prepared)
    where
        Prepared: Future<Output = ()>,
    {
        let draft = format!("{name}_draft");
        let draft_name = quoted(&draft);
        psql::query(&self.url, &format!("DROP DATABASE IF EXISTS {draft_name} WITH (FORCE)"));
        psql::query(&self.url, &format!("CREATE DATABASE {draft_name} TEMPLATE template0"));
        prepare(url::with_database(&self.url, &draft)).await;
        // A database with a guest can be neither renamed nor copied; from here on nobody gets in.
        psql::query(
            &self.url,
            &format!("ALTER DATABASE {draft_name} ALLOW_CONNECTIONS false"),
        );
        let guests = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}'",
            draft.replace('\'', "''")
        );
        eventually("the draft's last guest to leave", LAST_GUEST, || {
            (psql::query(&self.url, &guests) == "0").then_some(())
        });
        psql::query(
            &self.url,
            &format!("ALTER DATABASE {draft_name} RENAME TO {}", quoted(name)),
        );
    }
}

/// A database of one test.
#[derive(Debug)]
pub struct Database {
    url: String,
    name: String,
    server_url: String,
}

impl Database {
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL by `psql`, past the code under test, and returns the unadorned output.
    #[track_caller]
    pub fn query(&self, sql: &str) -> String {
        psql::query(&self.url, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = psql::try_query(
            &self.server_url,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name)),
        );
        if let Err(complaint) = dropped {
            eprintln!("the test database {} stays behind: {complaint}", self.name);
        }
    }
}

fn given_server() -> Option<Postgres> {
    let url = edge::variable("OSTLER_TEST_POSTGRES_URL")?;
    let url = url.into_string().expect("OSTLER_TEST_POSTGRES_URL is text");
    Some(Postgres { url, _lease: None })
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_fresh_and_go_with_their_handle() {
        let server = Postgres::shared();
        let one = server.fresh_database(None);
        let two = server.fresh_database(None);
        one.query("CREATE TABLE seen (n BIGINT)");
        assert_eq!(
            two.query("SELECT count(*) FROM pg_tables WHERE tablename = 'seen'"),
            "0"
        );

        let find = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", one.name());
        assert_eq!(two.query(&find), "1");
        drop(one);
        assert_eq!(two.query(&find), "0");
    }

    #[tokio::test]
    async fn a_template_is_prepared_once_and_copied() {
        let server = Postgres::shared();
        let name = format!("template_{}", edge::nanos_since_1970());
        let fill = async |url: String| {
            psql::query(&url, "CREATE TABLE filled AS SELECT 17 AS n");
        };
        server.template(&name, fill).await;
        server.template(&name, async |_| panic!("it is there already")).await;

        let copy = server.fresh_database(Some(&name));
        assert_eq!(copy.query("SELECT n FROM filled"), "17");
        psql::query(server.url(), &format!("DROP DATABASE {}", quoted(&name)));
    }

    #[test]
    fn a_durable_server_waits_for_the_disk() {
        let database = Postgres::durable().fresh_database(None);
        assert_eq!(database.query("SHOW fsync"), "on");
        assert_eq!(database.query("SHOW synchronous_commit"), "on");
    }
}
