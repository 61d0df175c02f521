//! From the text of a payload to its objects.

use std::collections::BTreeSet;
use std::time::Duration;

use fairway_core::apply::canonical;
use fairway_core::digest::Digest;
use serde_json::Value;

use super::object::{ObjectId, group_and_version, text};
use super::pods;

/// Most bytes of a payload.
pub const MAX_BYTES: usize = 1 << 20;
/// Most objects of a payload.
pub const MAX_OBJECTS: usize = 1000;

/// A payload as users wrote it, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// Its objects in their order.
    pub manifests: Vec<Manifest>,
    /// Hash of all of them: SHA-256 of their canonical JSON, as hexadecimal digits.
    pub hash: String,
}

/// One object of a payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Number of its document, from 0.
    pub document: usize,
    /// Which object it means. The namespace is that of the manifest.
    pub id: ObjectId,
    /// Version of its API.
    pub version: String,
    /// The manifest as users wrote it.
    pub object: Value,
}

/// Why a payload cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", .document.map(|n| format!("document {n} of the payload: ")).unwrap_or_default())]
pub struct Invalid {
    /// Number of the document that is wrong, from 0; empty documents count. `None`: the payload as a whole is.
    pub document: Option<usize>,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is too long.
    #[error("the payload has {0} bytes, but at most {MAX_BYTES} are possible")]
    TooLong(usize),
    /// It has too many objects.
    #[error("the payload has more than {MAX_OBJECTS} objects")]
    TooMany,
    /// A document is neither YAML nor JSON, or no object.
    #[error("it cannot be decoded: {0}")]
    Undecodable(String),
    /// An object has no kind.
    #[error("the object has no kind")]
    NoKind,
    /// An object has no API version.
    #[error("the object has no apiVersion")]
    NoApiVersion,
    /// An object has no name.
    #[error("the object has no name")]
    NoName,
    /// An object leaves its name to the API server.
    #[error("the object has a generateName instead of a name; give it a name")]
    GenerateName,
    /// A name or namespace that no object can have.
    #[error("{0:?} cannot be a name")]
    BadName(String),
    /// An object is there twice.
    #[error("{0} is in the payload twice")]
    Duplicate(String),
}

impl Problem {
    pub(super) fn at(self, document: usize) -> Invalid {
        Invalid {
            document: Some(document),
            problem: self,
        }
    }

    fn everywhere(self) -> Invalid {
        Invalid {
            document: None,
            problem: self,
        }
    }
}

impl Payload {
    /// Decodes a payload: all of it, or nothing.
    ///
    /// # Errors
    /// The first thing that is wrong, with the number of its document.
    pub fn decode(payload: &str) -> Result<Self, Invalid> {
        if payload.len() > MAX_BYTES {
            return Err(Problem::TooLong(payload.len()).everywhere());
        }
        let mut manifests = Vec::new();
        for (document, value) in api::yaml::documents(payload).into_iter().enumerate() {
            let value = value.map_err(|error| Problem::Undecodable(error.to_string()).at(document))?;
            flatten(document, value, &mut manifests)?;
        }
        let mut seen = BTreeSet::new();
        for manifest in &manifests {
            if !seen.insert(&manifest.id) {
                return Err(Problem::Duplicate(manifest.id.to_string()).at(manifest.document));
            }
        }
        let objects = manifests.iter().map(|manifest| manifest.object.clone()).collect();
        let hash = Digest::of(&canonical(&Value::Array(objects))).hex();
        Ok(Self { manifests, hash })
    }

    /// How long a cluster may need to remove this payload.
    pub fn fence_grace(&self) -> Duration {
        pods::fence_grace(self.manifests.iter().map(|manifest| &manifest.object))
    }
}

/// Adds an object, or the items of a list in its place.
fn flatten(document: usize, value: Value, manifests: &mut Vec<Manifest>) -> Result<(), Invalid> {
    if value.is_null() {
        return Ok(());
    }
    let Value::Object(mut map) = value else {
        return Err(Problem::Undecodable("it is no object".to_owned()).at(document));
    };
    let of_list =
        |map: &serde_json::Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let (kind, api_version) = (of_list(&map, "kind"), of_list(&map, "apiVersion"));
    let item_kind = kind.as_deref().and_then(|kind| kind.strip_suffix("List"));
    if let Some(item_kind) = item_kind
        && let Some(Value::Array(items)) = map.get_mut("items").map(Value::take)
    {
        for mut item in items {
            // Items of a typed list need not say what they are.
            if let Some(item) = item.as_object_mut().filter(|_| !item_kind.is_empty()) {
                item.entry("kind").or_insert_with(|| item_kind.into());
                item.entry("apiVersion")
                    .or_insert_with(|| api_version.clone().unwrap_or_default().into());
            }
            flatten(document, item, manifests)?;
        }
        return Ok(());
    }
    if manifests.len() == MAX_OBJECTS {
        return Err(Problem::TooMany.everywhere());
    }
    manifests.push(manifest(document, Value::Object(map)).map_err(|problem| problem.at(document))?);
    Ok(())
}

fn manifest(document: usize, object: Value) -> Result<Manifest, Problem> {
    if text(&object, "/kind").is_empty() {
        return Err(Problem::NoKind);
    }
    let (_, version) = group_and_version(text(&object, "/apiVersion"));
    if version.is_empty() {
        return Err(Problem::NoApiVersion);
    }
    let version = version.to_owned();
    for field in ["labels", "annotations"] {
        let pointer = format!("/metadata/{field}");
        let is_map =
            |value: &Value| value.is_null() || value.as_object().is_some_and(|map| map.values().all(Value::is_string));
        if !object.pointer(&pointer).is_none_or(is_map) {
            return Err(Problem::Undecodable(format!("metadata.{field} is no map of texts")));
        }
    }
    let id = ObjectId::of(&object);
    if id.name.is_empty() {
        let generated = !text(&object, "/metadata/generateName").is_empty();
        return Err(if generated {
            Problem::GenerateName
        } else {
            Problem::NoName
        });
    }
    for name in [Some(&id.name), id.namespace.as_ref()].into_iter().flatten() {
        // Names become parts of paths.
        if matches!(name.as_str(), "." | "..") || name.contains(['/', '%']) {
            return Err(Problem::BadName(name.clone()));
        }
    }
    Ok(Manifest {
        document,
        id,
        version,
        object,
    })
}
