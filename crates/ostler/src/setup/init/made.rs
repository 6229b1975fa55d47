//! What `init` has made so far. Unless all of it is kept, all of it goes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

#[derive(Default)]
pub struct Made {
    /// The outermost first.
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    /// Makes a directory and those above it, as far as they are missing.
    pub fn directory(&mut self, path: &Path) -> anyhow::Result<()> {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(path).with_context(|| format!("the directory {} cannot be made", path.display()))?;
            self.directories.push(path.to_owned());
        }
        Ok(())
    }

    /// To be called before a file is made that was not there.
    pub fn file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    pub fn keep(mut self) {
        self.directories.clear();
        self.files.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let files = self.files.iter().rev().map(|path| (path, fs::remove_file(path)));
        let directories = self.directories.iter().rev().map(|path| (path, fs::remove_dir(path)));
        for (path, removed) in files.chain(directories) {
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    eprintln!("ostler: {} stays behind: {error}", path.display());
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_goes_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let (inner, beside) = (scratch.path().join("a/b"), scratch.path().join("beside"));
        fs::write(&beside, "mine").unwrap();
        let mut made = Made::default();
        made.directory(&inner).unwrap();
        made.file(&inner.join("file"));
        made.file(&inner.join("never made"));
        fs::write(inner.join("file"), "x").unwrap();
        drop(made);
        assert!(!scratch.path().join("a").exists() && beside.exists());

        let mut made = Made::default();
        made.directory(&inner).unwrap();
        made.keep();
        assert!(inner.exists());
    }
}
