//! The part of object metadata that decisions read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Trimmed metadata of a stored object. Managed fields and owner references are left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name of the object.
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    /// Namespace; `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Identity of this incarnation of the object.
    #[serde(deserialize_with = "null_is_default")]
    pub uid: String,
    /// Version of the whole object, for preconditions.
    #[serde(deserialize_with = "null_is_default")]
    pub resource_version: String,
    /// Version of the spec; conditions are fresh when they carry it.
    #[serde(deserialize_with = "null_is_default")]
    pub generation: i64,
    /// When the object was created, in whole seconds.
    #[serde(rename = "creationTimestamp")]
    pub created: Option<Timestamp>,
    /// Set once the object's deletion was requested.
    #[serde(rename = "deletionTimestamp")]
    pub deleted: Option<Timestamp>,
    /// Names of those who must clean up first.
    #[serde(deserialize_with = "null_is_default")]
    pub finalizers: Vec<String>,
    /// Labels.
    #[serde(deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, without the bulky one that kubectl keeps for itself.
    #[serde(deserialize_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
}

impl Meta {
    /// Whether deletion was requested.
    pub fn is_deleting(&self) -> bool {
        self.deleted.is_some()
    }

    /// Whether the finalizer is present.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.finalizers.iter().any(|f| f == name)
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }
}

/// The text at a path of an object; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Reads `null` as the default of the type, as readers of stored objects must (placement-api 16.1).
pub(crate) fn null_is_default<'de, D, T>(de: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(de)?.unwrap_or_default())
}

fn annotations<'de, D: Deserializer<'de>>(de: D) -> Result<BTreeMap<String, String>, D::Error> {
    let mut all: BTreeMap<String, String> = null_is_default(de)?;
    all.remove(KUBECTL_LAST_APPLIED);
    Ok(all)
}

/// kubectl's copy of the last applied manifest; never of use to a decision.
pub(crate) const KUBECTL_LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
