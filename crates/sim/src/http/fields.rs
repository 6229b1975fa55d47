//! Request fields, the same whether they came as JSON, as a form or in the query: the vendor accepts
//! both encodings with the same names (reference §1).

use serde_json::{Map, Value};

/// A flat reading of a body or a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(bytes).ok()? {
            Value::Object(map) => Some(Self(map)),
            Value::Null => Some(Self::default()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    /// `a=1&b[]=2&b[]=3&c[d]=4`: brackets are lists and objects, as the vendor's server reads them.
    pub(crate) fn from_form(text: &[u8]) -> Self {
        let mut map = Map::new();
        for (key, value) in url::form_urlencoded::parse(text) {
            put(&mut map, &key, value.into_owned());
        }
        Self(map)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Numbers and booleans are read as their text: clients disagree about quoting.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The text, unless it is empty.
    pub(crate) fn filled(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    pub(crate) fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        self.text(key)?.parse().ok()
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.text(key).as_deref(), Some("true" | "1"))
    }

    /// One value or many; also "a,b", as queries write lists.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<String>> {
        match self.get(key)? {
            Value::Array(items) => Some(
                items
                    .iter()
                    .filter_map(|item| item.as_str().map(str::to_owned))
                    .collect(),
            ),
            Value::String(text) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|one| !one.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl FromIterator<(String, String)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key, Value::String(value)))
                .collect(),
        )
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: String) {
    let Some((name, inner)) = key.strip_suffix(']').and_then(|key| key.split_once('[')) else {
        map.insert(key.to_owned(), Value::String(value));
        return;
    };
    if inner.is_empty() {
        let list = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list {
            items.push(Value::String(value));
        }
    } else {
        let object = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = object {
            members.insert(inner.to_owned(), Value::String(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_read_alike() {
        let form = Fields::from_form(b"name=barn+3&scopes[]=a&scopes[]=b&auth[username]=u&n=3");
        let json = Fields::from_json(br#"{"name":"barn 3","scopes":["a","b"],"auth":{"username":"u"},"n":3}"#).unwrap();
        for fields in [form, json] {
            assert_eq!(fields.text("name").as_deref(), Some("barn 3"));
            assert_eq!(fields.list("scopes"), Some(vec!["a".to_owned(), "b".to_owned()]));
            assert_eq!(fields.get("auth").unwrap()["username"], "u");
            assert_eq!(fields.number::<u32>("n"), Some(3));
        }
    }

    #[test]
    fn a_customer_scope_keeps_its_inner_equals_sign() {
        let fields = Fields::from_form(b"scope=customer=lamp@example.com");
        assert_eq!(fields.text("scope").as_deref(), Some("customer=lamp@example.com"));
    }
}
