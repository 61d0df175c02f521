//! A user's manifest: its canonical text once, shared by everybody who needs it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::DecodeError;
use crate::digest::Digest;

/// One object as a user wrote it, ready to be sent: canonical JSON text, identity and labels.
///
/// The text has sorted keys and Go's escapes, so that hashes over it equal those of KubeFleet (placement-api 16.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What the manifest is about.
    pub id: ObjectId,
    /// Labels of the object.
    pub labels: BTreeMap<String, String>,
    text: Arc<str>,
    hash: Digest,
}

/// Identity of an object on any cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name; empty when the object only has a `generateName`.
    pub name: String,
}

/// Keeps one copy of each manifest's content for as long as somebody holds it.
#[derive(Debug, Default)]
pub struct Interner {
    known: Mutex<HashMap<Digest, Weak<Manifest>>>,
}

impl Manifest {
    /// Takes a manifest in, unchanged.
    ///
    /// # Errors
    /// When the value is no object or lacks `apiVersion` or `kind`.
    pub fn from_value(value: &Value) -> Result<Self, DecodeError> {
        let id = ObjectId::of(value)?;
        let labels = value
            .pointer("/metadata/labels")
            .and_then(Value::as_object)
            .map(|all| {
                all.iter()
                    .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                    .collect()
            })
            .unwrap_or_default();
        let text = api::hash::go_json(value).map_err(|err| DecodeError::new("manifest", &id.name, err))?;
        let text: Arc<str> = text.into();
        let hash = Digest::of(&text);
        Ok(Self { id, labels, text, hash })
    }

    /// The canonical JSON text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The hash of the canonical text.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The manifest as a tree; parsed anew at each call, because few decisions need it.
    pub fn value(&self) -> Value {
        // The text was written from a tree by `from_value`, so it always parses.
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// A manifest is written as the object that it is.
impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Self::from_value(&Value::deserialize(de)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifest({} {})", self.id, self.hash)
    }
}

impl ObjectId {
    /// Reads the identity of an object.
    ///
    /// # Errors
    /// When `apiVersion` or `kind` is missing.
    pub fn of(value: &Value) -> Result<Self, DecodeError> {
        let text = |pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let api_version = text("/apiVersion");
        let kind = text("/kind");
        if api_version.is_empty() || kind.is_empty() {
            return Err(DecodeError::new(
                "manifest",
                &text("/metadata/name"),
                "apiVersion and kind must not be empty",
            ));
        }
        let (group, version) = match api_version.split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), api_version),
        };
        Ok(Self {
            group,
            version,
            kind,
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        })
    }

    /// `group/version`, or just the version for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether it is of this group and kind, in any version.
    pub fn is_a(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, Kind={}, ", self.api_version(), self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl Interner {
    /// The shared copy of this content; the first one given becomes it.
    pub fn intern(&self, manifest: Manifest) -> Arc<Manifest> {
        self.share(Arc::new(manifest))
    }

    /// As [`Self::intern`], for a manifest that is already shared.
    pub fn share(&self, manifest: Arc<Manifest>) -> Arc<Manifest> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&manifest.hash).and_then(Weak::upgrade) {
            return found;
        }
        // Dead entries are swept whenever the table would have to grow, which keeps it in proportion to what lives.
        if known.len() == known.capacity() {
            known.retain(|_, held| held.strong_count() > 0);
        }
        known.insert(manifest.hash, Arc::downgrade(&manifest));
        manifest
    }

    /// Number of contents that somebody still holds.
    pub fn len(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().filter(|held| held.strong_count() > 0).count()
    }

    /// Whether nobody holds any content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_canonical_and_identity_is_read() {
        let manifest = Manifest::from_value(&json!({
            "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"namespace": "n", "name": "a", "labels": {"x": "<y>"}},
        }))
        .unwrap();
        assert_eq!(
            manifest.text().as_ref(),
            r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"x":"\u003cy\u003e"},"name":"a","namespace":"n"}}"#
        );
        assert_eq!(manifest.id.to_string(), "apps/v1, Kind=Deployment, n/a");
        assert_eq!(manifest.value().pointer("/metadata/labels/x"), Some(&json!("<y>")));
        assert!(Manifest::from_value(&json!({"kind": "X"})).is_err());
    }

    #[test]
    fn equal_content_is_held_once_and_dropped_with_the_last_holder() {
        let interner = Interner::default();
        let make =
            || Manifest::from_value(&json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}})).unwrap();
        let first = interner.intern(make());
        let second = interner.intern(make());
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(interner.is_empty());
    }
}
