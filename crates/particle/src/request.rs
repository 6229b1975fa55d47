//! Requests to the cloud, and how they are counted. What they mean stands where they are made.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use metrics::Counter;
use serde::Serialize;

use crate::address::ApiPath;
use crate::answer::Lost;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("ostler/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What a request is for, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Call,
    Read,
    Device,
    Devices,
    Token,
    Stream,
    Publish,
    Hooks,
    Team,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Read => "read",
            Self::Device => "device",
            Self::Devices => "devices",
            Self::Token => "token",
            Self::Stream => "stream",
            Self::Publish => "publish",
            Self::Hooks => "hooks",
            Self::Team => "team",
        }
    }

    /// A cloud that says nothing for longer is sick. A device may be silent for 30 s before the
    /// cloud gives up on it, and that says nothing about the cloud (§5.3, §14.2).
    pub(crate) const fn patience(self) -> Duration {
        match self {
            Self::Call | Self::Read => Duration::from_secs(35),
            Self::Device | Self::Devices | Self::Token | Self::Stream | Self::Publish | Self::Hooks | Self::Team => {
                Duration::from_secs(5)
            }
        }
    }

    pub(crate) fn count_answer(self, status: StatusCode) {
        self.count(match status.as_u16() {
            200..=299 => Class::Success,
            300..=399 => Class::Redirection,
            429 | 529 => Class::Limited,
            400..=499 => Class::ClientError,
            500..=599 => Class::ServerError,
            _ => Class::Other,
        });
    }

    pub(crate) fn count_lost(self, lost: Lost) {
        self.count(match lost {
            Lost::NeverLeft => Class::NeverLeft,
            Lost::AfterDeparture => Class::Lost,
            Lost::TooLarge => Class::TooLarge,
            Lost::Deadline => Class::Deadline,
        });
    }

    pub(crate) fn count_no_connection(self) {
        self.count(Class::NoConnection);
    }

    fn count(self, class: Class) {
        static COUNTERS: [[OnceLock<Counter>; CLASSES]; PURPOSES] =
            [const { [const { OnceLock::new() }; CLASSES] }; PURPOSES];
        // Looked up once: making up the name of a series costs more than all else that is counted here.
        let counter = COUNTERS[self as usize][class as usize].get_or_init(
            || metrics::counter!("ostler_cloud_requests_total", "purpose" => self.as_str(), "class" => class.as_str()),
        );
        counter.increment(1);
    }
}

/// How a request ended, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Success,
    Redirection,
    Limited,
    ClientError,
    ServerError,
    Other,
    NeverLeft,
    Lost,
    TooLarge,
    Deadline,
    NoConnection,
}

const PURPOSES: usize = Purpose::Team as usize + 1;
const CLASSES: usize = Class::NoConnection as usize + 1;

impl Class {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::Limited => "limited",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Other => "other",
            Self::NeverLeft => "never-left",
            Self::Lost => "lost",
            Self::TooLarge => "too-large",
            Self::Deadline => "deadline",
            Self::NoConnection => "no-connection",
        }
    }
}

/// A request without its credential, so that it can be built again with another one.
#[derive(Debug, Clone)]
pub(crate) struct CloudRequest {
    pub purpose: Purpose,
    method: Method,
    path: ApiPath,
    body: Option<(HeaderValue, Bytes)>,
}

impl CloudRequest {
    pub(crate) fn get(purpose: Purpose, path: ApiPath) -> Self {
        Self::new(purpose, Method::GET, path)
    }

    pub(crate) fn new(purpose: Purpose, method: Method, path: ApiPath) -> Self {
        Self {
            purpose,
            method,
            path,
            body: None,
        }
    }

    pub(crate) fn json<T: Serialize>(purpose: Purpose, method: Method, path: ApiPath, body: &T) -> Self {
        let body = serde_json::to_vec(body).expect("our wire types have string keys and no failing serialisers");
        Self {
            body: Some((JSON, body.into())),
            ..Self::new(purpose, method, path)
        }
    }

    /// `POST /oauth/token` takes a form and nothing else (§2.2).
    pub(crate) fn token_form(fields: &[(&str, &str)]) -> Self {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Self {
            body: Some((FORM, form.into())),
            ..Self::new(Purpose::Token, Method::POST, ApiPath::token())
        }
    }

    pub(crate) fn build(&self, authorization: Option<&HeaderValue>) -> Request<Full<Bytes>> {
        let (content_type, body) = match &self.body {
            Some((content_type, body)) => (Some(content_type.clone()), body.clone()),
            None => (None, Bytes::new()),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.as_str().parse().expect("an ApiPath is percent-encoded ASCII");
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, AGENT);
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }
}
