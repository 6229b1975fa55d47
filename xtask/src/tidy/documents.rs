//! Rules for what people read: tests that a document names exist, links inside the checkout lead somewhere, nothing
//! looks like a vendor's token, and open questions are issues, not notes in the margin.

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::LazyLock;

use regex::Regex;

use crate::checkout::Text;
use crate::finding::Finding;

/// `tests: one_name, another_name`, each perhaps in backticks, perhaps over the end of a line.
static NAMED_TESTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\btests?:\s*((?:`?[a-z][a-z0-9]*(?:_[a-z0-9]+)+`?(?:,\s*|\s+and\s+)?)+)").expect("valid")
});
static TEST_NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+").expect("valid"));
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bfn\s+([A-Za-z0-9_]+)").expect("valid"));
static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)").expect("valid"));
static FORTY_HEX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[0-9a-fA-F]{40}\b").expect("valid"));
/// Spelled so that this file does not find itself.
static NOTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(concat!(r"\b(TO", "DO|FIX", "ME|XX", r"X)\b")).expect("valid"));

pub fn findings(texts: &[Text]) -> Vec<Finding> {
    let functions = functions(texts);
    let paths: BTreeSet<_> = texts.iter().map(|text| text.path.as_str()).collect();
    let mut findings = Vec::new();
    for text in texts {
        if text.path.ends_with(".md") {
            findings.extend(missing_tests(text, &functions));
            findings.extend(dead_links(text, &paths));
            findings.extend(token_shapes(text));
        }
        findings.extend(margin_notes(text));
    }
    findings
}

fn functions(texts: &[Text]) -> BTreeSet<&str> {
    texts
        .iter()
        .filter(|text| text.path.ends_with(".rs"))
        .flat_map(|text| FUNCTION.captures_iter(&text.content))
        .map(|found| found.extract::<1>().1[0])
        .collect()
}

fn missing_tests(text: &Text, functions: &BTreeSet<&str>) -> Vec<Finding> {
    NAMED_TESTS
        .captures_iter(&text.content)
        .filter_map(|named| named.get(1))
        .flat_map(|list| {
            TEST_NAME
                .find_iter(list.as_str())
                .map(move |name| (list.start() + name.start(), name.as_str()))
        })
        .filter(|(_, name)| !functions.contains(name))
        .map(|(at, name)| {
            Finding::at(
                &text.path,
                line_of(&text.content, at),
                format!("there is no test {name}"),
            )
        })
        .collect()
}

fn dead_links(text: &Text, paths: &BTreeSet<&str>) -> Vec<Finding> {
    LINK.captures_iter(&text.content)
        .filter_map(|link| link.get(1))
        .filter(|target| !target.as_str().contains("://") && !target.as_str().starts_with("mailto:"))
        .filter(|target| !exists(&resolve(&text.path, target.as_str()), paths))
        .map(|target| {
            let line = line_of(&text.content, target.start());
            Finding::at(
                &text.path,
                line,
                format!("the link to {} leads nowhere", target.as_str()),
            )
        })
        .collect()
}

/// A link's target as a path from the root of the checkout.
fn resolve(from: &str, target: &str) -> String {
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let joined = folder.join(target);
    let mut parts: Vec<&str> = Vec::new();
    for component in joined.components() {
        match component {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

fn exists(target: &str, paths: &BTreeSet<&str>) -> bool {
    let as_folder = format!("{target}/");
    paths.contains(target) || target.is_empty() || paths.iter().any(|path| path.starts_with(&as_folder))
}

/// The vendor's tokens are 40 hexadecimal digits; a document that shows one is either a leak or teaches people to
/// overlook one.
fn token_shapes(text: &Text) -> Vec<Finding> {
    FORTY_HEX
        .find_iter(&text.content)
        .map(|found| {
            Finding::at(
                &text.path,
                line_of(&text.content, found.start()),
                "has the shape of a vendor's token",
            )
        })
        .collect()
}

fn margin_notes(text: &Text) -> Vec<Finding> {
    // Lock files hold digests and other people's names.
    if text.path.ends_with(".lock") || text.path.ends_with("package-lock.json") {
        return Vec::new();
    }
    NOTE.find_iter(&text.content)
        .map(|found| {
            let line = line_of(&text.content, found.start());
            Finding::at(
                &text.path,
                line,
                format!("{}: open questions are issues", found.as_str()),
            )
        })
        .collect()
}

fn line_of(content: &str, at: usize) -> usize {
    content[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(content: &str) -> Text {
        Text {
            path: "docs/page.md".to_owned(),
            content: content.to_owned(),
        }
    }

    #[test]
    fn every_test_a_document_names_exists() {
        let functions = BTreeSet::from(["core_is_pure", "p3_acknowledged_is_durable"]);
        for (content, missing) in [
            ("core does no I/O (test: `core_is_pure`)", 0),
            ("(tests: `core_is_pure`, `p3_acknowledged_is_durable`)", 0),
            ("tests: core_is_pure,\n  p4_absent", 1),
            ("(tests: `p4_absent` and `p5_absent`)", 2),
            ("how the tests: are run", 0),
        ] {
            assert_eq!(
                missing_tests(&document(content), &functions).len(),
                missing,
                "{content:?}"
            );
        }
    }

    #[test]
    fn links_lead_somewhere() {
        let paths = BTreeSet::from(["README.md", "docs/adr/0001.md"]);
        for (content, dead) in [
            (
                "[up](../README.md) [here](adr/0001.md#context) [folder](adr) [web](https://example.org/x)",
                0,
            ),
            ("[gone](adr/0002.md)", 1),
            ("[outside](../../README.md)", 0),
        ] {
            assert_eq!(dead_links(&document(content), &paths).len(), dead, "{content:?}");
        }
    }

    #[test]
    fn the_shape_of_a_token_is_found() {
        let hex = "0123456789abcdef";
        let forty = format!("{hex}{hex}01234567");
        assert_eq!(
            token_shapes(&document(&format!("token {forty}"))),
            [Finding::at("docs/page.md", 1, "has the shape of a vendor's token")]
        );
        assert!(token_shapes(&document(&format!("digest {hex}{hex}{hex}{hex}"))).is_empty());
    }

    #[test]
    fn notes_in_the_margin_are_found() {
        let note = concat!("first\n// TO", "DO later");
        assert_eq!(margin_notes(&document(note)).len(), 1);
        assert!(margin_notes(&document("a todo list")).is_empty());
    }
}
