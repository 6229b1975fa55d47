//! Who is at the other end: the peer, or whom a trusted proxy says it stands for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::Request;
use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use crate::network::{Network, counted_as};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection; put into each request by the listener.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The client's address. Personal data: for limits, never for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    pub fn of(request: &Request, trusted_proxies: &[Network]) -> Self {
        // Without a listener (a router called in process) the caller is this very process.
        let peer = request
            .extensions()
            .get::<Peer>()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
        Self(told_by_proxies(peer.to_canonical(), request.headers(), trusted_proxies))
    }

    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// What limits count by: an IPv6 /64 is one.
    pub fn counted(self) -> IpAddr {
        counted_as(self.0)
    }
}

/// Walks from us outwards and stops at the first address that is not one of our proxies: what lies
/// beyond it, anybody could have written.
///
/// A proxy writes one of the two fields and may pass on the other as the client sent it. When both
/// are there and disagree, neither is believed, and the request counts as the proxy's own.
fn told_by_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let outermost = |hops: Vec<Option<IpAddr>>| {
        let mut nearest = peer;
        for hop in hops.into_iter().rev() {
            // A hop that hides itself ("unknown", "_name") hides what is behind it as well.
            let Some(address) = hop else { break };
            nearest = address;
            if !is_trusted(address) {
                break;
            }
        }
        nearest
    };
    let told = [forwarded(headers), x_forwarded_for(headers)].map(|hops| (!hops.is_empty()).then(|| outermost(hops)));
    match told {
        [Some(one), Some(other)] if one != other => peer,
        [Some(client), _] | [None, Some(client)] => client,
        [None, None] => peer,
    }
}

/// RFC 7239 §4: elements separated by commas, each with `for=`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    elements(headers, &FORWARDED)
        .map(|element| {
            let node = element.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
            })?;
            node_address(node.trim_matches('"'))
        })
        .collect()
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    elements(headers, &X_FORWARDED_FOR).map(node_address).collect()
}

fn elements<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    let fields = headers.get_all(name).iter().map(|field| field.to_str().unwrap_or(""));
    fields.flat_map(|field| field.split(',').map(str::trim))
}

/// `192.0.2.1`, `192.0.2.1:47011`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`
fn node_address(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || node.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    node.parse()
        .ok()
        .or_else(with_port)
        .or_else(bracketed)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, fields: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        told_by_proxies(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let claim = [("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client("10.0.0.1", &claim), "203.0.113.7");
        assert_eq!(client("198.51.100.1", &claim), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_the_client_wrote_in_front_counts_for_nothing() {
        assert_eq!(
            client("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.0.0.2")]),
            "203.0.113.7"
        );
        assert_eq!(
            client(
                "10.0.0.1",
                &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.7")]
            ),
            "203.0.113.7"
        );
        assert_eq!(
            client("10.0.0.1", &[("forwarded", "for=1.1.1.1, for=unknown")]),
            "10.0.0.1"
        );
    }

    #[test]
    fn every_spelling_of_forwarded_is_read() {
        for (field, expected) in [
            ("for=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"),
            ("For=\"203.0.113.7:4711\"", "203.0.113.7"),
            ("proto=https;for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=\"[2001:db8::7]\"", "2001:db8::7"),
            ("for=_hidden", "fd00::1"),
            ("nonsense", "fd00::1"),
        ] {
            assert_eq!(client("fd00::1", &[("forwarded", field)]), expected, "{field}");
        }
    }

    #[test]
    fn a_field_that_the_proxy_passed_on_cannot_outvote_the_proxys_own() {
        let both = [("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client("10.0.0.1", &both), "10.0.0.1");
        let agreeing = [("forwarded", "for=203.0.113.7"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(client("10.0.0.1", &agreeing), "203.0.113.7");
    }
}
