//! OAuth clients: registered, changed, ended.

use std::collections::BTreeSet;

use ostler_core::caller::ProductReach;
use ostler_core::client::{Client, ClientKind, FlowSet, RefreshPolicy, WebOrigin};
use ostler_core::id::{ClientId, ProductId};
use ostler_core::scope::ScopeSet;
use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;

use super::ending::{EndReason, Of, end_access_tokens, end_families};
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::read_model::{Change, TokensOf};
use crate::tx::{execute, on, row};
use crate::value::{AsJson, Digest, Millis, Text};

/// A client with the digest of its secret, if it has one.
#[derive(Debug, Clone)]
pub struct RegisteredClient {
    pub client: Client,
    pub secret_digest: Option<SecretDigest>,
}

macro_rules! columns {
    () => {
        "client_id, name, kind, secret_digest, flows, redirect_uris, scopes, default_scopes,
         refresh_policy, cors_origins, products, created_at, ended_at"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM client WHERE client_id = $1");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM client WHERE client_id > COALESCE($1, '') ORDER BY client_id LIMIT $2"
);
const INSERT: &str = concat!(
    "INSERT INTO client (",
    columns!(),
    ")
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, NULL)"
);
const CHANGE: &str = "
    UPDATE client
       SET name = $2, flows = $3, redirect_uris = $4, scopes = $5, default_scopes = $6,
           refresh_policy = $7, cors_origins = $8, products = $9
     WHERE client_id = $1 AND ended_at IS NULL";
const REPLACE_SECRET: &str = "
    UPDATE client SET secret_digest = $2
     WHERE client_id = $1 AND ended_at IS NULL AND kind = 'confidential'";
const END: &str = "UPDATE client SET ended_at = $2 WHERE client_id = $1 AND ended_at IS NULL";
const ORIGINS: &str = "SELECT cors_origins FROM client WHERE ended_at IS NULL AND cors_origins <> '[]'";

row! {
    struct ClientRow {
        client_id: Text<ClientId>,
        name: String,
        kind: Text<ClientKind>,
        secret_digest: Option<Digest>,
        flows: Text<FlowSet>,
        redirect_uris: AsJson<Vec<String>>,
        scopes: Text<ScopeSet>,
        default_scopes: Text<ScopeSet>,
        refresh_policy: Text<RefreshPolicy>,
        cors_origins: AsJson<Vec<String>>,
        products: Option<AsJson<BTreeSet<ProductId>>>,
        created_at: Millis,
        ended_at: Option<Millis>,
    }
}

impl ClientRow {
    fn read(self) -> Result<RegisteredClient, StoreError> {
        Ok(RegisteredClient {
            secret_digest: self.secret_digest.map(|Digest(digest)| digest),
            client: Client {
                id: self.client_id.0,
                name: self.name,
                kind: self.kind.0,
                flows: self.flows.0,
                redirect_uris: all("a redirect URI", self.redirect_uris)?,
                scopes: self.scopes.0,
                default_scopes: self.default_scopes.0,
                refresh_policy: self.refresh_policy.0,
                cors_origins: all("an origin", self.cors_origins)?,
                products: reach(self.products),
                created_at: self.created_at.0,
                ended_at: self.ended_at.map(|Millis(at)| at),
            },
        })
    }
}

pub(super) fn reach(products: Option<AsJson<BTreeSet<ProductId>>>) -> ProductReach {
    products.map_or(ProductReach::All, |AsJson(products)| ProductReach::Only(products))
}

pub(super) fn reach_column(reach: &ProductReach) -> Option<AsJson<&BTreeSet<ProductId>>> {
    match reach {
        ProductReach::All => None,
        ProductReach::Only(products) => Some(AsJson(products)),
    }
}

fn all<T>(what: &'static str, AsJson(texts): AsJson<Vec<String>>) -> Result<Vec<T>, StoreError>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error: T::Err| StoreError::unreadable(what, error))
        })
        .collect()
}

fn texts<T: ToString>(values: &[T]) -> AsJson<Vec<String>> {
    AsJson(values.iter().map(T::to_string).collect())
}

impl Store {
    pub async fn create_client(
        &self,
        RegisteredClient { client, secret_digest }: &RegisteredClient,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write(now).await?;
        execute!(
            tx.link(),
            sqlx::query(INSERT)
                .bind(Text(client.id))
                .bind(&client.name)
                .bind(Text(client.kind))
                .bind(secret_digest.map(Digest))
                .bind(Text(client.flows))
                .bind(texts(&client.redirect_uris))
                .bind(Text(client.scopes))
                .bind(Text(client.default_scopes))
                .bind(Text(client.refresh_policy))
                .bind(texts(&client.cors_origins))
                .bind(reach_column(&client.products))
                .bind(Millis(client.created_at))
        );
        tx.audit(
            Act::new("client.create", by)
                .about("client_id", client.id)
                .about("scopes", client.scopes),
        );
        tx.commit().await
    }

    pub async fn client(&self, id: ClientId) -> Result<Option<RegisteredClient>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<ClientRow> = on!(conn.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(id))
            .fetch_optional(&mut *db)
            .await?);
        row.map(ClientRow::read).transpose()
    }

    pub async fn clients(&self, page: Page<ClientId>) -> Result<Listed<Client>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<ClientRow> = on!(conn.link(), |db| sqlx::query_as(LIST)
            .bind(page.after.map(Text))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        let clients = rows
            .into_iter()
            .map(|row| Ok(row.read()?.client))
            .collect::<Result<_, StoreError>>()?;
        Ok(Listed::cut(clients, &page))
    }

    /// Makes a live client what `client` says; `false` if there is none. If it may do less than
    /// before, its access tokens end: what it may still do, it gets by asking anew.
    pub async fn change_client(&self, client: &Client, by: Actor, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let known: Option<ClientRow> = on!(tx.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(client.id))
            .fetch_optional(&mut *db)
            .await?);
        let Some(known) = known.map(ClientRow::read).transpose()? else {
            return Ok(false);
        };
        let changed = execute!(
            tx.link(),
            sqlx::query(CHANGE)
                .bind(Text(client.id))
                .bind(&client.name)
                .bind(Text(client.flows))
                .bind(texts(&client.redirect_uris))
                .bind(Text(client.scopes))
                .bind(Text(client.default_scopes))
                .bind(Text(client.refresh_policy))
                .bind(texts(&client.cors_origins))
                .bind(reach_column(&client.products))
        );
        if changed == 0 {
            return Ok(false);
        }
        let may_do_less = !known.client.scopes.is_subset_of(client.scopes) || known.client.products != client.products;
        if may_do_less {
            end_access_tokens(tx.link(), Of::Client(client.id)).await?;
            tx.change(Change::TokensEnded(TokensOf::Client(client.id)));
        }
        tx.audit(
            Act::new("client.change", by)
                .about("client_id", client.id)
                .about("scopes", client.scopes),
        );
        tx.commit().await?;
        Ok(true)
    }

    /// `false` if there is no such live confidential client.
    pub async fn replace_client_secret(
        &self,
        id: ClientId,
        digest: SecretDigest,
        by: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let replaced = execute!(
            tx.link(),
            sqlx::query(REPLACE_SECRET).bind(Text(id)).bind(Digest(digest))
        );
        if replaced == 1 {
            tx.audit(Act::new("client.replace-secret", by).about("client_id", id));
            tx.commit().await?;
        }
        Ok(replaced == 1)
    }

    /// Ends a client with all its tokens. Ending one that has ended changes nothing; `false` if
    /// there is no such client.
    pub async fn end_client(&self, id: ClientId, by: Actor, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let ended = execute!(tx.link(), sqlx::query(END).bind(Text(id)).bind(Millis(now)));
        if ended == 1 {
            end_families(tx.link(), Of::Client(id), EndReason::ClientEnded, now).await?;
            tx.change(Change::TokensEnded(TokensOf::Client(id)));
            tx.audit(Act::new("client.end", by).about("client_id", id));
            tx.commit().await?;
            return Ok(true);
        }
        drop(tx);
        Ok(self.client(id).await?.is_some())
    }

    /// The origins of browser apps, over all live clients.
    pub async fn cors_origins(&self) -> Result<BTreeSet<WebOrigin>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<(AsJson<Vec<String>>,)> =
            on!(conn.link(), |db| sqlx::query_as(ORIGINS).fetch_all(&mut *db).await?);
        let mut origins = BTreeSet::new();
        for (texts,) in rows {
            origins.extend(all("an origin", texts)?);
        }
        Ok(origins)
    }
}
