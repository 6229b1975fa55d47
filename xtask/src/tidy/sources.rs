//! Rules for single lines and files of Rust: every module says what it is for, clock and chance stay at the edge,
//! unchecked SQL stays in one file, and no example hides in a comment where no test runs it.

use crate::checkout::Text;
use crate::finding::Finding;

/// Files that may read clock, chance and environment, besides every `edge.rs`: where a program begins, and these
/// chores, which are no part of the product.
const EDGES: [&str; 2] = ["crates/ostler/src/main.rs", "xtask/"];

pub fn findings(texts: &[Text]) -> Vec<Finding> {
    let sources: Vec<_> = texts.iter().filter(|text| text.path.ends_with(".rs")).collect();
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(module_doc(source));
        findings.extend(lifted_bans(source));
        findings.extend(doc_examples(source));
    }
    findings.extend(unchecked_sql(&sources));
    findings
}

/// A file of tests says what it is for by its name.
fn module_doc(source: &Text) -> Option<Finding> {
    if source.path.ends_with("/tests.rs") {
        return None;
    }
    let first = source
        .content
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!["))?;
    (!first.starts_with("//!")).then(|| Finding::at(&source.path, 1, "the module does not say what it is for (//!)"))
}

/// Clippy bans the clock and its kin; here is who may lift the ban. A test is its own edge.
fn lifted_bans(source: &Text) -> Vec<Finding> {
    let path = source.path.as_str();
    let at_edge = path.ends_with("/edge.rs") || EDGES.iter().any(|edge| path.starts_with(edge));
    let of_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
    if at_edge || of_tests {
        return Vec::new();
    }
    let shipped = source.content.split("#[cfg(test)]").next().unwrap_or("");
    (1..)
        .zip(shipped.lines())
        .filter(|(_, line)| line.contains("clippy::disallowed_methods"))
        .map(|(line, _)| Finding::at(path, line, "clock, chance and environment are read in edge.rs only"))
        .collect()
}

/// Examples live in tests; those in comments are not run, so none may look as if it were. A fence there names another
/// language, or says `ignore`.
fn doc_examples(source: &Text) -> Vec<Finding> {
    let mut inside = false;
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.content.lines()) {
        let line = line.trim_start();
        let Some(comment) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        let Some(language) = comment.trim_start().strip_prefix("```") else {
            continue;
        };
        let rust = ["", "rust", "no_run", "should_panic", "compile_fail"];
        let mut words = language.split(',').map(str::trim);
        let runs_as_rust = words.clone().all(|word| word != "ignore") && words.any(|word| rust.contains(&word));
        if !inside && runs_as_rust {
            findings.push(Finding::at(
                &source.path,
                number,
                "an example in a comment is run by no test: name its language",
            ));
        }
        inside = !inside;
    }
    findings
}

fn unchecked_sql(sources: &[&Text]) -> Vec<Finding> {
    let word = concat!("Assert", "SqlSafe");
    let files: Vec<_> = sources.iter().filter(|source| source.content.contains(word)).collect();
    let too_many = files.len() > 1;
    files
        .into_iter()
        .filter(|_| too_many)
        .map(|source| Finding::in_file(&source.path, format!("{word} stands in more than one file")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, content: &str) -> Text {
        Text {
            path: path.to_owned(),
            content: content.to_owned(),
        }
    }

    #[test]
    fn a_module_says_what_it_is_for() {
        for (content, silent) in [
            ("//! Reads.\nfn a() {}", false),
            ("#![no_std]\n\n//! Reads.", false),
            ("use std::fmt;", true),
            ("/// Reads.\nfn a() {}", true),
            ("\n", false),
        ] {
            assert_eq!(module_doc(&source("a.rs", content)).is_some(), silent, "{content:?}");
        }
    }

    #[test]
    fn bans_are_lifted_only_at_the_edge() {
        let lifting = "//! x\n#[expect(clippy::disallowed_methods, reason = \"x\")]";
        for (path, refused) in [
            ("crates/server/src/edge.rs", false),
            ("crates/ostler/src/main.rs", false),
            ("crates/server/src/lib.rs", true),
            ("crates/ostler/src/main_test.rs", true),
            ("crates/server/src/knowledge.rs", true),
            ("crates/server/src/listen/tests.rs", false),
            ("crates/server/tests/slow.rs", false),
        ] {
            assert_eq!(!lifted_bans(&source(path, lifting)).is_empty(), refused, "{path}");
        }
        let in_tests = format!("//! x\n#[cfg(test)]\nmod tests {{\n{lifting}");
        assert!(lifted_bans(&source("crates/server/src/lib.rs", &in_tests)).is_empty());
    }

    #[test]
    fn rust_in_comments_is_found_and_other_languages_are_not() {
        for (content, found) in [
            ("/// ```\n/// a();\n/// ```", 1),
            ("/// ```json\n/// {}\n/// ```\n/// ```text\n/// x\n/// ```", 0),
            ("//! ```no_run\n//! ```", 1),
            ("/// ```rust,ignore\n/// ```\n/// ```ignore\n/// ```", 0),
            ("/// ```json\n/// {}\n/// ```\nfn a() {}\n/// ```\n/// ```", 1),
            ("let fence = \"```\";", 0),
        ] {
            assert_eq!(doc_examples(&source("a.rs", content)).len(), found, "{content:?}");
        }
    }

    #[test]
    fn unchecked_sql_stays_in_one_file() {
        let word = concat!("Assert", "SqlSafe");
        let (one, two) = (source("one.rs", word), source("two.rs", word));
        assert!(unchecked_sql(&[&one]).is_empty());
        assert_eq!(unchecked_sql(&[&one, &two]).len(), 2);
    }
}
