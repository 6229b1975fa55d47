//! What a maker writes by hand in an afternoon: Fastify, jose, and an audit row for each call by better-sqlite3
//! (`fastify/server.mjs`). If npm cannot bring it, it is absent, and the report says why.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use ostler_testkit::{Process, Scratch};

use super::{Contestant, STARTS_WITHIN, Stopping, write_upstream_call};
use crate::load::Target;
use crate::processes::on_their_core;
use crate::token::Signer;

const ANNOUNCEMENT: &str = "listening on ";

pub struct Fastify {
    server: Stopping,
    address: SocketAddr,
    token: String,
}

/// Brings the recipe's packages, if they are not there yet. The first time builds SQLite where no ready build fits.
pub fn install() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fastify");
    if !loads(&folder) {
        eprintln!("Installing the Fastify recipe's packages by npm; once, some two minutes.");
        let installed = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts=false"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
            .context("npm is not installed")?;
        let words = String::from_utf8_lossy(&installed.stderr).into_owned();
        ensure!(installed.status.success(), "npm ci failed: {}", words.trim());
        ensure!(
            loads(&folder),
            "better-sqlite3 was installed but does not load: {}",
            words.trim()
        );
    }
    Ok(folder)
}

/// Whether node finds all of it, the built part too.
fn loads(folder: &Path) -> bool {
    let script = "import('fastify'); import('jose'); import('undici'); new ((await import('better-sqlite3')).default)(':memory:')";
    let run = Command::new("node")
        .args(["--input-type=module", "--eval", script])
        .current_dir(folder)
        .output();
    run.is_ok_and(|run| run.status.success())
}

impl Fastify {
    pub fn start(
        folder: &Path,
        upstream: SocketAddr,
        signer: &Signer,
        token: &str,
        data: &Path,
        scratch: &Scratch,
    ) -> anyhow::Result<Self> {
        let mut server = on_their_core("node");
        server
            .arg("server.mjs")
            .arg(upstream.to_string())
            .arg(signer.public_jwk())
            .arg(data.join("fastify.db"));
        let mut server = Process::spawn(
            "fastify",
            server.env("NODE_ENV", "production").current_dir(folder),
            scratch,
        );
        let line = server.wait_for_line(ANNOUNCEMENT, STARTS_WITHIN);
        let address = line.trim_start_matches(ANNOUNCEMENT).parse()?;
        Ok(Self {
            server: Stopping(server),
            address,
            token: token.to_owned(),
        })
    }

    pub fn contestant(&self) -> Contestant {
        let token = self.token.clone();
        let requests = Box::new(move |number, bytes: &mut Vec<u8>| write_upstream_call(bytes, number, &token));
        Contestant {
            target: Target {
                name: "Fastify recipe",
                address: self.address,
                requests,
                expected: 200,
            },
            processes: vec![self.server.0.id()],
        }
    }
}
