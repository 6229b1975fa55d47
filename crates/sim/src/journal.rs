//! What devices really did and what was asked of the cloud, in order: the witness that tests and the
//! control API question. Bounded; tokens in paths are masked.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::id::DeviceId;

const ACTS_MAX: usize = 100_000;
const REQUESTS_MAX: usize = 20_000;

/// By whose right a function was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    Product,
    ApiUser,
    Customer,
    User,
}

/// A function that a device has executed.
#[derive(Clone, Debug)]
pub struct Act {
    pub seq: u64,
    pub at: i64,
    /// When the request arrived at the cloud; promises about revoked rights are judged by it.
    pub request_at: i64,
    pub device_id: DeviceId,
    pub function: String,
    pub argument: String,
    pub return_value: i32,
    pub credential: CredentialKind,
}

impl Act {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "seq": self.seq,
            "at": rfc3339(self.at),
            "request_at": rfc3339(self.request_at),
            "device_id": self.device_id,
            "function": self.function,
            "argument": self.argument,
            "return_value": self.return_value,
            "credential": self.credential,
        })
    }
}

/// One request to the API, from its arrival on.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    pub seq: u64,
    pub at: i64,
    pub method: String,
    pub path: String,
    /// None while it is being answered, and for ever if the caller hung up first.
    pub status: Option<u16>,
}

impl RequestRecord {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "seq": self.seq,
            "at": rfc3339(self.at),
            "method": self.method,
            "path": self.path,
            "status": self.status,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    acts: VecDeque<Act>,
    requests: VecDeque<RequestRecord>,
    pub(crate) last_act: u64,
    pub(crate) last_request: u64,
}

impl Journal {
    /// Numbers the act and keeps it.
    pub(crate) fn acted(&mut self, act: Act) {
        self.last_act += 1;
        self.acts.push_back(Act {
            seq: self.last_act,
            ..act
        });
        if self.acts.len() > ACTS_MAX {
            self.acts.pop_front();
        }
    }

    /// Notes the arrival; the number is for [`Self::answered`].
    pub(crate) fn requested(&mut self, at: i64, method: &str, path: &str) -> u64 {
        self.last_request += 1;
        self.requests.push_back(RequestRecord {
            seq: self.last_request,
            at,
            method: method.to_owned(),
            path: masked(path),
            status: None,
        });
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
        }
        self.last_request
    }

    pub(crate) fn answered(&mut self, seq: u64, status: u16) {
        // The newest stand at the back, and most answers are quick.
        if let Some(request) = self.requests.iter_mut().rev().find(|one| one.seq == seq) {
            request.status = Some(status);
        }
    }

    pub(crate) fn acts_after(&self, seq: u64) -> Vec<Act> {
        self.acts.iter().filter(|act| act.seq > seq).cloned().collect()
    }

    pub(crate) fn requests_after(&self, seq: u64) -> Vec<RequestRecord> {
        self.requests.iter().filter(|one| one.seq > seq).cloned().collect()
    }
}

/// Replaces what has the shape of a token: 40 hexadecimal digits as a path segment.
fn masked(path: &str) -> String {
    let is_token = |segment: &str| segment.len() == 40 && segment.bytes().all(|b| b.is_ascii_hexdigit());
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| if is_token(segment) { "****" } else { segment })
        .collect();
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_paths_are_masked() {
        let path = format!("/v1/access_tokens/{}", "0a".repeat(20));
        assert_eq!(masked(&path), "/v1/access_tokens/****");
        assert_eq!(
            masked("/v1/devices/e00fce68a1b2c3d4e5f60718"),
            "/v1/devices/e00fce68a1b2c3d4e5f60718"
        );
    }

    #[test]
    fn the_log_forgets_the_oldest_first() {
        let mut journal = Journal::default();
        for n in 0..=REQUESTS_MAX {
            journal.requested(n as i64, "GET", "/v1/devices");
        }
        let kept = journal.requests_after(0);
        assert_eq!((kept.len(), kept[0].seq), (REQUESTS_MAX, 2));
    }
}
