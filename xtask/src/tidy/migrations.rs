//! Migrations are numbered without gaps and never edited after a release: a database in the field has already run
//! them. `CHECKSUMS` beside them holds the digests of those released; later ones may still change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::checkout::{Checkout, Text};
use crate::finding::Finding;

const FOLDER: &str = "crates/store/migrations/";
const CHECKSUMS: &str = "crates/store/migrations/CHECKSUMS";

pub fn findings(texts: &[Text]) -> Result<Vec<Finding>> {
    let migrations = migrations(texts);
    let mut findings = numbering(&migrations);
    let sealed = texts
        .iter()
        .find(|text| text.path == CHECKSUMS)
        .map_or("", |text| &text.content);
    for (file, digest) in parse(sealed)? {
        match migrations.get(file) {
            Some(content) if sha256(content) == digest => {}
            Some(_) => findings.push(Finding::in_file(
                &format!("{FOLDER}{file}"),
                "was changed after its release",
            )),
            None => findings.push(Finding::in_file(CHECKSUMS, format!("{file} was released and is gone"))),
        }
    }
    Ok(findings)
}

/// Adds the migrations that are new since the last release.
pub fn seal(checkout: &Checkout) -> Result<()> {
    let texts = checkout.texts()?;
    if let Some(finding) = findings(&texts)?.first() {
        bail!("{finding}");
    }
    let mut sealed = String::new();
    for (file, content) in migrations(&texts) {
        writeln!(sealed, "{}  {file}", sha256(content))?;
    }
    std::fs::write(checkout.path(CHECKSUMS), sealed).with_context(|| format!("cannot write {CHECKSUMS}"))
}

/// File name → content, in order.
fn migrations(texts: &[Text]) -> BTreeMap<&str, &str> {
    texts
        .iter()
        .filter_map(|text| Some((text.path.strip_prefix(FOLDER)?, text.content.as_str())))
        .filter(|(file, _)| file.ends_with(".sql"))
        .collect()
}

fn numbering(migrations: &BTreeMap<&str, &str>) -> Vec<Finding> {
    (1..)
        .zip(migrations.keys())
        .filter(|(number, file)| !file.starts_with(&format!("{number:04}_")))
        .map(|(number, file)| {
            let complaint = format!("should be number {number:04}: one number for both databases, no gaps");
            Finding::in_file(&format!("{FOLDER}{file}"), complaint)
        })
        .collect()
}

/// The format of `sha256sum`, so that anybody can check it.
fn parse(checksums: &str) -> Result<Vec<(&str, &str)>> {
    checksums
        .lines()
        .map(|line| {
            let (digest, file) = line
                .split_once("  ")
                .with_context(|| format!("{CHECKSUMS}: cannot read {line:?}"))?;
            Ok((file, digest))
        })
        .collect()
}

fn sha256(content: &str) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &str, content: &str) -> Text {
        Text {
            path: format!("{FOLDER}{file}"),
            content: content.to_owned(),
        }
    }

    #[test]
    fn a_released_migration_is_never_changed_nor_removed() {
        let sealed = text("CHECKSUMS", &format!("{}  0001_start.sql\n", sha256("CREATE")));
        for (files, found) in [
            (
                vec![text("0001_start.sql", "CREATE"), text("0002_new.sql", "anything")],
                0,
            ),
            (vec![text("0001_start.sql", "create")], 1),
            (vec![], 1),
        ] {
            let mut files = files;
            files.push(Text {
                path: sealed.path.clone(),
                content: sealed.content.clone(),
            });
            assert_eq!(findings(&files).unwrap().len(), found, "{files:?}");
        }
    }

    #[test]
    fn numbers_have_neither_gaps_nor_twins() {
        let files = [text("0001_a.sql", ""), text("0003_b.sql", "")];
        assert_eq!(findings(&files).unwrap().len(), 1);
        let files = [text("0001_a.sql", ""), text("0001_b.sql", "")];
        assert_eq!(findings(&files).unwrap().len(), 1);
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        assert_eq!(
            sha256("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
