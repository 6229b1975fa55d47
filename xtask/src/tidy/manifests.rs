//! The crate walls, read from the manifests: who may know whom, and which library belongs to which crate. A new crate
//! needs a row here, that is, an argument.

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::checkout::Text;
use crate::finding::Finding;

/// What a crate of ours may know of the others, in code that ships.
struct Wall {
    package: &'static str,
    may_know: &'static [&'static str],
}

/// Inner crates know no outer ones. The simulator and the command line know only the wire: what they read of it is
/// their own reading, so that one misunderstanding cannot hide in a shared type.
const WALLS: [Wall; 11] = [
    Wall {
        package: "ostler-core",
        may_know: &[],
    },
    Wall {
        package: "ostler-store",
        may_know: &["ostler-core"],
    },
    Wall {
        package: "ostler-app",
        may_know: &["ostler-core", "ostler-store"],
    },
    Wall {
        package: "ostler-particle",
        may_know: &["ostler-core", "ostler-app"],
    },
    Wall {
        package: "ostler-server",
        may_know: &["ostler-core", "ostler-store", "ostler-app", "ostler-particle"],
    },
    Wall {
        package: "ostler-sim",
        may_know: &[],
    },
    Wall {
        package: "ostler-cli",
        may_know: &[],
    },
    Wall {
        package: "ostler",
        may_know: &[
            "ostler-core",
            "ostler-store",
            "ostler-app",
            "ostler-particle",
            "ostler-server",
            "ostler-sim",
            "ostler-cli",
        ],
    },
    Wall {
        package: "ostler-testkit",
        may_know: &[],
    },
    // It measures from outside, so it knows only the wire, like the simulator.
    Wall {
        package: "ostler-bench",
        may_know: &["ostler-testkit"],
    },
    Wall {
        package: "xtask",
        may_know: &[],
    },
];

/// What every crate may use in its tests. The simulator is a real peer on a real wire.
const FOR_TESTS: [&str; 2] = ["ostler-testkit", "ostler-sim"];

/// A library only some crates may use.
struct Reserved {
    library: &'static str,
    owners: &'static [&'static str],
    held_against: HeldAgainst,
    reason: &'static str,
}

#[derive(PartialEq)]
enum HeldAgainst {
    /// A test may stand up a peer of its own.
    ShippedCode,
    Everything,
}

const AT_THE_WIRE: &[&str] = &[
    "ostler-particle",
    "ostler-server",
    "ostler-sim",
    "ostler-cli",
    "ostler-bench",
    "ostler",
];

const RESERVED: [Reserved; 8] = [
    Reserved {
        library: "sqlx",
        owners: &["ostler-store"],
        held_against: HeldAgainst::Everything,
        reason: "SQL stays in the store",
    },
    Reserved {
        library: "tokio",
        owners: &[
            "ostler-store",
            "ostler-app",
            "ostler-particle",
            "ostler-server",
            "ostler-sim",
            "ostler-cli",
            "ostler-bench",
            "ostler",
            "ostler-testkit",
        ],
        held_against: HeldAgainst::Everything,
        reason: "the domain does no input or output",
    },
    Reserved {
        library: "axum",
        owners: &["ostler-server", "ostler-sim"],
        held_against: HeldAgainst::ShippedCode,
        reason: "HTTP is served by server and simulator",
    },
    Reserved {
        library: "reqwest",
        owners: AT_THE_WIRE,
        held_against: HeldAgainst::ShippedCode,
        reason: "only crates at the wire send requests",
    },
    Reserved {
        library: "hyper",
        owners: AT_THE_WIRE,
        held_against: HeldAgainst::ShippedCode,
        reason: "only crates at the wire speak HTTP",
    },
    Reserved {
        library: "hyper-util",
        owners: AT_THE_WIRE,
        held_against: HeldAgainst::ShippedCode,
        reason: "only crates at the wire speak HTTP",
    },
    Reserved {
        library: "tower",
        owners: AT_THE_WIRE,
        held_against: HeldAgainst::ShippedCode,
        reason: "only crates at the wire speak HTTP",
    },
    Reserved {
        library: "rand",
        owners: &["ostler-server", "ostler-sim", "ostler"],
        held_against: HeldAgainst::ShippedCode,
        reason: "chance is handed in by the programs' edges",
    },
];

/// Libraries our own manifests do not name, though others may bring them along.
const NOT_OURS: [(&str, &str); 6] = [
    ("async-trait", "async fn in traits, or a boxed future, will do"),
    ("chrono", "jiff is the calendar here"),
    ("lazy_static", "std has LazyLock"),
    ("once_cell", "std has OnceLock"),
    ("openssl", "one crypto provider: aws-lc-rs"),
    ("ring", "one crypto provider: aws-lc-rs"),
];

pub fn findings(texts: &[Text]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for text in texts.iter().filter(|text| text.path.ends_with("/Cargo.toml")) {
        let manifest: Table = text
            .content
            .parse()
            .with_context(|| format!("{} is no TOML", text.path))?;
        findings.extend(of_manifest(&text.path, &manifest));
    }
    Ok(findings)
}

fn of_manifest(path: &str, manifest: &Table) -> Vec<Finding> {
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(Value::as_str)
        .unwrap_or("");
    let Some(wall) = WALLS.iter().find(|wall| wall.package == package) else {
        let complaint = format!("the crate {package:?} has no wall: give it a row in xtask/src/tidy/manifests.rs");
        return vec![Finding::in_file(path, complaint)];
    };
    let mut complaints = Vec::new();
    for (section, for_tests) in [
        ("dependencies", false),
        ("build-dependencies", false),
        ("dev-dependencies", true),
    ] {
        let Some(dependencies) = manifest.get(section).and_then(Value::as_table) else {
            continue;
        };
        for (name, entry) in dependencies {
            complaints.extend(against_wall(wall, name, for_tests));
            complaints.extend(against_reservation(package, name, for_tests));
            complaints.extend(not_ours(name));
            complaints.extend(own_features(name, entry, for_tests));
        }
    }
    let lints_shared = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(Value::as_bool);
    if lints_shared != Some(true) {
        complaints.push("does not take the workspace's lints".to_owned());
    }
    complaints
        .into_iter()
        .map(|complaint| Finding::in_file(path, complaint))
        .collect()
}

fn against_wall(wall: &Wall, name: &str, for_tests: bool) -> Option<String> {
    let ours = WALLS.iter().any(|other| other.package == name);
    let known = wall.may_know.contains(&name) || (for_tests && FOR_TESTS.contains(&name));
    (ours && !known).then(|| format!("{} may not know {name}", wall.package))
}

fn against_reservation(package: &str, name: &str, for_tests: bool) -> Option<String> {
    let reserved = RESERVED.iter().find(|reserved| reserved.library == name)?;
    let holds = !for_tests || reserved.held_against == HeldAgainst::Everything;
    (holds && !reserved.owners.contains(&package)).then(|| format!("{package} may not use {name}: {}", reserved.reason))
}

fn not_ours(name: &str) -> Option<String> {
    let (_, instead) = NOT_OURS.iter().find(|(library, _)| *library == name)?;
    Some(format!("{name} is refused: {instead}"))
}

/// One feature set for the whole workspace, or the same crate is built several times. Tokio's clock for tests is the
/// one thing that must not ship.
fn own_features(name: &str, entry: &Value, for_tests: bool) -> Option<String> {
    let entry = entry.as_table();
    let shared = entry.is_some_and(|entry| entry.get("workspace") == Some(&Value::Boolean(true)));
    if !shared {
        return Some(format!("{name} is not taken from [workspace.dependencies]"));
    }
    let plain = entry.is_some_and(|entry| entry.len() == 1);
    let test_clock = for_tests && name == "tokio";
    (!plain && !test_clock).then(|| format!("{name} has features of its own: they belong in [workspace.dependencies]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(manifest: &str) -> Vec<String> {
        let manifest = format!("{manifest}\n[lints]\nworkspace = true\n");
        of_manifest("Cargo.toml", &manifest.parse().unwrap())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn walls_are_kept_in_code_and_in_tests() {
        for (package, section, dependency, refused) in [
            ("ostler-core", "dependencies", "serde", false),
            ("ostler-core", "dependencies", "tokio", true),
            ("ostler-core", "dev-dependencies", "tokio", true),
            ("ostler-core", "dependencies", "ostler-store", true),
            ("ostler-store", "dependencies", "sqlx", false),
            ("ostler-app", "dependencies", "sqlx", true),
            ("ostler-app", "dev-dependencies", "sqlx", true),
            ("ostler-particle", "dependencies", "axum", true),
            ("ostler-particle", "dev-dependencies", "axum", false),
            ("ostler-app", "dependencies", "ostler-particle", true),
            ("ostler-app", "dev-dependencies", "ostler-particle", true),
            ("ostler-app", "dependencies", "ostler-sim", true),
            ("ostler-app", "dev-dependencies", "ostler-sim", false),
            ("ostler-sim", "dependencies", "ostler-core", true),
            ("ostler-cli", "dev-dependencies", "ostler-core", true),
            ("ostler-server", "dependencies", "chrono", true),
            ("ostler-new", "dependencies", "serde", true),
        ] {
            let manifest = format!("[package]\nname = \"{package}\"\n[{section}]\n{dependency}.workspace = true");
            assert_eq!(
                !complaints(&manifest).is_empty(),
                refused,
                "{package} [{section}] {dependency}"
            );
        }
    }

    #[test]
    fn features_are_chosen_once_for_all() {
        for (section, entry, refused) in [
            ("dependencies", r#"serde = "1""#, true),
            (
                "dependencies",
                r#"serde = { workspace = true, features = ["rc"] }"#,
                true,
            ),
            (
                "dependencies",
                r#"tokio = { workspace = true, features = ["test-util"] }"#,
                true,
            ),
            (
                "dev-dependencies",
                r#"tokio = { workspace = true, features = ["test-util"] }"#,
                false,
            ),
        ] {
            let manifest = format!("[package]\nname = \"ostler-app\"\n[{section}]\n{entry}");
            assert_eq!(!complaints(&manifest).is_empty(), refused, "[{section}] {entry}");
        }
    }

    #[test]
    fn a_crate_takes_the_shared_lints() {
        let manifest = "[package]\nname = \"ostler-core\"".parse().unwrap();
        assert_eq!(of_manifest("Cargo.toml", &manifest).len(), 1);
    }
}
