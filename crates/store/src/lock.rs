//! One writing process per SQLite file.
//!
//! The read model is exact only while this process is the only writer, so a second one must not
//! even start. The lock is the operating system's, on a file beside the database: it ends with the
//! process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held for as long as the store is open.
#[derive(Debug)]
pub struct InstallationLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another process is using {}; stop it first", .0.display())]
    Taken(PathBuf),
    #[error("{} cannot be locked", path.display())]
    Failed {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The lock file that belongs to a database file.
pub fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl InstallationLock {
    pub fn take(database: &Path) -> Result<Self, LockError> {
        let path = lock_path(database);
        let failed = |source| LockError::Failed {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(database.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_until_the_first_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("ostler.db");
        let first = InstallationLock::take(&database).unwrap();
        assert!(matches!(InstallationLock::take(&database), Err(LockError::Taken(_))));
        drop(first);
        InstallationLock::take(&database).unwrap();
    }
}
