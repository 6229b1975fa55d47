//! Secrets that a person or a script hands to a command: from standard input or a file, never from
//! the command line, where everybody on the machine could read them.

use std::fs;
use std::io::{self, BufRead as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use secrecy::SecretString;

/// The first line of standard input.
pub fn from_stdin(what: &str) -> anyhow::Result<SecretString> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .with_context(|| format!("the {what} cannot be read from standard input"))?;
    without_line_end(line, what, "standard input")
}

/// A file that holds nothing else; a line end after it is not part of it.
pub fn from_file(what: &str, path: &Path) -> anyhow::Result<SecretString> {
    let text =
        fs::read_to_string(path).with_context(|| format!("the {what} cannot be read from {}", path.display()))?;
    without_line_end(text, what, &path.display().to_string())
}

fn without_line_end(mut text: String, what: &str, source: &str) -> anyhow::Result<SecretString> {
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    ensure!(!text.is_empty(), "{source} holds no {what}");
    ensure!(
        !text.contains(['\r', '\n']),
        "{source} holds more than one line; the {what} is one"
    );
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn the_line_end_is_no_part_of_a_secret_but_spaces_are() {
        let read = |text: &str| {
            without_line_end(text.to_owned(), "password", "it").map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(read(" two words \r\n").unwrap(), " two words ");
        assert!(read("\n").unwrap_err().to_string().contains("no password"));
        assert!(read("a\nb\n").unwrap_err().to_string().contains("more than one line"));
    }
}
