//! Ostler as it ships: `ostler init`, then `ostler serve` on SQLite with the default settings, but for the limits on
//! requests per minute, which one customer's load would meet. Everything is set up over HTTP, as a maker would.

mod installation;
mod sign_in;
mod staff;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ostler_testkit::{Process, Scratch, free_port};

use self::staff::Fleet;
use super::{Contestant, STARTS_WITHIN, Stopping, write_post};
use crate::connection::Connection;
use crate::edge;
use crate::events::Events;
use crate::load::Target;
use crate::processes::{on_their_core, resident_kibibytes};

const READINESS: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
/// Between two looks whether the server is ready.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// After this long a started server has nothing left to do.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// A fresh installation, not running.
pub struct Installation {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
}

/// How a start of an empty installation went.
pub struct Start {
    pub took: Duration,
    pub resident_kibibytes: u64,
}

pub struct Ostler {
    server: Stopping,
    address: SocketAddr,
    /// A customer's access token.
    token: String,
    fleet: Fleet,
}

impl Installation {
    pub fn make(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let address = (Ipv4Addr::LOCALHOST, free_port()).into();
        installation::initialise(program, folder, address)?;
        Ok(Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            address,
        })
    }

    fn serve(&self, scratch: &Scratch) -> anyhow::Result<(Stopping, Duration)> {
        let mut command = on_their_core(&self.program);
        command
            .args(["serve", "--config"])
            .arg(installation::configuration(&self.folder))
            .env("OSTLER_LISTEN", self.address.to_string())
            .env("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_CALLER", "0")
            .env("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_ADDRESS", "0");
        let start = edge::now();
        let mut process = Process::spawn("ostler", &mut command, scratch);
        let ready_at = loop {
            if is_ready(self.address) {
                break edge::now();
            }
            anyhow::ensure!(process.ended().is_none(), "ostler serve ended:\n{}", process.log());
            anyhow::ensure!(
                edge::now() < start + STARTS_WITHIN,
                "ostler serve does not get ready:\n{}",
                process.log()
            );
            edge::sleep(LOOK_EVERY);
        };
        Ok((Stopping(process), ready_at.duration_since(start)))
    }

    /// Starts it, lets it settle, stops it.
    pub fn try_start(&self, scratch: &Scratch) -> anyhow::Result<Start> {
        let (server, took) = self.serve(scratch)?;
        edge::sleep(SETTLES_WITHIN);
        Ok(Start {
            took,
            resident_kibibytes: resident_kibibytes(server.0.id())?,
        })
    }

    /// Starts it and declares product, fleet, customer and client; the customer signs in.
    pub fn open(self, upstream: SocketAddr, scratch: &Scratch) -> anyhow::Result<Ostler> {
        let (server, _) = self.serve(scratch)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let base = format!("http://{}", self.address);
        let (fleet, token) = runtime.block_on(async {
            let fleet = staff::declare(&base, &format!("http://{upstream}"))
                .await
                .context("the fleet cannot be set up")?;
            let token = sign_in::access_token(&base, &fleet.client_id)
                .await
                .context("the customer cannot sign in")?;
            anyhow::Ok((fleet, token))
        })?;
        Ok(Ostler {
            server,
            address: self.address,
            token,
            fleet,
        })
    }
}

fn is_ready(address: SocketAddr) -> bool {
    let asked = Connection::open(address).and_then(|mut connection| connection.exchange(READINESS));
    asked.is_ok_and(|status| status == 200)
}

impl Ostler {
    fn contestant(&self, name: &'static str, expected: u16, requests: crate::load::Requests) -> Contestant {
        let target = Target {
            name,
            address: self.address,
            requests,
            expected,
        };
        Contestant {
            target,
            processes: vec![self.server.0.id()],
        }
    }

    /// A customer calls a function of one of their devices.
    pub fn calls(&self) -> Contestant {
        let token = self.token.clone();
        let paths: Vec<_> = self
            .fleet
            .devices
            .iter()
            .map(|id| format!("/v1/devices/{id}/functions/setTarget"))
            .collect();
        let requests = Box::new(move |number: u64, bytes: &mut Vec<u8>| {
            write_post(
                bytes,
                &paths[number as usize % paths.len()],
                &token,
                r#"{"argument":"20"}"#,
            );
        });
        self.contestant("Ostler, durable", 200, requests)
    }

    /// The device cloud's webhook delivers one event.
    pub fn webhooks(&self) -> anyhow::Result<Contestant> {
        let url: url::Url = self.fleet.ingest_url.parse().context("the ingest URL")?;
        let (path, secret) = (url.path().to_owned(), self.fleet.ingest_secret.clone());
        let events = Events::beginning_before(edge::seconds_since_1970())?;
        let requests = Box::new(move |number: u64, bytes: &mut Vec<u8>| {
            write_post(bytes, &path, &secret, &events.body(number));
        });
        Ok(self.contestant("webhook ingest", 204, requests))
    }

    /// One operation of the staff API, refused for three reasons; each answer is a problem document. What sets their
    /// cost apart is how far the check of the token goes.
    pub fn bearer_checks(&self) -> BearerChecks {
        let asking = |authorization: String| {
            let request = format!("GET /admin/v1/products HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}\r\n");
            Box::new(move |_, bytes: &mut Vec<u8>| bytes.extend_from_slice(request.as_bytes()))
        };
        let with = |token: &str| asking(format!("authorization: Bearer {token}\r\n"));
        let unknown: String = self.token.chars().rev().collect();
        let unknown = format!("ost_at_{}", &unknown[..unknown.len() - "ost_at_".len()]);
        BearerChecks {
            none: self.contestant("no token", 401, asking(String::new())),
            unknown: self.contestant("unknown token", 401, with(&unknown)),
            good: self.contestant("token without scope", 403, with(&self.token)),
        }
    }

    /// After the load.
    pub fn resident_kibibytes(&self) -> anyhow::Result<u64> {
        resident_kibibytes(self.server.0.id())
    }
}

pub struct BearerChecks {
    pub none: Contestant,
    pub unknown: Contestant,
    pub good: Contestant,
}
