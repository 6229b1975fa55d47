//! The address that customers use: does its name resolve, and if somebody answers there, is it us.
//!
//! That it is https unless it names loopback, the configuration demands already.

use serde::Deserialize;
use url::{Host, Url};

use super::verdict::{Verdict, chain};
use super::{server, what};

/// The beginning of RFC 8414's metadata.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
}

pub async fn look(public_url: &Url) -> Verdict {
    if let Err(why) = resolve(public_url).await {
        return Verdict::failed(what::PUBLIC_URL, format!("{public_url} has no address: {why}"))
            .hint("does the name's DNS record exist?");
    }
    match ask(public_url).await {
        Ok(verdict) => verdict,
        Err(error) if error.is_connect() && !is_about_tls(&error) => Verdict::ok(
            what::PUBLIC_URL,
            format!("{public_url} resolves; nobody answers there now"),
        ),
        Err(error) => Verdict::failed(what::PUBLIC_URL, chain(&error.without_url()))
            .hint("does the proxy pass requests on, and is its certificate one that customers trust?"),
    }
}

async fn resolve(public_url: &Url) -> Result<(), String> {
    let port = public_url.port_or_known_default().unwrap_or(443);
    match public_url.host() {
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, port)).await {
            Ok(mut addresses) => addresses
                .next()
                .map(|_| ())
                .ok_or_else(|| "the name has none".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => Ok(()),
        None => Err("it names no host".to_owned()),
    }
}

/// Ours answers `/healthz`, and its metadata names this very address as the issuer.
async fn ask(public_url: &Url) -> Result<Verdict, reqwest::Error> {
    let client = server::http().build()?;
    let at = |path: &str| format!("{}{path}", public_url.as_str().trim_end_matches('/'));
    let health = client.get(at("/healthz")).send().await?;
    if !health.status().is_success() {
        let detail = format!(
            "{public_url} answers, but not as Ostler: /healthz gave {}",
            health.status().as_u16()
        );
        return Ok(Verdict::failed(what::PUBLIC_URL, detail).hint("does the proxy pass requests on to Ostler?"));
    }
    let metadata = client.get(at("/.well-known/oauth-authorization-server")).send().await?;
    Ok(match metadata.json::<Metadata>().await {
        Ok(Metadata { issuer }) if issuer == at("") => {
            Verdict::ok(what::PUBLIC_URL, format!("Ostler answers at {public_url}"))
        }
        Ok(Metadata { issuer }) => Verdict::failed(
            what::PUBLIC_URL,
            format!("the Ostler at {public_url} calls itself {issuer}"),
        )
        .hint("restart the server, if its configuration was changed"),
        Err(_) => Verdict::failed(
            what::PUBLIC_URL,
            format!("another server than Ostler answers at {public_url}"),
        ),
    })
}

/// A refused handshake is a refused connection to the client, but not to us: somebody is there.
fn is_about_tls(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() || error.to_string().contains("certificate") {
            return true;
        }
        cause = error.source();
    }
    false
}
