//! Asking a server of ours that runs on this machine, past any proxy, at the address it listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ostler_server::config::{Config, Tls};

use super::verdict::chain;

const DEADLINE: Duration = Duration::from_secs(5);

/// For questions to servers that are not ours to trust: no redirects, no proxy, and soon an end.
pub fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// `Err` says why not.
pub async fn ask_readiness(config: &Config) -> Result<(), String> {
    let (client, url) = way_in(config)?;
    let answer = client.get(url).send().await.map_err(|error| chain(&error))?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("/readyz answered {}", status.as_u16()))
    }
}

/// The operators' own address is never TLS. The public one is asked by the name on its certificate,
/// which is trusted here because it is the configured one.
fn way_in(config: &Config) -> Result<(reqwest::Client, String), String> {
    let public = config
        .listen
        .first()
        .copied()
        .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
    match (config.metrics.listen, &config.tls) {
        (Some(address), _) => Ok((built(http())?, format!("http://{}/readyz", reachable(address)))),
        (None, None) => Ok((built(http())?, format!("http://{}/readyz", reachable(public)))),
        (None, Some(tls)) => {
            let host = config.public_url.host_str().unwrap_or_default();
            let address = reachable(public);
            let client = http().resolve(host, address).tls_certs_only(trusted(tls)?);
            Ok((built(client)?, format!("https://{host}:{}/readyz", address.port())))
        }
    }
}

fn built(client: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    client.build().map_err(|error| chain(&error))
}

fn trusted(tls: &Tls) -> Result<Vec<reqwest::Certificate>, String> {
    let file = &tls.certificate_file;
    let pem = std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| chain(&error))
}

/// "All addresses" can be listened on but not connected to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_by_loopback() {
        for (listened, asked) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(reachable(listened.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
