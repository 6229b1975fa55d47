//! TLS keys and certificates, made when a test runs, by the `openssl` command that the prerequisites name. Nothing
//! trusts them but the test that made them, and none is ever in the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Scratch;

/// Longer than any warning before the end looks ahead.
const DAYS: &str = "90";

/// PEM files that a server offers: the chain with its own certificate first, and the key.
#[derive(Debug, Clone)]
pub struct Certified {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Certifies itself, for these hosts: names, or addresses of IPv4. The files are `<name>.crt` and `<name>.key`.
pub fn self_signed(scratch: &Scratch, name: &str, hosts: &[&str]) -> Certified {
    let certified = files(scratch, name);
    let words = words_for(
        scratch,
        name,
        &["basicConstraints = critical, CA:FALSE", &names_of(hosts)],
    );
    openssl(
        request_for(&certified, &words)
            .args(["-x509", "-days", DAYS, "-out"])
            .arg(&certified.certificate),
    );
    certified
}

/// Certified by an issuer that is made for it; its certificate follows in `<name>.crt`.
pub fn issued(scratch: &Scratch, name: &str, hosts: &[&str]) -> Certified {
    let issuer = files(scratch, &format!("{name}-issuer"));
    let words = words_for(scratch, "issuer", &["basicConstraints = critical, CA:TRUE"]);
    openssl(
        request_for(&issuer, &words)
            .args(["-x509", "-days", DAYS, "-out"])
            .arg(&issuer.certificate),
    );

    let certified = files(scratch, name);
    let words = words_for(
        scratch,
        name,
        &["basicConstraints = critical, CA:FALSE", &names_of(hosts)],
    );
    let request = scratch.join(format!("{name}.csr"));
    openssl(request_for(&certified, &words).arg("-out").arg(&request));
    openssl(
        Command::new("openssl")
            .args(["x509", "-req", "-days", DAYS, "-set_serial", "1", "-extensions", "said"])
            .args([Path::new("-in"), &request, Path::new("-extfile"), &words])
            .args([Path::new("-CA"), &issuer.certificate, Path::new("-CAkey"), &issuer.key])
            .arg("-out")
            .arg(&certified.certificate),
    );
    let chain = [&certified.certificate, &issuer.certificate]
        .map(|file| read(file))
        .concat();
    scratch.write(format!("{name}.crt"), chain);
    certified
}

fn files(scratch: &Scratch, name: &str) -> Certified {
    Certified {
        certificate: scratch.join(format!("{name}.crt")),
        key: scratch.join(format!("{name}.key")),
    }
}

fn names_of(hosts: &[&str]) -> String {
    let names = hosts.iter().map(|host| {
        let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
        format!("{}:{host}", if is_address { "IP" } else { "DNS" })
    });
    format!("subjectAltName = {}", names.collect::<Vec<_>>().join(", "))
}

/// A configuration of our own: the machine's would add what it likes.
fn words_for(scratch: &Scratch, name: &str, extensions: &[&str]) -> PathBuf {
    let words = format!(
        "[req]\nprompt = no\ndistinguished_name = who\nx509_extensions = said\n[who]\nCN = {name}\n[said]\n{}\n",
        extensions.join("\n")
    );
    scratch.write(format!("{name}.cnf"), words)
}

/// `openssl req` with a new key on the curve that every client knows.
fn request_for(certified: &Certified, words: &Path) -> Command {
    let mut command = Command::new("openssl");
    command
        .args([
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([Path::new("-config"), words, Path::new("-keyout"), &certified.key]);
    command
}

fn openssl(command: &mut Command) {
    let output = command.output().expect("openssl is a prerequisite");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_has_a_key_of_its_own_and_a_chain_names_its_issuer() {
        let scratch = Scratch::new();
        let alone = self_signed(&scratch, "alone", &["localhost", "127.0.0.1"]);
        let whole = issued(&scratch, "whole", &["api.example.com"]);
        let certificates = |of: &Certified| read(&of.certificate).matches("BEGIN CERTIFICATE").count();
        assert_eq!((certificates(&alone), certificates(&whole)), (1, 2));
        assert_ne!(read(&alone.key), read(&whole.key));
        let verified = Command::new("openssl")
            .arg("verify")
            .args([
                Path::new("-CAfile"),
                &scratch.join("whole-issuer.crt"),
                &whole.certificate,
            ])
            .output()
            .unwrap();
        assert!(
            verified.status.success(),
            "{}",
            String::from_utf8_lossy(&verified.stderr)
        );
    }
}
