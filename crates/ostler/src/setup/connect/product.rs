//! The product as Ostler knows it, read over the staff API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use ostler_app::admin::hook_prefixes;
use ostler_cli::failure::Failure;
use ostler_cli::staff_api::StaffApi;
use ostler_core::product_file::ProductFile;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(10);

pub struct ConnectedProduct {
    pub id: String,
    pub slug: String,
    /// Where the cloud's hooks must deliver to.
    pub ingest_url: String,
    pub event_prefixes: Vec<String>,
}

/// What is known of a connection from outside: not its secret.
#[derive(Deserialize)]
pub struct KnownConnection {
    pub base_url: String,
    pub product: String,
}

/// RFC 8414 §2.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
}

impl ConnectedProduct {
    pub async fn find(api: &StaffApi, server: &Url, slug: &str) -> anyhow::Result<Self> {
        let products = api.list(&["products"]).await?;
        let Some(product) = products
            .into_iter()
            .find(|product| product["slug"] == slug || product["id"] == slug)
        else {
            return Err(Failure::NoSuchProduct(slug.to_owned()).into());
        };
        let id = text(&product, "id")?;
        let slug = text(&product, "slug")?;
        let file = api
            .get(&["products", &id, "export"])
            .await?
            .text()
            .await
            .context("the product's file was not sent whole")?;
        let file = ProductFile::from_toml(&file).context("the server's product cannot be read")?;
        let declaration = file
            .check()
            .map_err(|fault| anyhow::anyhow!("the server's product is none that this version knows: {fault}"))?;
        Ok(Self {
            ingest_url: format!("{}/ingest/particle/{slug}", issuer(server).await?),
            event_prefixes: hook_prefixes(&declaration),
            id,
            slug,
        })
    }

    /// `None` if the product has none yet.
    pub async fn known_connection(&self, api: &StaffApi) -> anyhow::Result<Option<KnownConnection>> {
        match api.get_json(&["products", &self.id, "cloud"], &[]).await {
            Ok(known) => Ok(Some(
                serde_json::from_value(known).context("the server's connection cannot be read")?,
            )),
            Err(Failure::Refused(problem)) if problem.code() == "not-found" => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// The server's own public address, which may not be the one by which we reach it.
async fn issuer(server: &Url) -> anyhow::Result<String> {
    let address = format!(
        "{}/.well-known/oauth-authorization-server",
        server.as_str().trim_end_matches('/')
    );
    let client = reqwest::Client::builder().timeout(DEADLINE).build()?;
    let answer = client
        .get(&address)
        .send()
        .await
        .with_context(|| format!("{address} cannot be read"))?;
    let metadata: Metadata = answer
        .json()
        .await
        .with_context(|| format!("{address} is not one of Ostler's"))?;
    Ok(metadata.issuer)
}

fn text(product: &Value, member: &str) -> anyhow::Result<String> {
    match product[member].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("the server's list of products has one without `{member}`"),
    }
}
