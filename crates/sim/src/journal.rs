//! What devices really did and what was asked of the cloud, in order: the witness that tests and the
//! control API question. Bounded; tokens in paths are masked. With a state file the acts survive a
//! crash: a test that kills everybody may still ask whether a device acted twice.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::id::DeviceId;

const ACTS_MAX: usize = 100_000;
const REQUESTS_MAX: usize = 20_000;
/// Requests are not kept, only how many there were; after a crash the numbers go on beyond those that
/// may have been given out since.
const NUMBERS_SKIPPED: u64 = 10_000;

/// By whose right a function was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    Product,
    ApiUser,
    Customer,
    User,
}

/// A function that a device has executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// One line per act, appended as it happens.
    log: Option<File>,
}

impl Journal {
    /// Goes on with the acts in the file; a missing file is a first start.
    pub(crate) fn resume(path: &Path, last_request: Option<u64>) -> io::Result<Self> {
        let mut log = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let mut text = String::new();
        log.read_to_string(&mut text)?;
        let mut acts = VecDeque::new();
        let mut whole = 0;
        for line in text.split_inclusive('\n') {
            // The last line may have been cut off by the crash.
            let Some(act) = line
                .strip_suffix('\n')
                .and_then(|line| serde_json::from_str::<Act>(line).ok())
            else {
                break;
            };
            acts.push_back(act);
            whole += line.len();
        }
        log.set_len(whole as u64)?;
        log.seek(io::SeekFrom::End(0))?;
        Ok(Self {
            last_act: acts.back().map_or(0, |act: &Act| act.seq),
            last_request: last_request.map_or(0, |last| last + NUMBERS_SKIPPED),
            acts,
            requests: VecDeque::new(),
            log: Some(log),
        })
    }

    /// Numbers the act and keeps it.
    pub(crate) fn acted(&mut self, act: Act) {
        self.last_act += 1;
        let act = Act {
            seq: self.last_act,
            ..act
        };
        if let Some(log) = &mut self.log
            && let Err(error) = append(log, &act)
        {
            tracing::error!(%error, "an act could not be written to the simulator's journal");
        }
        self.acts.push_back(act);
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

fn append(log: &mut File, act: &Act) -> io::Result<()> {
    let mut line = serde_json::to_vec(act)?;
    line.push(b'\n');
    log.write_all(&line)
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

    fn act(argument: &str) -> Act {
        Act {
            seq: 0,
            at: 1,
            request_at: 0,
            device_id: DeviceId::new("e00fce68a1b2c3d4e5f60718"),
            function: "setTarget".to_owned(),
            argument: argument.to_owned(),
            return_value: 20,
            credential: CredentialKind::Product,
        }
    }

    #[test]
    fn acts_survive_a_crash_also_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acts");
        let mut journal = Journal::resume(&path, None).unwrap();
        journal.acted(act("20\n"));
        journal.acted(act("21"));
        let witnessed = journal.acts_after(0);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"seq\":3,\"at\"").unwrap();

        let mut journal = Journal::resume(&path, Some(7)).unwrap();
        assert_eq!(journal.acts_after(0), witnessed);
        assert!(journal.requested(0, "GET", "/") > 7);
        journal.acted(act("22"));
        let seqs: Vec<_> = Journal::resume(&path, None)
            .unwrap()
            .acts_after(0)
            .iter()
            .map(|act| act.seq)
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
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
