//! A device made to measure for a test: functions that return a fixed number, variables with a fixed
//! value. It publishes nothing by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Firmware without behaviour.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Custom {
    pub functions: BTreeMap<String, i32>,
    pub variables: BTreeMap<String, Value>,
}

impl Custom {
    pub(super) fn variable_types(&self) -> Vec<(&str, &'static str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), type_of(value)))
            .collect()
    }
}

/// The four types that the `variables` map knows (reference §4.2).
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "int32",
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => "string",
    }
}
