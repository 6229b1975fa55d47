//! Folders for one test. They vanish with the test, except when it fails: then the folder stays and its path is
//! printed, because the logs in it are what one wants to read next.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A fresh, empty folder only this user can read.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("ostler-test-")
            .tempdir()
            .expect("the temporary folder is writable");
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into the folder, with the folders above it.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        let parent = path.parent().expect("a file in a folder has a parent");
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, content))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("the test's folder is kept: {}", self.folder.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_with_its_test() {
        let scratch = Scratch::new();
        let file = scratch.write("deep/er/file", "x");
        assert!(file.is_file());
        drop(scratch);
        assert!(!file.exists());
    }

    #[test]
    fn a_failing_test_keeps_its_folder() {
        let panicked = std::thread::spawn(|| {
            let scratch = Scratch::new();
            std::panic::panic_any(scratch.path().to_path_buf());
        })
        .join()
        .unwrap_err();
        let kept = panicked.downcast::<PathBuf>().unwrap();
        assert!(kept.is_dir());
        std::fs::remove_dir_all(*kept).unwrap();
    }
}
