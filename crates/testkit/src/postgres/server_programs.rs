//! Where PostgreSQL's own programs are, and as whom they run. The server refuses to run as root, so root lends it
//! to the least account there is.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::edge;

/// Debian keeps the server's programs out of the search path, one folder per version.
const DEBIAN: &str = "/usr/lib/postgresql";

#[derive(Debug, Clone)]
pub struct ServerPrograms {
    folder: PathBuf,
    account: Option<String>,
}

impl ServerPrograms {
    /// Panics with what to install when there are none: a test that needs a server never skips.
    pub fn find(own_file: &Path) -> Self {
        let folder = search_path_folder().or_else(newest_debian_folder).unwrap_or_else(|| {
            panic!(
                "PostgreSQL's server programs (initdb, pg_ctl) are neither in PATH nor under {DEBIAN}: \
                 run scripts/prerequisites test, or set OSTLER_TEST_POSTGRES_URL"
            )
        });
        Self {
            folder,
            account: unprivileged_account(own_file),
        }
    }

    /// One of the server's programs, as the server's account.
    pub fn command(&self, program: &str) -> Command {
        let program = self.folder.join(program);
        let mut command = match &self.account {
            None => Command::new(program),
            Some(account) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={account}"))
                    .arg(format!("--regid={}", primary_group(account)))
                    .args(["--clear-groups", "--"])
                    .arg(program);
                command
            }
        };
        // The account may not be allowed to enter the folder the tests run in.
        command.current_dir("/");
        command
    }

    /// Makes the server's account the owner of a folder.
    pub fn hand_over(&self, folder: &Path) {
        if let Some(account) = &self.account {
            run(Command::new("chown").arg(format!("{account}:")).arg(folder));
        }
    }
}

/// Runs a program to its end and returns what it printed; a failure panics with everything it said.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{printed}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    printed.trim_end().to_owned()
}

fn search_path_folder() -> Option<PathBuf> {
    let path = edge::variable("PATH")?;
    std::env::split_paths(&path).find(|folder| has_server(folder))
}

fn newest_debian_folder() -> Option<PathBuf> {
    std::fs::read_dir(DEBIAN)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .map(|version| (version, PathBuf::from(format!("{DEBIAN}/{version}/bin"))))
        .filter(|(_, folder)| has_server(folder))
        .max()
        .map(|(_, folder)| folder)
}

fn has_server(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("pg_ctl").is_file()
}

/// For root, Debian's own `postgres` if it is there, else `nobody`; for everybody else, themselves.
fn unprivileged_account(own_file: &Path) -> Option<String> {
    let we_are_root = std::fs::metadata(own_file).is_ok_and(|metadata| metadata.uid() == 0);
    we_are_root.then(|| {
        let exists = |account: &&str| {
            Command::new("id")
                .arg(account)
                .output()
                .is_ok_and(|done| done.status.success())
        };
        ["postgres", "nobody"]
            .into_iter()
            .find(exists)
            .expect("every system has the account nobody")
            .to_owned()
    })
}

fn primary_group(account: &str) -> String {
    run(Command::new("id").args(["-g", account]))
}
