//! The rules by which a client is registered or changed, checked together: every fault is
//! reported, each with its JSON pointer.

use std::collections::BTreeSet;

use super::{Client, ClientKind, Flow, RedirectUri, RefreshPolicy, WebOrigin};
use crate::caller::ProductReach;
use crate::id::{ClientId, ProductId};
use crate::scope::ScopeSet;
use crate::time::Timestamp;

/// What somebody asks to have registered; [`ClientRegistration::check`] makes a client of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRegistration {
    pub name: String,
    pub kind: ClientKind,
    pub flows: Vec<String>,
    pub redirect_uris: Vec<String>,
    pub scopes: Vec<String>,
    /// All of `scopes` if absent.
    pub default_scopes: Option<Vec<String>>,
    pub refresh_policy: RefreshPolicy,
    pub cors_origins: Vec<String>,
    /// All products if absent.
    pub products: Option<BTreeSet<ProductId>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationFault {
    /// RFC 6901.
    pub pointer: String,
    pub rule: String,
}

const NAME_CHARS_MAX: usize = 100;
const LIST_MAX: usize = 50;

impl ClientRegistration {
    pub fn of(client: &Client) -> Self {
        let words = |scopes: ScopeSet| scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        Self {
            name: client.name.clone(),
            kind: client.kind,
            flows: client.flows.iter().map(|flow| flow.as_str().to_owned()).collect(),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            scopes: words(client.scopes),
            default_scopes: Some(words(client.default_scopes)),
            refresh_policy: client.refresh_policy,
            cors_origins: client.cors_origins.iter().map(WebOrigin::to_string).collect(),
            products: match &client.products {
                ProductReach::All => None,
                ProductReach::Only(products) => Some(products.clone()),
            },
        }
    }

    pub fn check(self, id: ClientId, created_at: Timestamp) -> Result<Client, Vec<RegistrationFault>> {
        let mut faults = Faults::default();
        let name = self.name.trim();
        let client = Client {
            id,
            name: name.to_owned(),
            kind: self.kind,
            flows: faults.each("/flows", &self.flows).collect(),
            redirect_uris: faults.each("/redirect_uris", &self.redirect_uris).collect(),
            scopes: faults.each("/scopes", &self.scopes).collect(),
            default_scopes: match &self.default_scopes {
                Some(words) => faults.each("/default_scopes", words).collect(),
                None => self.scopes.iter().filter_map(|word| word.parse().ok()).collect(),
            },
            refresh_policy: self.refresh_policy,
            cors_origins: faults.each("/cors_origins", &self.cors_origins).collect(),
            products: self.products.map_or(ProductReach::All, ProductReach::Only),
            created_at,
            ended_at: None,
        };
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            faults.add("/name", format!("must have 1 to {NAME_CHARS_MAX} characters"));
        }
        if self.flows.is_empty() {
            faults.add("/flows", "must name at least one");
        }
        if self.redirect_uris.is_empty() && client.flows.contains(Flow::AuthorizationCode) {
            faults.add(
                "/redirect_uris",
                "must name at least one for the flow `authorization_code`",
            );
        }
        client.check_together(&mut faults);
        if faults.0.is_empty() { Ok(client) } else { Err(faults.0) }
    }
}

impl Client {
    fn check_together(&self, faults: &mut Faults) {
        let is_public = self.kind == ClientKind::Public;
        let is_linking = self.refresh_policy == RefreshPolicy::Linking;
        for (broken, pointer, rule) in [
            (
                is_public && self.flows.contains(Flow::ClientCredentials),
                "/flows",
                "`client_credentials` needs a confidential client (RFC 6749 §4.4)",
            ),
            (
                is_public && is_linking,
                "/refresh_policy",
                "`linking` needs a confidential client",
            ),
            (
                (is_public || is_linking) && self.scopes.has_machine_scope(),
                "/scopes",
                "`admin:*` and `fleet:*` are never granted to public or linking clients",
            ),
            (
                !self.default_scopes.is_subset_of(self.scopes),
                "/default_scopes",
                "must be among `scopes`",
            ),
        ] {
            if broken {
                faults.add(pointer, rule);
            }
        }
    }
}

#[derive(Default)]
struct Faults(Vec<RegistrationFault>);

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, rule: impl Into<String>) {
        self.0.push(RegistrationFault {
            pointer: pointer.into(),
            rule: rule.into(),
        });
    }

    /// Reads each text of a list, noting those that cannot be read.
    fn each<T>(&mut self, pointer: &str, texts: &[String]) -> std::vec::IntoIter<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        if texts.len() > LIST_MAX {
            self.add(pointer, format!("must have at most {LIST_MAX} entries"));
            return Vec::new().into_iter();
        }
        let mut read = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match text.parse::<T>() {
                Ok(value) => read.push(value),
                Err(error) => self.add(format!("{pointer}/{index}"), error.to_string()),
            }
        }
        read.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Entropy;

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn app() -> ClientRegistration {
        ClientRegistration {
            name: "App".into(),
            kind: ClientKind::Public,
            flows: texts(&["authorization_code"]),
            redirect_uris: texts(&["com.example.app:/callback"]),
            scopes: texts(&["devices:read", "offline_access"]),
            default_scopes: None,
            refresh_policy: RefreshPolicy::Rotating,
            cors_origins: vec![],
            products: None,
        }
    }

    fn check(registration: ClientRegistration) -> Result<Client, Vec<String>> {
        let now = Timestamp::from_millis(0);
        registration
            .check(ClientId::draw(now, &Repeating), now)
            .map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    #[test]
    fn a_sound_registration_becomes_a_client_and_back() {
        let client = check(app()).unwrap();
        assert_eq!(client.default_scopes, client.scopes);
        assert!(client.must_use_pkce() && client.is_live());
        assert_eq!(check(ClientRegistration::of(&client)).unwrap(), client);
    }

    #[test]
    fn each_broken_rule_is_named_with_its_place() {
        let linking = ClientRegistration {
            kind: ClientKind::Confidential,
            refresh_policy: RefreshPolicy::Linking,
            ..app()
        };
        for (registration, expected) in [
            (
                ClientRegistration {
                    name: " ".into(),
                    ..app()
                },
                vec!["/name"],
            ),
            (ClientRegistration { flows: vec![], ..app() }, vec!["/flows"]),
            (
                ClientRegistration {
                    flows: texts(&["implicit"]),
                    ..app()
                },
                vec!["/flows/0"],
            ),
            (
                ClientRegistration {
                    flows: texts(&["authorization_code", "client_credentials"]),
                    ..app()
                },
                vec!["/flows"],
            ),
            (
                ClientRegistration {
                    redirect_uris: vec![],
                    ..app()
                },
                vec!["/redirect_uris"],
            ),
            (
                ClientRegistration {
                    redirect_uris: texts(&["https://a.example/", "http://a.example/"]),
                    ..app()
                },
                vec!["/redirect_uris/1"],
            ),
            (
                ClientRegistration {
                    scopes: texts(&["admin:read"]),
                    ..app()
                },
                vec!["/scopes"],
            ),
            (
                ClientRegistration {
                    scopes: texts(&["fleet:read"]),
                    ..linking
                },
                vec!["/scopes"],
            ),
            (
                ClientRegistration {
                    default_scopes: Some(texts(&["account"])),
                    ..app()
                },
                vec!["/default_scopes"],
            ),
            (
                ClientRegistration {
                    refresh_policy: RefreshPolicy::Linking,
                    ..app()
                },
                vec!["/refresh_policy"],
            ),
            (
                ClientRegistration {
                    cors_origins: texts(&["*"]),
                    ..app()
                },
                vec!["/cors_origins/0"],
            ),
        ] {
            assert_eq!(check(registration).unwrap_err(), expected);
        }
    }
}
