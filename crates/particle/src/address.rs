//! Where a product lives: the cloud's origin and the product's name there, both parsed once.
//!
//! A secret is spoken to this origin only, so plain HTTP is taken for loopback alone. Paths are
//! built from parsed parts, each segment percent-encoded; no text of a customer becomes a path.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("must be an address such as https://api.particle.io")]
    NoUrl,
    #[error("must begin with https:// (plain http is for loopback only)")]
    NotSecure,
    #[error("must have no user, path, query or fragment")]
    MoreThanOrigin,
    #[error("must be the product's numeric id or slug at the device cloud")]
    Product,
}

/// The origin of a device cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CloudAddress {
    scheme: Scheme,
    authority: Authority,
}

impl FromStr for CloudAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let url = Url::parse(text).map_err(|_| InvalidAddress::NoUrl)?;
        let scheme = match (url.scheme(), url.host()) {
            ("https", Some(_)) => Scheme::HTTPS,
            ("http", Some(host)) if is_loopback(&host) => Scheme::HTTP,
            ("http", Some(_)) => return Err(InvalidAddress::NotSecure),
            _ => return Err(InvalidAddress::NoUrl),
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidAddress::MoreThanOrigin);
        }
        let host = url.host_str().ok_or(InvalidAddress::NoUrl)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let authority = authority.parse().map_err(|_| InvalidAddress::NoUrl)?;
        Ok(Self { scheme, authority })
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl CloudAddress {
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What a connector is asked to connect to.
    pub(crate) fn uri(&self) -> Uri {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query("/")
            .build()
            .expect("scheme, authority and a slash make a URI")
    }
}

impl fmt::Display for CloudAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// A product's numeric id or slug at the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudProduct(Box<str>);

impl FromStr for CloudProduct {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if (1..=128).contains(&text.len()) && text.bytes().all(is_word) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAddress::Product)
        }
    }
}

impl CloudProduct {
    /// `/v1/products/{product}`, from where everything else of the product is reached.
    pub(crate) fn path(&self) -> ApiPath {
        // Room for what follows: a path that grew word by word was copied five times.
        let mut path = String::with_capacity(128);
        path.push_str("/v1/products");
        ApiPath(path).segment(&self.0)
    }
}

impl fmt::Display for CloudProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 3986 §2.3, without the dot: a segment of dots alone would climb.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A path at the API, and perhaps a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiPath(String);

impl ApiPath {
    /// `POST /oauth/token`, the only path that is not under `/v1` (§1).
    pub(crate) fn token() -> Self {
        Self(String::from("/oauth/token"))
    }

    /// The token that the request itself carries (§2.3).
    pub(crate) fn current_token() -> Self {
        Self(String::from("/v1/access_tokens/current"))
    }

    pub(crate) fn segment(mut self, text: &str) -> Self {
        self.0.push('/');
        self.0.extend(utf8_percent_encode(text, ESCAPED));
        self
    }

    pub(crate) fn query(mut self, key: &'static str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(key);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, ESCAPED));
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for text in [
            "https://api.particle.io",
            "http://127.0.0.1:8081",
            "http://localhost:1/",
            "http://[::1]:9",
        ] {
            assert!(text.parse::<CloudAddress>().is_ok(), "{text}");
        }
        let table = [
            ("http://api.particle.io", InvalidAddress::NotSecure),
            ("http://127.0.0.1.example.com", InvalidAddress::NotSecure),
            ("ftp://127.0.0.1", InvalidAddress::NoUrl),
            ("api.particle.io", InvalidAddress::NoUrl),
            ("https://api.particle.io/v1", InvalidAddress::MoreThanOrigin),
            ("https://user@api.particle.io", InvalidAddress::MoreThanOrigin),
        ];
        for (text, fault) in table {
            assert_eq!(text.parse::<CloudAddress>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        let product: CloudProduct = "40123".parse().unwrap();
        let path = product.path().segment("..").segment("a/b?c#d").query("page", "1&x=2");
        assert_eq!(path.as_str(), "/v1/products/40123/%2E%2E/a%2Fb%3Fc%23d?page=1%26x%3D2");
        for text in ["", "..", "a/b", "ä"] {
            assert_eq!(text.parse::<CloudProduct>(), Err(InvalidAddress::Product), "{text}");
        }
    }
}
