//! Trimmed, typed views of stored objects.
//!
//! A view is decoded once, when a watch delivers the object, and holds only what decisions read.
//! The bulk of a manifest is held once and shared ([`Interner`]); Works keep a hash of theirs.
//! Views are never written back: writes are JSON patches of the fields that change.

mod binding;
mod manifest;
mod member;
mod overrides;
mod placement;
mod snapshots;
mod traffic;
mod work;

pub use crate::digest::Digest;
pub use crate::meta::Meta;
pub use api::placement::v1beta1::BindingState;
pub use binding::Binding;
pub use manifest::{Interner, Manifest, ObjectId};
pub use member::Member;
pub use overrides::{OverrideKind, OverrideSnapshot};
pub use placement::{InvalidKey, Placement, PlacementKey};
pub use snapshots::{PolicySnapshot, ResourceSnapshot};
pub use traffic::{TrafficBackend, TrafficProfile};
pub use work::Work;

/// A stored object that does not have the shape of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The {kind} {name:?} cannot be read: {reason}.")]
pub struct DecodeError {
    /// Kind of the object.
    pub kind: &'static str,
    /// Its name, with the namespace in front where it has one.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

impl DecodeError {
    pub(crate) fn new(kind: &'static str, name: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Reads a typed shape out of a tree, naming the object when it does not fit.
fn decode<T: serde::de::DeserializeOwned>(kind: &'static str, value: serde_json::Value) -> Result<T, DecodeError> {
    let text = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    let name = match text("/metadata/namespace") {
        "" => text("/metadata/name").to_owned(),
        namespace => format!("{namespace}/{}", text("/metadata/name")),
    };
    serde_json::from_value(value).map_err(|err| DecodeError::new(kind, &name, err))
}
