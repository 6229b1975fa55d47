//! Asking a server of ours that runs on this machine, past any proxy, at the address it listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ostler_server::config::Config;

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
    let (client, url) = way_in(config).map_err(|error| chain(&error))?;
    let answer = client.get(url).send().await.map_err(|error| chain(&error))?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("/readyz answered {}", status.as_u16()))
    }
}

/// The operators' own address is never TLS; the public one is by the name on its certificate.
fn way_in(config: &Config) -> Result<(reqwest::Client, String), reqwest::Error> {
    let public = config
        .listen
        .first()
        .copied()
        .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
    match (config.metrics.listen, &config.tls) {
        (Some(address), _) => Ok((http().build()?, format!("http://{}/readyz", reachable(address)))),
        (None, None) => Ok((http().build()?, format!("http://{}/readyz", reachable(public)))),
        (None, Some(_)) => {
            let host = config.public_url.host_str().unwrap_or_default();
            let address = reachable(public);
            let client = http().resolve(host, address).build()?;
            Ok((client, format!("https://{host}:{}/readyz", address.port())))
        }
    }
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
