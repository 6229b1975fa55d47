//! What applying a product file would change, entry by entry.
//!
//! Works on the file's JSON form: entries of a list are told apart by what names them (a function's
//! `name`, a mapping's `event`, a key's `key`), so that moving one is not a change of all behind it.

use ostler_core::product_file::ProductFile;
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub struct ProductChange {
    /// Members, and in a list of named entries the entry's name: `/functions/setTarget/max_bytes`.
    pub path: String,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    Added {
        after: Value,
    },
    Removed {
        before: Value,
    },
    Changed {
        before: Value,
        after: Value,
    },
    /// The same entries in another order, which decides the order in which they are shown.
    Reordered,
}

/// `before` is `None` for a product that does not exist yet.
pub fn diff(before: Option<&ProductFile>, after: &ProductFile) -> Vec<ProductChange> {
    let json = |file: &ProductFile| serde_json::to_value(file).expect("a product file holds nothing but JSON");
    let before = before.map_or(Value::Object(Map::new()), json);
    let mut changes = Vec::new();
    compare("", &before, &json(after), &mut changes);
    changes
}

fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<ProductChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => compare_members(path, old, new, changes),
        (Value::Array(old), Value::Array(new)) => match (Named::of(old), Named::of(new)) {
            (Some(old), Some(new)) => compare_entries(path, &old, &new, changes),
            (Some(_) | None, _) => push(path, changed(before, after), changes),
        },
        _ => push(path, changed(before, after), changes),
    }
}

fn compare_members(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, changes: &mut Vec<ProductChange>) {
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        compare_present(&below(path, name), old.get(name), new.get(name), changes);
    }
}

fn compare_entries(path: &str, old: &Named<'_>, new: &Named<'_>, changes: &mut Vec<ProductChange>) {
    let names = old.names().chain(new.names().filter(|name| old.get(name).is_none()));
    for name in names {
        compare_present(&below(path, name), old.get(name), new.get(name), changes);
    }
    let kept_old = old.names().filter(|name| new.get(name).is_some());
    let kept_new = new.names().filter(|name| old.get(name).is_some());
    if !kept_old.eq(kept_new) {
        push(path, ChangeKind::Reordered, changes);
    }
}

fn compare_present(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<ProductChange>) {
    match (old, new) {
        (Some(old), Some(new)) => compare(path, old, new, changes),
        (Some(old), None) => push(path, ChangeKind::Removed { before: old.clone() }, changes),
        (None, Some(new)) => push(path, ChangeKind::Added { after: new.clone() }, changes),
        (None, None) => {}
    }
}

fn changed(before: &Value, after: &Value) -> ChangeKind {
    ChangeKind::Changed {
        before: before.clone(),
        after: after.clone(),
    }
}

fn push(path: &str, kind: ChangeKind, changes: &mut Vec<ProductChange>) {
    changes.push(ProductChange {
        path: path.to_owned(),
        kind,
    });
}

/// RFC 6901 §3.
fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A list in which every entry has a name.
struct Named<'a>(Vec<(&'a str, &'a Value)>);

impl<'a> Named<'a> {
    fn of(entries: &'a [Value]) -> Option<Self> {
        entries
            .iter()
            .map(|entry| Some((name_of(entry)?, entry)))
            .collect::<Option<_>>()
            .map(Self)
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| *name)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, entry)| *entry)
    }
}

fn name_of(entry: &Value) -> Option<&str> {
    ["name", "event", "key"]
        .into_iter()
        .find_map(|member| entry.get(member)?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(toml: &str) -> ProductFile {
        ProductFile::from_toml(toml).unwrap()
    }

    const BASE: &str = r#"
        slug = "thermostat"
        name = "Thermostat"
        [[functions]]
        name = "setTarget"
        argument = { type = "integer", min = 5, max = 30 }
        [[functions]]
        name = "setMode"
        argument = { type = "enum", values = ["heat", "off"] }
        [[variables]]
        name = "temperature"
        type = "double"
    "#;

    #[test]
    fn a_file_does_not_differ_from_itself() {
        assert_eq!(diff(Some(&file(BASE)), &file(BASE)), []);
    }

    #[test]
    fn each_difference_has_its_place() {
        let after = BASE
            .replace("max = 30", "max = 32")
            .replace("[\"heat\", \"off\"]", "[\"heat\"]")
            .replace("name = \"temperature\"", "name = \"target\"");
        let changes = diff(Some(&file(BASE)), &file(&after));
        let max = ChangeKind::Changed {
            before: json!(30),
            after: json!(32),
        };
        let values = ChangeKind::Changed {
            before: json!(["heat", "off"]),
            after: json!(["heat"]),
        };
        let removed = ChangeKind::Removed {
            before: json!({"name": "temperature", "type": "double"}),
        };
        let added = ChangeKind::Added {
            after: json!({"name": "target", "type": "double"}),
        };
        let expected = [
            ("/functions/setTarget/argument/max", max),
            ("/functions/setMode/argument/values", values),
            ("/variables/temperature", removed),
            ("/variables/target", added),
        ];
        assert_eq!(
            changes,
            expected.map(|(path, kind)| ProductChange {
                path: path.to_owned(),
                kind
            })
        );
    }

    #[test]
    fn another_order_is_one_change() {
        let mut after = file(BASE);
        after.functions.reverse();
        let expected = ProductChange {
            path: "/functions".to_owned(),
            kind: ChangeKind::Reordered,
        };
        assert_eq!(diff(Some(&file(BASE)), &after), [expected]);
    }

    #[test]
    fn a_new_product_adds_every_member() {
        let changes = diff(None, &file(BASE));
        assert!(
            changes
                .iter()
                .all(|change| matches!(change.kind, ChangeKind::Added { .. }))
        );
        assert!(changes.iter().any(|change| change.path == "/functions"));
    }
}
