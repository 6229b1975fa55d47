//! The example configurations as they stand, judged by the programs they are for. What the proxies do before a running
//! Ostler is tested with Ostler.

use std::path::Path;
use std::process::Command;

use ostler_testkit::Scratch;

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces a text that must be there, so that a changed example cannot slip past its test.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example no longer says {from:?}");
    text.replace(from, to)
}

#[test]
fn the_caddy_example_is_valid_as_it_stands() {
    let scratch = Scratch::new();
    let configuration = scratch.write("Caddyfile", example("caddy/Caddyfile"));
    let output = Command::new("caddy")
        .args(["validate", "--adapter", "caddyfile", "--config"])
        .arg(configuration)
        .env("HOME", scratch.path())
        .env("XDG_DATA_HOME", scratch.path())
        .env("XDG_CONFIG_HOME", scratch.path())
        .output()
        .expect("caddy is a prerequisite");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_systemd_unit_is_valid_and_gives_away_little() {
    let scratch = Scratch::new();
    // systemd wants the program to be there.
    let unit = with(
        &example("systemd/ostler.service"),
        "ExecStart=/usr/local/bin/ostler",
        "ExecStart=/bin/true",
    );
    let unit = scratch.write("ostler.service", unit);
    let analyse = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output();
        let output = output.expect("systemd-analyze is a prerequisite");
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    };
    let complaints = analyse(&["verify"]);
    assert!(!complaints.contains("ostler.service"), "{complaints}");
    // An exposure of at most 2 out of 10, in systemd's own counting.
    analyse(&["security", "--offline=yes", "--threshold=20", "--no-pager"]);
}
