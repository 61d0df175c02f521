//! Checks of single values.

use crate::error::{ErrorKind, FieldError};
use crate::formats;
use crate::node::Node;
use serde_json::{Map, Number, Value};

/// The type. Whole numbers count as integers however they are written.
pub(super) fn kind(node: &Node, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let wanted = if node.int_or_string {
        "integer,string"
    } else {
        node.kind.as_str()
    };
    let found = match value {
        Value::Null if node.nullable => return,
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
    };
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = wanted.split(',').any(|kind| match kind {
        "" => true,
        "integer" => found == "integer" || found == "number" && whole,
        "number" => found == "number" || found == "integer",
        kind => kind == found,
    });
    if !fits {
        let detail = format!("{path} in body must be of type {wanted}: {found:?}");
        errors.push(FieldError::new(
            ErrorKind::TypeInvalid,
            path,
            Value::String(found.to_owned()),
            detail,
        ));
    }
}

pub(super) fn enumeration(node: &Node, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    if node.enumeration.is_empty() || node.enumeration.contains(value) {
        return;
    }
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let supported: Vec<String> = node.enumeration.iter().map(plain).collect();
    errors.push(FieldError::not_supported(path, value.clone(), &supported));
}

/// Length (in characters), pattern and format; the first that fails is reported, and the format in any case.
pub(super) fn text(node: &Node, path: &str, text: &str, errors: &mut Vec<FieldError>) {
    let value = || Value::String(text.to_owned());
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    match (node.limits.max_length, node.limits.min_length, &node.pattern) {
        (Some(max), _, _) if length > max => {
            let unit = if max == 1 { "byte" } else { "bytes" };
            errors.push(FieldError::new(
                ErrorKind::TooLong,
                path,
                Value::Null,
                format!("may not be more than {max} {unit}"),
            ));
        }
        (_, Some(min), _) if length < min => {
            errors.push(FieldError::invalid(
                path,
                value(),
                format!("{path} in body should be at least {min} chars long"),
            ));
        }
        (_, _, Some((pattern, regex))) if !regex.is_match(text) => {
            errors.push(FieldError::invalid(
                path,
                value(),
                format!("{path} in body should match '{pattern}'"),
            ));
        }
        _ => {}
    }
    if !node.format.is_empty() && !formats::fits(&node.format, text) {
        let detail = format!("{path} in body must be of type {}: {text:?}", node.format);
        errors.push(FieldError::new(ErrorKind::TypeInvalid, path, value(), detail));
    }
}

pub(super) fn number(node: &Node, path: &str, number: &Number, errors: &mut Vec<FieldError>) {
    let Some(found) = number.as_f64() else { return };
    let limits = &node.limits;
    let mut fail = |detail: String| {
        errors.push(FieldError::invalid(
            path,
            Value::Number(number.clone()),
            format!("{path} in body should be {detail}"),
        ));
    };
    if let Some(factor) = limits
        .multiple_of
        .filter(|factor| *factor > 0.0 && (found / factor).fract() != 0.0)
    {
        fail(format!("a multiple of {factor}"));
    }
    match (limits.minimum, limits.exclusive_minimum) {
        (Some(min), true) if found <= min => fail(format!("greater than {min}")),
        (Some(min), false) if found < min => fail(format!("greater than or equal to {min}")),
        _ => {}
    }
    match (limits.maximum, limits.exclusive_maximum) {
        (Some(max), true) if found >= max => fail(format!("less than {max}")),
        (Some(max), false) if found > max => fail(format!("less than or equal to {max}")),
        _ => {}
    }
}

pub(super) fn list_size(node: &Node, path: &str, list: &[Value], errors: &mut Vec<FieldError>) {
    let size = count(list.len());
    if let Some(min) = node.limits.min_items.filter(|min| size < *min) {
        errors.push(FieldError::invalid(
            path,
            size.into(),
            format!("{path} in body should have at least {min} items"),
        ));
    }
    if let Some(max) = node.limits.max_items.filter(|max| size > *max) {
        errors.push(too_many(path, size, max));
    }
    if node.limits.unique_items
        && list
            .iter()
            .enumerate()
            .any(|(index, value)| list[..index].contains(value))
    {
        let detail = format!("{path} in body shouldn't contain duplicates");
        errors.push(FieldError::invalid(path, Value::String(String::new()), detail));
    }
}

pub(super) fn map_size(node: &Node, path: &str, map: &Map<String, Value>, errors: &mut Vec<FieldError>) {
    let size = count(map.len());
    if let Some(min) = node.limits.min_properties.filter(|min| size < *min) {
        errors.push(FieldError::invalid(
            path,
            size.into(),
            format!("{path} in body should have at least {min} properties"),
        ));
    }
    if let Some(max) = node.limits.max_properties.filter(|max| size > *max) {
        errors.push(too_many(path, size, max));
    }
}

fn too_many(path: &str, size: u64, max: u64) -> FieldError {
    let unit = if max == 1 { "item" } else { "items" };
    FieldError::new(
        ErrorKind::TooMany,
        path,
        size.into(),
        format!("must have at most {max} {unit}"),
    )
}

fn count(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
