//! The configuration, the master key and the room on the disk.

use std::path::Path;

use ostler_server::config::{Config, Faults};
use ostler_store::{MasterKeys, sqlite_path};

use super::verdict::Verdict;
use super::what;
use crate::keys;

const MIB: u64 = 1024 * 1024;
/// SQLite needs room for its write-ahead log; a full disk stops every write.
const FAILS_BELOW: u64 = 100 * MIB;
const WARNS_BELOW: u64 = 1024 * MIB;

pub fn configuration(file: Option<&Path>) -> Verdict {
    Verdict::ok(what::CONFIGURATION, shown(file))
}

pub fn configuration_faults(file: Option<&Path>, faults: &Faults) -> Verdict {
    let lines = faults.0.iter().map(|fault| format!("\n{fault}"));
    Verdict::failed(what::CONFIGURATION, shown(file) + &lines.collect::<String>())
        .hint("every setting and its rule stands in the file that `ostler init` writes")
}

fn shown(file: Option<&Path>) -> String {
    file.map_or_else(
        || "the defaults and the environment".to_owned(),
        |file| file.display().to_string(),
    )
}

pub fn master_key(path: &Path) -> (Verdict, Option<MasterKeys>) {
    match keys::read_master_key(path) {
        Ok(keys) => {
            let detail = format!("{}, key {}", path.display(), keys.current().id());
            (Verdict::ok(what::MASTER_KEY, detail), Some(keys))
        }
        Err(error) => (
            Verdict::failed(what::MASTER_KEY, super::verdict::chain(error.as_ref())),
            None,
        ),
    }
}

/// Where the database grows; with PostgreSQL that is another machine's business.
pub fn disk(config: &Config) -> Verdict {
    let file = match sqlite_path(config.database_url.expose()) {
        Ok(Some(file)) => file,
        Ok(None) => return Verdict::skipped(what::DISK, "the database is PostgreSQL's"),
        Err(error) => return Verdict::skipped(what::DISK, error.to_string()),
    };
    let directory = file
        .parent()
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match rustix::fs::statvfs(directory) {
        Ok(room) => judge_room(directory, room.f_bavail.saturating_mul(room.f_frsize)),
        Err(error) => Verdict::failed(
            what::DISK,
            format!("{} cannot be looked at: {error}", directory.display()),
        ),
    }
}

fn judge_room(directory: &Path, free: u64) -> Verdict {
    let detail = format!("{} MiB free in {}", free / MIB, directory.display());
    match free {
        0..FAILS_BELOW => Verdict::failed(what::DISK, detail).hint("make room: without it nothing can be stored"),
        FAILS_BELOW..WARNS_BELOW => Verdict::warning(what::DISK, detail),
        WARNS_BELOW.. => Verdict::ok(what::DISK, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::check::verdict::Standing;

    #[test]
    fn little_room_warns_and_hardly_any_fails() {
        let standing = |free| judge_room(Path::new("/data"), free).standing;
        assert_eq!(standing(0), Standing::Failed);
        assert_eq!(standing(FAILS_BELOW - 1), Standing::Failed);
        assert_eq!(standing(FAILS_BELOW), Standing::Warning);
        assert_eq!(standing(WARNS_BELOW), Standing::Ok);
    }
}
