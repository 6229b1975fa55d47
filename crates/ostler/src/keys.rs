//! The files that hold keys: made with mode 0600, refused when others may read them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use ostler_core::port::{Entropy, random_bytes};
use ostler_store::{MasterKey, MasterKeys};

/// Reads the master key. A key that others can read is no secret any more.
pub fn read_master_key(path: &Path) -> anyhow::Result<MasterKeys> {
    let metadata = fs::metadata(path).with_context(|| {
        format!(
            "the master key {} cannot be read; `ostler init` makes one",
            path.display()
        )
    })?;
    let mode = metadata.mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "the master key {} has mode {mode:o}; it must be readable by its owner only (0600)",
        path.display()
    );
    let bytes = fs::read(path).with_context(|| format!("the master key {} cannot be read", path.display()))?;
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else {
        bail!("the master key {} must have exactly 32 bytes", path.display())
    };
    Ok(MasterKeys::new(MasterKey::from_bytes(bytes), Vec::new()))
}

/// Makes a key that did not exist; never overwrites one, for that would lose what it sealed.
pub fn make_master_key(path: &Path, entropy: &dyn Entropy) -> anyhow::Result<()> {
    let bytes: [u8; 32] = random_bytes(entropy);
    create_private(path, &bytes)
}

/// Writes a new file that only its owner may read.
pub fn create_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be made", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    file.sync_all().with_context(failed)
}

/// Puts a whole file in place at once: whoever looks sees the old one or the new one.
pub fn replace_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    if partial.exists() {
        fs::remove_file(partial).with_context(|| format!("{} cannot be removed", partial.display()))?;
    }
    create_private(partial, content)?;
    fs::rename(partial, path).with_context(|| format!("{} cannot be put in place", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_server::edge::OsEntropy;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_read_only_while_it_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        assert!(read_master_key(&path).unwrap_err().to_string().contains("ostler init"));
        make_master_key(&path, &OsEntropy).unwrap();
        let id = read_master_key(&path).unwrap().current().id();
        make_master_key(&path, &OsEntropy).unwrap_err();
        assert_eq!(read_master_key(&path).unwrap().current().id(), id);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_master_key(&path).unwrap_err().to_string().contains("640"));
    }
}
