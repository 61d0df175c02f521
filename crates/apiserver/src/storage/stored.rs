//! One version of one object: its bytes, and the few fields that reads without parsing need.

use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An immutable version of an object.
#[derive(Debug)]
pub struct Stored {
    /// resourceVersion.
    pub rv: u64,
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Labels, for selectors.
    pub labels: BTreeMap<String, String>,
    /// uid.
    pub uid: Arc<str>,
    /// uids of the owners.
    pub owners: Vec<Arc<str>>,
    /// Whether deletion was requested.
    pub terminating: bool,
    /// apiVersion it was written in.
    pub api_version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// JSON text that follows apiVersion and kind, from the comma to the closing brace.
    tail: Bytes,
}

impl Stored {
    /// Freezes `value` with resourceVersion `rv`.
    pub fn new(mut value: Value, rv: u64) -> Self {
        // Version 0 marks an object that was not stored (dry run of a creation).
        crate::object::set_meta(&mut value, "resourceVersion", (rv > 0).then(|| rv.to_string().into()));
        let labels = crate::object::at(&value, &["metadata", "labels"])
            .and_then(Value::as_object)
            .map(|m| {
                m.iter()
                    .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                    .collect()
            })
            .unwrap_or_default();
        let owners = crate::object::items(&value, &["metadata", "ownerReferences"])
            .iter()
            .filter_map(|o| o.get("uid")?.as_str().map(Arc::from))
            .collect();
        let (namespace, name) = (
            crate::object::namespace(&value).into(),
            crate::object::name(&value).into(),
        );
        let uid = crate::object::uid(&value).into();
        let terminating = crate::object::is_terminating(&value);
        let api_version = crate::object::text(&value, &["apiVersion"]).into();
        let kind = crate::object::text(&value, &["kind"]).into();
        let map: &mut Map<String, Value> = crate::object::as_map(&mut value);
        map.remove("apiVersion");
        map.remove("kind");
        // `metadata` is always there, so the text starts with a brace and a first key.
        let mut tail = serde_json::to_vec(&value).unwrap_or_else(|_| b"{}".to_vec());
        if let Some(first) = tail.first_mut() {
            *first = b',';
        }
        Stored {
            rv,
            namespace,
            name,
            labels,
            uid,
            owners,
            terminating,
            api_version,
            kind,
            tail: tail.into(),
        }
    }

    /// Appends the whole object, under another apiVersion if one is given.
    pub fn write(&self, api_version: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"apiVersion\":\"");
        out.extend_from_slice(api_version.as_bytes());
        out.extend_from_slice(b"\",\"kind\":\"");
        out.extend_from_slice(self.kind.as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.tail);
    }

    /// Appends the object without apiVersion and kind, as items of typed lists are written.
    pub fn write_untyped(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(self.tail.get(1..).unwrap_or_default());
    }

    /// The whole object as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.tail.len() + 96);
        self.write(&self.api_version, &mut out);
        out
    }

    /// The object, parsed.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bytes_round_trip_in_both_forms() {
        let value = json!({"apiVersion": "g/v1", "kind": "K", "a": 1, "metadata": {"name": "n", "labels": {"l": "x"}}});
        let stored = Stored::new(value.clone(), 7);
        let mut expected = value;
        expected["metadata"]["resourceVersion"] = "7".into();
        assert_eq!(stored.value(), expected);
        let mut untyped = Vec::new();
        stored.write_untyped(&mut untyped);
        let untyped: Value = serde_json::from_slice(&untyped).unwrap();
        assert_eq!(untyped, json!({"a": 1, "metadata": expected["metadata"]}));
        let mut other = Vec::new();
        stored.write("g/v2", &mut other);
        assert_eq!(serde_json::from_slice::<Value>(&other).unwrap()["apiVersion"], "g/v2");
    }
}
