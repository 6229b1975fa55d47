//! Administration by `psql`, so that this crate needs no driver. Tests themselves use the driver under test.

use std::process::Command;

/// Runs one statement and returns its unadorned output, or what psql complained of.
pub fn try_query(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
            sql,
            url,
        ])
        .env("PGCONNECT_TIMEOUT", "10")
        .output()
        .map_err(|error| format!("cannot run psql (run scripts/prerequisites test): {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    }
}

#[track_caller]
pub fn query(url: &str, sql: &str) -> String {
    try_query(url, sql).unwrap_or_else(|complaint| panic!("{sql}: {complaint}"))
}
