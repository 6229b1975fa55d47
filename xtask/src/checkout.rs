//! The files of the checkout as git sees them: tracked, or new and not ignored. What git ignores is nobody's
//! business here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub struct Checkout {
    root: PathBuf,
}

/// A text file, by its path from the root of the checkout.
#[derive(Debug)]
pub struct Text {
    pub path: String,
    pub content: String,
}

impl Checkout {
    pub fn of_this_build() -> Self {
        Self::at(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A program to be run at the root.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// What a program prints; its failure is ours.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let command_line = format!("{program} {}", arguments.join(" "));
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .with_context(|| format!("cannot run {command_line}"))?;
        if !output.status.success() {
            bail!("{command_line} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        String::from_utf8(output.stdout).with_context(|| format!("{command_line} printed no UTF-8"))
    }

    /// Every text file; what is not UTF-8 is left out.
    pub fn texts(&self) -> Result<Vec<Text>> {
        let listed = self.output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        let mut texts = Vec::new();
        for path in listed.split_terminator('\0') {
            let file = self.path(path);
            // A file deleted but not yet committed is still listed.
            if !file.is_file() {
                continue;
            }
            let bytes = std::fs::read(&file).with_context(|| format!("cannot read {path}"))?;
            if let Ok(content) = String::from_utf8(bytes) {
                texts.push(Text {
                    path: path.to_owned(),
                    content,
                });
            }
        }
        texts.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_and_binary_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout::at(folder.path());
        checkout.output("git", &["init", "--quiet"]).unwrap();
        for (name, content) in [
            (".gitignore", &b"ignored\n"[..]),
            ("ignored", b"x"),
            ("text", b"x"),
            ("binary", &[0xff]),
        ] {
            std::fs::write(checkout.path(name), content).unwrap();
        }
        let paths: Vec<_> = checkout.texts().unwrap().into_iter().map(|text| text.path).collect();
        assert_eq!(paths, [".gitignore", "text"]);
    }
}
