//! Where an authorization response may go, and which origins may call. Compared as text: the
//! parser only judges whether something may be registered, never whether two are "the same".

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// A registered redirection endpoint (RFC 6749 §3.1.2), kept exactly as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedirectUri(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedirectUri {
    #[error("must be an absolute URL of at most 2048 characters, without spaces or a fragment")]
    Shape,
    #[error("must use https, http on a loopback address, or a scheme of the app's own with a dot in it")]
    Scheme,
    #[error("must not contain a user name or password")]
    UserInfo,
}

const LEN_MAX: usize = 2048;

impl RedirectUri {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 8252 §7.3: a native app on loopback cannot know its port beforehand. Everything else
    /// must match to the letter. `localhost` is a name, not an address (§8.3), so it is exact.
    pub(super) fn matches_but_for_loopback_port(&self, uri: &str) -> bool {
        match (LoopbackUri::read(&self.0), LoopbackUri::read(uri)) {
            (Some(registered), Some(asked)) => registered == asked,
            (Some(_) | None, _) => false,
        }
    }

    /// The origin of a web address, for a page's `form-action`; `None` for an app's own scheme.
    pub fn web_origin(uri: &str) -> Option<String> {
        let url = Url::parse(uri).ok()?;
        matches!(url.scheme(), "https" | "http").then(|| url.origin().ascii_serialization())
    }
}

/// `http://127.0.0.1:PORT/rest` without the port.
#[derive(PartialEq, Eq)]
struct LoopbackUri<'a> {
    address: &'static str,
    rest: &'a str,
}

impl<'a> LoopbackUri<'a> {
    fn read(uri: &'a str) -> Option<Self> {
        ["http://127.0.0.1", "http://[::1]"].into_iter().find_map(|address| {
            let after = uri.strip_prefix(address)?;
            let rest = match after.strip_prefix(':') {
                Some(port_and_rest) => {
                    let digits = port_and_rest.bytes().take_while(u8::is_ascii_digit).count();
                    port_and_rest[..digits].parse::<u16>().ok()?;
                    &port_and_rest[digits..]
                }
                None => after,
            };
            let is_whole_host = rest.is_empty() || rest.starts_with(['/', '?']);
            is_whole_host.then_some(Self { address, rest })
        })
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'));
        if text.len() > LEN_MAX || !is_plain {
            return Err(InvalidRedirectUri::Shape);
        }
        let url = Url::parse(text).map_err(|_| InvalidRedirectUri::Shape)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidRedirectUri::UserInfo);
        }
        let may = match url.scheme() {
            "https" => true,
            "http" => is_loopback(&url),
            // RFC 8252 §7.1: a reversed domain name, so that two apps do not meet by accident.
            own => own.contains('.'),
        };
        may.then(|| Self(text.into())).ok_or(InvalidRedirectUri::Scheme)
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The origin of a browser app as browsers write it in `Origin` (RFC 6454 §6.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebOrigin(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an origin such as https://app.example.com: https (http on loopback), host, port, no path")]
pub struct InvalidWebOrigin;

impl WebOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebOrigin {
    type Err = InvalidWebOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidWebOrigin> {
        let url = Url::parse(text).map_err(|_| InvalidWebOrigin)?;
        let may = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if !may || url.origin().ascii_serialization() != text {
            return Err(InvalidWebOrigin);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for text in [
            "https://app.example.com/callback",
            "https://app.example.com/callback?tenant=1",
            "http://127.0.0.1/callback",
            "http://[::1]:4000/",
            "http://localhost:4000/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(text.parse::<RedirectUri>().unwrap().as_str(), text);
        }
        for (text, reason) in [
            ("", InvalidRedirectUri::Shape),
            ("/callback", InvalidRedirectUri::Shape),
            ("https://app.example.com/#x", InvalidRedirectUri::Shape),
            ("https://app.example.com/a b", InvalidRedirectUri::Shape),
            ("https://app.example.com\\@evil.example", InvalidRedirectUri::Shape),
            ("http://app.example.com/", InvalidRedirectUri::Scheme),
            ("javascript:alert(1)", InvalidRedirectUri::Scheme),
            ("data:text/html,x", InvalidRedirectUri::Scheme),
            ("https://user@app.example.com/", InvalidRedirectUri::UserInfo),
        ] {
            assert_eq!(text.parse::<RedirectUri>(), Err(reason), "{text}");
        }
    }

    #[test]
    fn only_the_port_of_a_loopback_address_is_free() {
        let registered: RedirectUri = "http://127.0.0.1/callback?a=1".parse().unwrap();
        assert!(registered.matches_but_for_loopback_port("http://127.0.0.1:50123/callback?a=1"));
        for uri in [
            "http://127.0.0.1:50123/callback",
            "http://127.0.0.1:99999/callback?a=1",
            "http://127.0.0.1:1@evil.example/callback?a=1",
            "http://127.0.0.1.evil.example/callback?a=1",
            "http://[::1]:50123/callback?a=1",
            "http://localhost:50123/callback?a=1",
            "https://127.0.0.1:50123/callback?a=1",
        ] {
            assert!(!registered.matches_but_for_loopback_port(uri), "{uri}");
        }
        let web: RedirectUri = "https://app.example.com/callback".parse().unwrap();
        assert!(!web.matches_but_for_loopback_port("https://app.example.com:444/callback"));
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert!("https://app.example.com".parse::<WebOrigin>().is_ok());
        assert!("http://localhost:5173".parse::<WebOrigin>().is_ok());
        for text in [
            "*",
            "null",
            "https://app.example.com/",
            "https://app.example.com:443",
            "http://app.example.com",
            "https://APP.example.com",
        ] {
            assert_eq!(text.parse::<WebOrigin>(), Err(InvalidWebOrigin), "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_uri_is_taken_for_another(rest in "[:@/0-9a-z.?\\\\#%\\[\\]]{0,24}") {
            let registered: RedirectUri = "http://127.0.0.1/cb".parse().unwrap();
            let uri = format!("http://127.0.0.1{rest}");
            if registered.matches_but_for_loopback_port(&uri) {
                let url = Url::parse(&uri).unwrap();
                proptest::prop_assert_eq!(url.host_str(), Some("127.0.0.1"));
                proptest::prop_assert_eq!((url.path(), url.query(), url.username()), ("/cb", None, ""));
            }
        }
    }
}
