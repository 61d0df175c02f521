//! Strategic merge patch for built-in kinds: applying a patch as the API server does, and computing the three-way patch of a
//! client-side apply.
//!
//! The markers (merge keys, replace, retain keys) come from the table of built-in types.

mod apply;
mod identity;
mod order;
mod three_way;

use crate::types::TypeInfo;
pub use crate::types::is_client_go_kind;
use serde_json::Value;

/// The directive that replaces or deletes the map or list element that holds it.
const PATCH: &str = "$patch";
/// Lists the members that a union keeps.
const RETAIN_KEYS: &str = "$retainKeys";
/// Prefix of the key that gives a list's order.
const SET_ORDER: &str = "$setElementOrder/";
/// Prefix of the key that lists scalars to remove.
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Why a strategic merge is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// The kind is not in the table of built-in types.
    #[error("The kind {kind} of {api_version} has no strategic merge.")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// A patch or document is not a map.
    #[error("A strategic merge works on maps only.")]
    NotAMap,
    /// A list element lacks the key that identifies it.
    #[error("An element of {field:?} lacks its merge key {key:?}.")]
    MissingKey {
        /// The list.
        field: String,
        /// The merge key.
        key: String,
    },
    /// A directive has a value that it cannot have.
    #[error("The directive {directive:?} has a value that is not valid.")]
    BadDirective {
        /// The directive as written.
        directive: String,
    },
}

/// Applies a strategic merge patch to an object of a built-in kind.
///
/// # Errors
/// Kinds without a table entry, and patches with malformed directives or elements without merge key.
pub fn apply(api_version: &str, kind: &str, doc: &Value, patch: &Value) -> Result<Value, StrategicError> {
    let root = root(api_version, kind)?;
    let (Value::Object(doc), Value::Object(patch)) = (doc, patch) else {
        return Err(StrategicError::NotAMap);
    };
    apply::map(doc.clone(), patch, root).map(Value::Object)
}

/// The patch that brings `current` to `modified` and leaves alone what neither `original` nor `modified` contains.
///
/// `original` is what was applied last time (`Value::Null` if nothing was). Conflicting changes of others are overwritten. The
/// result is an empty map when there is nothing to do.
///
/// # Errors
/// Kinds without a table entry, and lists whose elements lack the merge key.
pub fn three_way(
    api_version: &str,
    kind: &str,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, StrategicError> {
    let root = root(api_version, kind)?;
    let (Value::Object(modified), Value::Object(current)) = (modified, current) else {
        return Err(StrategicError::NotAMap);
    };
    let empty = serde_json::Map::new();
    three_way::map(original.as_object().unwrap_or(&empty), modified, current, root).map(Value::Object)
}

fn root(api_version: &str, kind: &str) -> Result<TypeInfo<'static>, StrategicError> {
    TypeInfo::builtin(api_version, kind).ok_or_else(|| StrategicError::UnknownKind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    })
}

/// The value of an element's merge key.
fn key_of<'a>(field: &str, key: &str, element: &'a Value) -> Result<&'a Value, StrategicError> {
    let missing = || StrategicError::MissingKey {
        field: field.to_owned(),
        key: key.to_owned(),
    };
    element.get(key).filter(|value| !value.is_null()).ok_or_else(missing)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
