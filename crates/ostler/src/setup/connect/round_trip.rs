//! The proof that events find their way: one that we publish at the cloud must come to Ostler by the
//! hook. It comes from no device, so Ostler keeps it among the rejected events, where staff see it.

use std::time::Duration;

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ostler_cli::staff_api::StaffApi;
use ostler_core::port::random_bytes;
use ostler_particle::Particle;
use ostler_particle::setup::SetupRequest;
use serde_json::Value;

use super::product::ConnectedProduct;
use crate::setup::{clock, entropy};

const EVENT: &str = "ostler/round-trip";
const LOOKS_EVERY: Duration = Duration::from_millis(250);

pub async fn prove(
    api: &StaffApi,
    cloud: &Particle,
    product: &ConnectedProduct,
    request: &SetupRequest,
    patience: Duration,
) -> anyhow::Result<()> {
    let clock = clock();
    let sign = URL_SAFE_NO_PAD.encode(random_bytes::<12>(&*entropy()));
    let started_at = clock.instant();
    cloud.publish_as_maker(request, EVENT, &sign).await?;
    let waited = async {
        while !has_arrived(api, product, &sign).await? {
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(patience, waited).await {
        Ok(arrived) => arrived?,
        Err(_) => bail!(
            "the product is connected, but a test event did not come back within {} s: can the cloud reach {}?",
            patience.as_secs(),
            product.ingest_url
        ),
    }
    let took = clock.instant().saturating_duration_since(started_at);
    println!(
        "A test event came back from the cloud after {:.1} s. {} is connected.",
        took.as_secs_f64(),
        product.slug
    );
    Ok(())
}

/// By the hook, and not by the stream, which would prove nothing about it.
async fn has_arrived(api: &StaffApi, product: &ConnectedProduct, sign: &str) -> anyhow::Result<bool> {
    let newest = api
        .get_json(&["rejected-events"], &[("product", &product.id), ("limit", "50")])
        .await?;
    let is_it = |event: &Value| event["name"] == EVENT && event["body"] == sign && event["door"] == "hook";
    Ok(newest["items"].as_array().is_some_and(|items| items.iter().any(is_it)))
}
