//! The database: there, ours, whole, up to date, writable; and whether its secrets open.

use ostler_core::port::Clock as _;
use ostler_server::config::Config;
use ostler_server::edge::SystemClock;
use ostler_store::{
    MasterKey, MasterKeys, SchemaStanding, SealedReport, Store, StoreError, StoreOptions, WriteProbe, probe_writing,
    sqlite_path,
};

use super::verdict::{Verdict, chain};
use super::{ConnectedProduct, server, what};
use crate::setup::{clock, entropy};

/// How many secrets that do not open are named.
const NAMED_MAX: usize = 5;

/// The database as it was found.
pub struct Database {
    verdict: Verdict,
    secrets: Verdict,
    /// Only of a database that can be read as this version expects, with a master key that opens all.
    store: Option<Store>,
}

impl Database {
    pub async fn look(config: &Config, keys: Option<MasterKeys>) -> Self {
        let store = match open(config, keys.as_ref()).await {
            Ok(store) => store,
            Err(verdict) => return Self::unreadable(verdict),
        };
        if let Err(verdict) = judge_content(&store).await {
            store.close().await;
            return Self::unreadable(verdict);
        }
        let verdict = judge_writing(config).await;
        let secrets = match keys {
            Some(_) => judge_secrets(store.check_sealed().await),
            None => Err(Verdict::skipped(
                what::SECRETS,
                "without the master key nothing can be opened",
            )),
        };
        match secrets {
            Ok(secrets) => Self {
                verdict,
                secrets,
                store: Some(store),
            },
            Err(secrets) => {
                store.close().await;
                Self {
                    verdict,
                    secrets,
                    store: None,
                }
            }
        }
    }

    fn unreadable(verdict: Verdict) -> Self {
        let secrets = Verdict::skipped(what::SECRETS, "the database cannot be read");
        Self {
            verdict,
            secrets,
            store: None,
        }
    }

    /// None of a database that cannot be read; what then is wrong becomes its verdict.
    pub async fn connected_products(&mut self) -> Vec<ConnectedProduct> {
        let Some(store) = &self.store else { return Vec::new() };
        connected_products(store).await.unwrap_or_else(|error| {
            let detail = format!("its products cannot be read: {}", chain(&error));
            self.verdict = Verdict::failed(what::DATABASE, detail);
            Vec::new()
        })
    }

    pub async fn into_verdicts(self) -> [Verdict; 2] {
        if let Some(store) = self.store {
            store.close().await;
        }
        [self.verdict, self.secrets]
    }
}

async fn open(config: &Config, keys: Option<&MasterKeys>) -> Result<Store, Verdict> {
    let shown = config.database_url.masked();
    let failed = |why: String| Verdict::failed(what::DATABASE, format!("{shown}: {why}"));
    let url = config.database_url.expose();
    let file = sqlite_path(url).map_err(|error| failed(chain(&error)))?;
    if let Some(file) = file.filter(|file| !file.exists()) {
        return Err(failed(format!("{} does not exist", file.display()))
            .hint("`ostler init` makes an installation, `ostler restore` brings one back"));
    }
    // A key that opens nothing: the rest can be looked at all the same.
    let keys = keys
        .cloned()
        .unwrap_or_else(|| MasterKeys::new(MasterKey::from_bytes([0; 32]), Vec::new()));
    let options = StoreOptions::new(keys, entropy());
    Store::look(url, options, clock().now())
        .await
        .map_err(|error| failed(chain(&error)))
}

async fn judge_content(store: &Store) -> Result<(), Verdict> {
    let unreadable = |error: StoreError| Verdict::failed(what::DATABASE, chain(&error));
    match store.quick_check().await.map_err(unreadable)? {
        Some(finding) => Err(
            Verdict::failed(what::DATABASE, format!("the file is damaged: {finding}"))
                .hint("stop the server, keep the file, and `ostler restore` the newest backup"),
        ),
        None => judge_schema(&store.schema_standing().await.map_err(unreadable)?),
    }
}

fn judge_schema(standing: &SchemaStanding) -> Result<(), Verdict> {
    let SchemaStanding {
        outstanding,
        edited,
        newer,
    } = standing;
    let failed = |detail: String| Err(Verdict::failed(what::DATABASE, detail));
    if !edited.is_empty() {
        return failed(format!(
            "the schema is another than this program's: {}",
            edited.join(", ")
        ));
    }
    if !outstanding.is_empty() {
        return failed(format!(
            "the schema is older than this program, and lacks {}",
            outstanding.join(", ")
        ))
        .map_err(|verdict| verdict.hint("`ostler migrate` brings it up to date; `ostler serve` does so by itself"));
    }
    if !newer.is_empty() {
        eprintln!("ostler: a newer version has changed the schema ({})", newer.join(", "));
    }
    Ok(())
}

/// By trying, or, where a server has the lock, by asking it.
async fn judge_writing(config: &Config) -> Verdict {
    let shown = config.database_url.masked();
    match probe_writing(config.database_url.expose()).await {
        Ok(WriteProbe::Writable) => Verdict::ok(what::DATABASE, format!("{shown}, whole, up to date, writable")),
        Ok(WriteProbe::InUse) => match server::ask_readiness(config).await {
            Ok(()) => Verdict::ok(
                what::DATABASE,
                format!("{shown}, whole, up to date, in use by a server that is ready"),
            ),
            Err(why) => Verdict::failed(
                what::DATABASE,
                format!("{shown} is in use by a process that is not ready: {why}"),
            )
            .hint("look at the server's log; /readyz names the part that does not work"),
        },
        Err(error) => Verdict::failed(what::DATABASE, format!("{shown} cannot be written: {}", chain(&error))),
    }
}

fn judge_secrets(report: Result<SealedReport, StoreError>) -> Result<Verdict, Verdict> {
    let report = report.map_err(|error| Verdict::failed(what::SECRETS, chain(&error)))?;
    if report.unopened.is_empty() {
        return Ok(Verdict::ok(
            what::SECRETS,
            format!("all {} open with the master key", report.total),
        ));
    }
    let mut detail = format!("{} of {} do not open", report.unopened.len(), report.total);
    for secret in report.unopened.iter().take(NAMED_MAX) {
        detail += &format!("\n{secret}");
    }
    Err(Verdict::failed(what::SECRETS, detail).hint("is this the master key that belongs to this database?"))
}

async fn connected_products(store: &Store) -> Result<Vec<ConnectedProduct>, StoreError> {
    let mut products = Vec::new();
    for (id, connection) in store.cloud_connections().await? {
        let Some(record) = store.product(id).await? else {
            continue;
        };
        products.push(ConnectedProduct {
            id,
            declaration: record.to_product()?.declaration,
            connection,
            hook_secret: store.live_hook_secret(id, SystemClock.now()).await?,
        });
    }
    Ok(products)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_or_foreign_schema_fails_and_a_newer_one_does_not() {
        let standing = |outstanding: &[&'static str], edited: &[&'static str], newer: &[&str]| SchemaStanding {
            outstanding: outstanding.to_vec(),
            edited: edited.to_vec(),
            newer: newer.iter().map(|name| (*name).to_owned()).collect(),
        };
        judge_schema(&standing(&[], &[], &["0099_later"])).unwrap();
        let old = judge_schema(&standing(&["0005_history"], &[], &[])).unwrap_err();
        assert!(old.detail.contains("0005_history") && old.hint.unwrap().contains("ostler migrate"));
        assert!(
            judge_schema(&standing(&[], &["0001_registry"], &[]))
                .unwrap_err()
                .detail
                .contains("0001_registry")
        );
    }
}
