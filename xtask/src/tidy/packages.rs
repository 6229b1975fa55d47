//! What a build really links, as cargo resolves it: no refused crate, and one version of those that must agree with
//! themselves. The lock is not asked, because it also names crates of features nobody turned on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::finding::Finding;

/// Name and version.
pub type Packages = BTreeSet<(String, String)>;

/// RustSec cannot always be reached, so refusals are kept here, each with its reason.
const REFUSED: [(&str, &str); 21] = [
    ("actix-web", "one HTTP framework: axum"),
    ("aide", "alpha; utoipa writes the OpenAPI document"),
    ("apalis", "the job table is our own"),
    ("axum-login", "sessions are our own"),
    ("eventsource-stream", "stale; the SSE reader is our own and fuzzed"),
    ("fang", "the job table is our own"),
    ("figment", "stale; the overlay is ours"),
    ("josekit", "links OpenSSL"),
    ("native-tls", "one TLS: rustls with aws-lc-rs"),
    ("openssl", "one crypto provider: aws-lc-rs"),
    ("poem", "one HTTP framework: axum"),
    ("reqwest-eventsource", "stale; the SSE reader is our own and fuzzed"),
    ("ring", "one crypto provider: aws-lc-rs"),
    ("rumqttc", "four open advisories up to 0.25; rumqttc-v4-next"),
    ("rumqttd", "stale, with advisories"),
    ("rusqlite", "clashes with sqlx's SQLite"),
    ("rustls-acme", "brings a second runtime"),
    ("serde_yaml", "stale"),
    ("sqlx-macros", "compiles both drivers and SQLite twice"),
    ("tower-sessions", "sessions are our own"),
    ("tower_governor", "the rate-limit layer is our own"),
];

const ONE_VERSION: [&str; 9] = [
    "axum",
    "hyper",
    "jiff",
    "libsqlite3-sys",
    "reqwest",
    "rustls",
    "rustls-webpki",
    "sqlx",
    "tokio",
];

/// Everything the workspace links, builds with or tests with, on any platform.
pub fn used(checkout: &Checkout) -> Result<Packages> {
    let tree = checkout.output(
        "cargo",
        &[
            "tree",
            "--locked",
            "--workspace",
            "--target=all",
            "--edges=normal,build,dev",
            "--prefix=none",
            "--format={p}",
        ],
    )?;
    tree.lines().filter(|line| !line.is_empty()).map(parse).collect()
}

/// A line such as `tokio v1.54.1` or `ostler v0.1.0 (/path)`.
fn parse(line: &str) -> Result<(String, String)> {
    let mut words = line.split_whitespace();
    let name = words.next().context("cargo tree names a package on each line")?;
    let version = words.next().and_then(|version| version.strip_prefix('v'));
    let version = version.with_context(|| format!("cargo tree gives a version on each line, but not here: {line}"))?;
    Ok((name.to_owned(), version.to_owned()))
}

pub fn findings(packages: &Packages) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in packages {
        versions.entry(name).or_default().push(version);
    }
    let refused = REFUSED
        .iter()
        .filter(|(name, _)| versions.contains_key(name))
        .map(|(name, reason)| format!("{name} is refused ({reason}): cargo tree -i {name}"));
    let doubled = ONE_VERSION
        .iter()
        .filter_map(|name| Some((name, versions.get(name)?)))
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| format!("{name} is linked in several versions: {}", versions.join(", ")));
    refused
        .chain(doubled)
        .map(|complaint| Finding::in_file("Cargo.lock", complaint))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(lines: &[&str]) -> Packages {
        lines.iter().map(|line| parse(line).unwrap()).collect()
    }

    #[test]
    fn refused_and_doubled_packages_are_found() {
        for (lines, found) in [
            (&["tokio v1.54.1", "serde v1.0.0", "serde v2.0.0"][..], 0),
            (&["tokio v1.54.1", "tokio v1.54.1 (*)"], 0),
            (&["tokio v1.54.1", "tokio v2.0.0"], 1),
            (&["ring v0.17.14"], 1),
            (&["openssl v0.10.0", "axum v0.7.0", "axum v0.8.9"], 2),
        ] {
            assert_eq!(findings(&packages(lines)).len(), found, "{lines:?}");
        }
    }

    #[test]
    fn a_line_without_version_is_an_error() {
        assert!(parse("tokio").is_err());
    }
}
