//! JSON values as CEL values, by their schema.

use crate::node::{Additional, Node};
use kube_cel::KubeCelExt;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use kube_cel::cel::{Context, Program, Value as CelValue};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Words that CEL reserves; fields of these names are written with two underscores around them.
const RESERVED: [&str; 19] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
];

/// Converts a value. Of the metadata of the object itself (`root`) and of embedded ones, rules see the names only.
pub(super) fn to_cel(value: &Value, node: Option<&Node>, root: bool) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::String(text) => string(text, node),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), ..) if node.is_none_or(|node| node.kind != "number") => CelValue::Int(whole),
            (None, Some(whole), _) if node.is_none_or(|node| node.kind != "number") => CelValue::UInt(whole),
            (_, _, Some(found)) if found.fract() == 0.0 && node.is_some_and(|node| node.kind == "integer") => {
                // Written as 1.0 in a field of whole numbers; such values are within the range of integers.
                #[allow(clippy::cast_possible_truncation)]
                CelValue::Int(found as i64)
            }
            (.., found) => CelValue::Float(found.unwrap_or_default()),
        },
        Value::Array(list) => {
            let item = node.and_then(|node| node.items.as_deref());
            CelValue::List(Arc::new(
                list.iter().map(|element| to_cel(element, item, false)).collect(),
            ))
        }
        Value::Object(map) => {
            let is_map = node.is_some_and(|node| !matches!(node.additional, Additional::Unset));
            let names_only = root || node.is_some_and(|node| node.embedded);
            let members = map.iter().map(|(key, child)| {
                let child = if names_only && key == "metadata" {
                    metadata(child)
                } else {
                    to_cel(child, node.and_then(|node| node.member(key)), false)
                };
                let key = if is_map { key.clone() } else { escape(key) };
                (Key::String(Arc::new(key)), child)
            });
            let members: HashMap<Key, CelValue> = members.collect();
            CelValue::Map(Map { map: Arc::new(members) })
        }
    }
}

/// `optional.of(value)` or `optional.none()`.
pub(super) fn optional(value: Option<CelValue>) -> CelValue {
    CelValue::Opaque(Arc::new(value.map_or_else(OptionalValue::none, OptionalValue::of)))
}

fn metadata(value: &Value) -> CelValue {
    let names = ["name", "generateName"]
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), value.get(key)?.clone())));
    to_cel(&Value::Object(names.collect()), None, false)
}

/// Texts of the formats date-time, duration and byte are values of CEL's own types.
fn string(text: &str, node: Option<&Node>) -> CelValue {
    let plain = CelValue::String(Arc::new(text.to_owned()));
    let function = match node {
        Some(node) if node.int_or_string || node.kind != "string" => return plain,
        Some(node) => match node.format.as_str() {
            "date-time" | "date" => "timestamp(x)",
            "duration" => "duration(x)",
            "byte" => "base64.decode(x)",
            _ => return plain,
        },
        None => return plain,
    };
    let mut context = Context::default().with_all();
    context.add_variable_from_value("x", plain.clone());
    let converted = Program::compile(function)
        .ok()
        .and_then(|program| program.execute(&context).ok());
    converted.unwrap_or(plain)
}

/// The name by which rules address a field.
fn escape(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
