//! The replicas that a scale subresource reads must be such.

use crate::error::FieldError;
use serde_json::Value;

/// Where an object holds what its scale subresource shows; paths such as `.spec.replicas`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scale {
    /// The wanted replicas.
    pub spec_replicas: String,
    /// The observed replicas.
    pub status_replicas: String,
    /// The selector, if there is one.
    pub label_selector: Option<String>,
}

impl Scale {
    pub(crate) fn check(&self, object: &Value, errors: &mut Vec<FieldError>) {
        replicas(&self.spec_replicas, object, errors);
        self.check_status(object, errors);
    }

    pub(crate) fn check_status(&self, object: &Value, errors: &mut Vec<FieldError>) {
        replicas(&self.status_replicas, object, errors);
        if let Some(path) = &self.label_selector
            && let Err(detail) = find(path, object, "string", Value::is_string)
        {
            push(path, Value::String(String::new()), detail, errors);
        }
    }
}

fn replicas(path: &str, object: &Value, errors: &mut Vec<FieldError>) {
    match find(path, object, "int64", Value::is_i64) {
        Err(detail) => push(path, 0.into(), detail, errors),
        Ok(Some(Value::Number(count))) => match count.as_i64().unwrap_or_default() {
            count if count < 0 => push(
                path,
                count.into(),
                "should be a non-negative integer".to_owned(),
                errors,
            ),
            count if count > i64::from(i32::MAX) => {
                push(
                    path,
                    count.into(),
                    format!("should be less than or equal to {}", i32::MAX),
                    errors,
                );
            }
            _ => {}
        },
        Ok(_) => {}
    }
}

/// These errors keep the dot with which their path begins.
fn push(path: &str, value: Value, detail: String, errors: &mut Vec<FieldError>) {
    let mut error = FieldError::invalid(path, value, detail);
    path.clone_into(&mut error.path);
    errors.push(error);
}

/// The value at `path`, if there is one of the wanted type.
fn find<'a>(
    path: &str,
    object: &'a Value,
    wanted: &str,
    fits: impl Fn(&Value) -> bool,
) -> Result<Option<&'a Value>, String> {
    let pointer: String = path
        .trim_start_matches('.')
        .split('.')
        .map(|step| format!("/{step}"))
        .collect();
    match object.pointer(&pointer) {
        Some(value) if !fits(value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let found = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Number(_) if value.is_f64() => "float64",
                Value::Number(_) => "int64",
                Value::Array(_) => "[]interface {}",
                Value::Object(_) => "map[string]interface {}",
                Value::Null => "<nil>",
            };
            Err(format!(
                "{path} accessor error: {text} is of the type {found}, expected {wanted}"
            ))
        }
        found => Ok(found),
    }
}
