//! A new installation by `ostler init`, with an owner whose password we know.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

pub const OWNER: &str = "owner@example.com";
pub const PASSWORD: &str = "a password for one run";

pub fn configuration(folder: &Path) -> PathBuf {
    folder.join("ostler.toml")
}

pub fn initialise(program: &Path, folder: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .arg("init")
        .arg(folder)
        .args([
            "--email",
            OWNER,
            "--password-stdin",
            "--public-url",
            &format!("http://{address}"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be run; build it first", program.display()))?;
    let mut stdin = child.stdin.take().context("standard input was piped")?;
    writeln!(stdin, "{PASSWORD}")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "ostler init failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
