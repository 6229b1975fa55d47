//! `scripts/prerequisites` on machines that lack this or that. Such a machine is a folder of links to the few
//! programs it does have.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/prerequisites");
const ALWAYS_THERE: [&str; 8] = ["bash", "cut", "dirname", "head", "id", "sed", "sort", "tr"];

struct Machine {
    programs: TempDir,
}

impl Machine {
    fn bare() -> Self {
        let machine = Self {
            programs: tempfile::tempdir().unwrap(),
        };
        for program in ALWAYS_THERE {
            let real = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
            let real = real.iter().find(|path| path.exists()).unwrap();
            symlink(real, machine.programs.path().join(program)).unwrap();
        }
        machine
    }

    /// A program that only prints.
    fn with(self, name: &str, prints: &str) -> Self {
        let path = self.programs.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho '{prints}'\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn check(&self, task: &str) -> Output {
        Command::new("bash")
            .args([SCRIPT, "--check", task])
            .env("PATH", self.programs.path())
            .output()
            .unwrap()
    }
}

fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_that_is_missing_is_listed_at_once() {
    let output = Machine::bare().check("test");
    assert_eq!(output.status.code(), Some(2));
    let complaints = complaints(&output);
    for thing in [
        "Rust",
        "C compiler",
        "psql",
        "Node.js",
        "npm",
        "caddy",
        "openssl",
        "curl",
    ] {
        assert!(complaints.contains(thing), "{thing} is not in:\n{complaints}");
    }
}

#[test]
fn the_demo_needs_a_toolchain_and_a_linker_only() {
    let machine = Machine::bare()
        .with("cargo", "")
        .with("rustc", "rustc 9.9.9 (abc 2026-01-01)")
        .with("cc", "");
    let output = machine.check("demo");
    assert_eq!(output.status.code(), Some(0), "{}", complaints(&output));
}

#[test]
fn an_old_toolchain_is_told_from_a_fitting_one() {
    for (version, fits) in [
        ("1.63.0", false),
        ("1.94.1", false),
        ("1.95.0", true),
        ("1.100.0", true),
    ] {
        let machine = Machine::bare()
            .with("cargo", "")
            .with("rustc", &format!("rustc {version} (abc)"))
            .with("cc", "");
        assert_eq!(machine.check("demo").status.success(), fits, "{version}");
    }
}

#[test]
fn a_wrong_word_is_a_wrong_use() {
    assert_eq!(Machine::bare().check("everything").status.code(), Some(2));
}
