//! Bodies as JSON: size and depth are bounded before anything else is looked at, and read into the shape that an operation
//! takes.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ArmError;

/// Largest body, in bytes. A profile with 200 endpoints takes about a tenth.
pub const LIMIT: usize = 1 << 20;

/// A body as a JSON object.
///
/// # Errors
/// 400 when it is empty or no object; 413 when it is too large.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, ArmError> {
    if bytes.len() > LIMIT {
        let message = format!("The request content is larger than {LIMIT} bytes.");
        return Err(ArmError::new(413, "RequestContentTooLarge", message));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ArmError::content("the body is empty"));
    }
    // The parser bounds the depth.
    match serde_json::from_slice(bytes).map_err(ArmError::content)? {
        Value::Object(object) => Ok(object),
        _ => Err(ArmError::content("the body is not an object")),
    }
}

/// A JSON object in the shape that an operation takes. Null means absent.
///
/// # Errors
/// 400 when a property has another type.
pub fn shape<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, ArmError> {
    serde_json::from_value(Value::Object(object)).map_err(ArmError::content)
}

/// Lays a patch over a resource as ARM does: objects are merged, null removes, arrays and `tags` are replaced.
pub fn patch(resource: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        let replaced = name.eq_ignore_ascii_case("tags");
        match (resource.get_mut(&name), value) {
            (_, Value::Null) => {
                resource.remove(&name);
            }
            (Some(Value::Object(inner)), Value::Object(value)) if !replaced => self::patch(inner, value),
            (_, value) => {
                resource.insert(name, value);
            }
        }
    }
}
