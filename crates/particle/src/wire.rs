//! Particle's JSON as Particle spells it. Read leniently: members come and go without notice, may
//! be null, and error bodies have at least five shapes (§1, §3.2).

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mint::Minted;

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// §2.2
#[derive(Deserialize)]
pub(crate) struct TokenReply {
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
    #[serde(default)]
    expires_in: Option<Value>,
}

impl TokenReply {
    pub(crate) fn minted(self) -> Minted {
        let seconds = match &self.expires_in {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
        };
        Minted {
            token: self.access_token,
            // 0, or none at all, is a token that never expires.
            expires_in: seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        }
    }
}

impl fmt::Debug for TokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenReply(…)")
    }
}

/// §5.3
#[derive(Serialize)]
pub(crate) struct FunctionRequest<'a> {
    pub arg: &'a str,
}

/// Any answer to a call or read: what is there tells which it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PrimitiveReply {
    pub ok: Option<Value>,
    pub return_value: Option<Value>,
    /// A null is a value here, not an absent member.
    #[serde(deserialize_with = "present")]
    pub result: Option<Value>,
    pub error: Option<Value>,
    pub error_description: Option<IgnoredAny>,
    pub info: Option<IgnoredAny>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl PrimitiveReply {
    pub(crate) fn says_not_ok(&self) -> bool {
        matches!(self.ok, Some(Value::Bool(false)))
    }

    /// `error` where it is one of OAuth's codes rather than a sentence.
    pub(crate) fn error_code(&self) -> Option<&str> {
        self.error.as_ref()?.as_str()
    }
}

/// §5.1
#[derive(Debug, Deserialize)]
pub(crate) struct Device {
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    /// Both occur; newer servers write the first.
    #[serde(default)]
    pub online: Option<bool>,
    #[serde(default)]
    pub connected: Option<bool>,
    #[serde(default)]
    pub last_heard: Option<String>,
    #[serde(default)]
    pub owner: Option<IgnoredAny>,
    #[serde(default)]
    pub user_id: Option<IgnoredAny>,
    #[serde(default)]
    pub customer_id: Option<IgnoredAny>,
    #[serde(default)]
    pub quarantined: Option<bool>,
}

/// §5.2, the product's list.
#[derive(Debug, Deserialize)]
pub(crate) struct DevicePage {
    pub devices: Vec<Device>,
    #[serde(default)]
    pub meta: Option<PageMeta>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PageMeta {
    #[serde(default)]
    pub total_pages: Option<u32>,
}

/// §8.2
#[derive(Serialize)]
pub(crate) struct PublishRequest<'a> {
    pub name: &'a str,
    pub data: &'a str,
    pub private: bool,
    pub ttl: u32,
}

/// §8.1, the `data:` line of an event.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamedEvent {
    #[serde(default)]
    pub data: Option<Value>,
    pub published_at: String,
    #[serde(default)]
    pub coreid: Option<String>,
}

/// §9.2, with the recommended hook's keys or the default ones.
#[derive(Debug, Deserialize)]
pub(crate) struct HookedEvent {
    pub event: String,
    #[serde(default)]
    pub data: Option<Value>,
    pub published_at: String,
    #[serde(default)]
    pub coreid: Option<String>,
    #[serde(default)]
    pub id: Option<String>,
}

/// §9.1, an integration as it is listed.
#[derive(Debug, Deserialize)]
pub(crate) struct Integration {
    pub id: String,
    #[serde(default)]
    pub integration_type: Option<String>,
    #[serde(default)]
    pub event: Option<String>,
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default, rename = "requestType")]
    pub request_type: Option<String>,
    #[serde(default, rename = "noDefaults")]
    pub no_defaults: Option<bool>,
    #[serde(default)]
    pub disabled: Option<bool>,
    #[serde(default)]
    pub headers: Option<Value>,
    #[serde(default)]
    pub json: Option<Value>,
}

/// §9.1: a bare array, or one in an envelope.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum IntegrationList {
    Bare(Vec<Integration>),
    Integrations { integrations: Vec<Integration> },
    Webhooks { webhooks: Vec<Integration> },
}

impl IntegrationList {
    pub(crate) fn into_inner(self) -> Vec<Integration> {
        match self {
            Self::Bare(list) | Self::Integrations { integrations: list } | Self::Webhooks { webhooks: list } => list,
        }
    }
}

/// §9.2, the recommended hook.
#[derive(Serialize)]
pub(crate) struct IntegrationRequest<'a> {
    pub integration_type: &'static str,
    pub name: &'a str,
    pub event: &'a str,
    pub url: &'a str,
    #[serde(rename = "requestType")]
    pub request_type: &'static str,
    #[serde(rename = "noDefaults")]
    pub no_defaults: bool,
    #[serde(rename = "rejectUnauthorized")]
    pub reject_unauthorized: bool,
    pub headers: Value,
    pub json: Value,
}

/// §2.5, a member of the product's team.
#[derive(Debug, Deserialize)]
pub(crate) struct TeamMember {
    pub username: String,
    #[serde(default)]
    pub is_programmatic: Option<bool>,
    #[serde(default)]
    pub friendly_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TeamList {
    pub team: Vec<TeamMember>,
}

#[derive(Serialize)]
pub(crate) struct ApiUserRequest<'a> {
    pub friendly_name: &'a str,
    pub scopes: &'a [&'a str],
}

/// `created` is documented; an update answers likewise.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiUserReply {
    #[serde(alias = "updated")]
    pub created: ApiUser,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ApiUser {
    #[serde(default)]
    pub tokens: Vec<ApiUserToken>,
}

#[derive(Deserialize)]
pub(crate) struct ApiUserToken {
    #[serde(deserialize_with = "secret")]
    pub token: SecretString,
}

impl fmt::Debug for ApiUserToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiUserToken(…)")
    }
}
