//! nginx in three shapes: plain `proxy_pass`, `auth_request` with the checker's answer cached, and `auth_request` with
//! the signature verified at each call. It makes nothing durable; that is what its figures lack.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use ostler_testkit::{Process, Scratch, free_port};

use super::{Contestant, STARTS_WITHIN, Stopping, write_upstream_call};
use crate::checker::ANNOUNCEMENT;
use crate::load::Target;
use crate::processes::on_their_core;
use crate::token::Signer;

const CONFIGURATION: &str = include_str!("nginx.conf");

/// Running, with its checker.
pub struct Nginx {
    proxy: Stopping,
    checker: Stopping,
    token: String,
    shapes: [Shape; 3],
}

#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    placeholder: &'static str,
    address: SocketAddr,
}

impl Nginx {
    pub fn start(upstream: SocketAddr, signer: &Signer, token: &str, scratch: &Scratch) -> anyhow::Result<Self> {
        let program = find()?;
        let mut checker = on_their_core(std::env::current_exe()?);
        let mut checker = Process::spawn("checker", checker.args(["checker", &signer.public_key()]), scratch);
        let line = checker.wait_for_line(ANNOUNCEMENT, STARTS_WITHIN);
        let checked_at: SocketAddr = line.trim_start_matches(ANNOUNCEMENT).parse()?;

        let shapes = [
            ("nginx", "@PLAIN@"),
            ("nginx, check cached", "@CACHING@"),
            ("nginx, ES256", "@VERIFYING@"),
        ]
        .map(|(name, placeholder)| Shape {
            name,
            placeholder,
            address: (Ipv4Addr::LOCALHOST, free_port()).into(),
        });
        let folder = scratch
            .path()
            .to_str()
            .context("the temporary folder's name is no UTF-8")?;
        let filled = CONFIGURATION
            .replace("@FOLDER@", folder)
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@CHECKER@", &checked_at.to_string());
        let filled = shapes.iter().fold(filled, |text, shape| {
            text.replace(shape.placeholder, &shape.address.to_string())
        });
        let configuration = scratch.write("nginx.conf", filled);
        let mut proxy = on_their_core(program);
        proxy
            .arg("-p")
            .arg(scratch.path())
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(&configuration);
        let mut proxy = Process::spawn("nginx", &mut proxy, scratch);
        for shape in &shapes {
            proxy.wait_for_listener(shape.address, STARTS_WITHIN);
        }
        Ok(Self {
            proxy: Stopping(proxy),
            checker: Stopping(checker),
            token: token.to_owned(),
            shapes,
        })
    }

    pub fn contestants(&self) -> [Contestant; 3] {
        self.shapes.map(|shape| {
            let token = self.token.clone();
            let requests = Box::new(move |number, bytes: &mut Vec<u8>| write_upstream_call(bytes, number, &token));
            Contestant {
                target: Target {
                    name: shape.name,
                    address: shape.address,
                    requests,
                    expected: 200,
                },
                processes: vec![self.proxy.0.id(), self.checker.0.id()],
            }
        })
    }
}

/// Debian keeps it out of an ordinary user's path.
fn find() -> anyhow::Result<PathBuf> {
    let candidates = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"];
    let there = |name: &&str| {
        Command::new(name)
            .arg("-v")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let found = candidates.iter().find(|name| there(name)).with_context(|| {
        "nginx is not installed, and the ratio to it is the point of this benchmark; on Debian: apt-get install nginx-light"
    })?;
    let build = Command::new(found).arg("-V").output()?;
    let build = String::from_utf8_lossy(&build.stderr).into_owned();
    ensure!(
        build.contains("http_auth_request_module"),
        "this nginx was built without auth_request:\n{build}"
    );
    Ok(PathBuf::from(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_the_configuration_is_known() {
        let placeholders: Vec<_> = CONFIGURATION.split('@').skip(1).step_by(2).collect();
        let known = ["FOLDER", "UPSTREAM", "CHECKER", "PLAIN", "CACHING", "VERIFYING"];
        assert!(placeholders.iter().all(|name| known.contains(name)), "{placeholders:?}");
    }
}
