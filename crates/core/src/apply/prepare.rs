//! From a manifest to the object that is sent to the member (member-behaviour 4.10).

use api::text::{annotations, managers};
use serde_json::{Map, Value};

use super::canonical::canonical;
use super::owners::{self, Owner};

/// Metadata that only servers and owners write.
const SERVER_METADATA: [&str; 9] = [
    "ownerReferences",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Annotations that must not travel with a manifest.
const STRIPPED_ANNOTATIONS: [&str; 4] = [
    annotations::SPEC_HASH,
    annotations::LAST_APPLIED,
    annotations::KUBECTL_LAST_APPLIED,
    "deployment.kubernetes.io/revision",
];

/// Most bytes that keys and values of all annotations of one object may have together.
pub const ANNOTATION_BUDGET: usize = 262_144;

/// The manifest without what servers, kubectl and we ourselves write.
pub fn sanitize(manifest: &Value) -> Value {
    let mut out = manifest.clone();
    let Some(root) = out.as_object_mut() else { return out };
    root.remove("status");
    let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) else {
        return out;
    };
    for key in SERVER_METADATA {
        metadata.remove(key);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        for key in STRIPPED_ANNOTATIONS {
            annotations.remove(key);
        }
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    out
}

/// A manifest ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// What to send.
    pub body: Value,
    /// Whether the three-way merge is out of the question, because its annotation would be too large.
    pub too_large_to_remember: bool,
}

/// Adds the hash, our owner reference and, for client-side apply, the last-applied annotation.
pub fn prepare(manifest: &Value, hash: &str, owner: &Owner, remember: bool) -> Prepared {
    let mut body = owners::with_references(&sanitize(manifest), vec![owner.reference()]);
    annotate(&mut body, annotations::SPEC_HASH, hash.to_owned());
    if !remember {
        return Prepared {
            body,
            too_large_to_remember: false,
        };
    }
    let remembered = canonical(&body) + "\n";
    annotate(&mut body, annotations::LAST_APPLIED, remembered);
    let too_large_to_remember = annotations_size(&body) > ANNOTATION_BUDGET;
    if too_large_to_remember {
        annotate(&mut body, annotations::LAST_APPLIED, String::new());
    }
    Prepared {
        body,
        too_large_to_remember,
    }
}

/// The manifest applied last, as the live object remembers it.
pub fn last_applied(live: &Value) -> Option<Value> {
    let remembered = annotation(live, annotations::LAST_APPLIED)?;
    serde_json::from_str(remembered).ok()
}

/// An annotation of an object.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Copies the foreign owners of the live object into the object to send, for patches that replace lists whole.
pub fn keep_foreign_owners(body: &Value, live: &Value, owner: &Owner) -> Value {
    let mut references = owner.others(live);
    references.push(owner.reference());
    owners::with_references(body, references)
}

/// Whether server-side apply may override conflicts because every field belongs to us or predates field management.
pub fn only_we_manage(live: &Value) -> bool {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.is_none_or(|entries| {
        entries.iter().all(|entry| {
            matches!(
                owners::field(entry, "manager"),
                managers::WORK_AGENT | "before-first-apply"
            )
        })
    })
}

/// Whether the live object already holds everything a server-side apply of `body` would say, applied by us before.
pub fn is_applied_already(body: &Value, live: &Value) -> bool {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    let ours = entries.is_some_and(|entries| {
        entries.iter().any(|entry| {
            owners::field(entry, "manager") == managers::WORK_AGENT
                && owners::field(entry, "operation") == "Apply"
                && owners::field(entry, "subresource").is_empty()
        })
    });
    let hash = annotation(body, annotations::SPEC_HASH);
    ours && hash.is_some() && hash == annotation(live, annotations::SPEC_HASH) && is_contained(body, live)
}

/// Whether every leaf of `part` is in `whole`; lists must agree item by item, except owners, which may be more.
fn is_contained(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part.iter().all(|(key, value)| match whole.get(key) {
            Some(other) if key == "ownerReferences" => {
                let (wanted, present) = (value.as_array(), other.as_array());
                wanted
                    .zip(present)
                    .is_some_and(|(w, p)| w.iter().all(|w| p.iter().any(|p| is_contained(w, p))))
            }
            Some(other) => is_contained(value, other),
            None => false,
        }),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(a, b)| is_contained(a, b))
        }
        (part, whole) => part == whole,
    }
}

fn annotations_size(object: &Value) -> usize {
    let all = object.pointer("/metadata/annotations").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len())
        .sum()
}

/// Sets an annotation of an object that has metadata, as every manifest has.
fn annotate(object: &mut Value, key: &str, value: String) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let all = metadata.entry("annotations").or_insert(Value::Null);
    if !all.is_object() {
        *all = Value::Object(Map::new());
    }
    if let Some(all) = all.as_object_mut() {
        all.insert(key.to_owned(), Value::String(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::comparable::manifest_hash;
    use serde_json::json;

    fn owner() -> Owner {
        Owner {
            name: "w".into(),
            uid: "u".into(),
        }
    }

    #[test]
    fn last_applied_vector_of_the_contract() {
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "ns"}, "data": {"k": "v<1>"}
        });
        let hash = manifest_hash(&manifest);
        let prepared = prepare(&manifest, &hash, &owner(), true);
        let wanted = r#"{"apiVersion":"v1","data":{"k":"v\u003c1\u003e"},"kind":"ConfigMap","metadata":{"annotations":{"kubernetes-fleet.io/spec-hash":"H"},"name":"app","namespace":"ns","ownerReferences":[{"apiVersion":"placement.kubernetes-fleet.io/v1beta1","blockOwnerDeletion":true,"kind":"AppliedWork","name":"w","uid":"u"}]}}"#;
        let wanted = wanted.replace(r#":"H""#, &format!(r#":"{hash}""#)) + "\n";
        assert_eq!(
            annotation(&prepared.body, annotations::LAST_APPLIED),
            Some(wanted.as_str())
        );
        let remembered = last_applied(&prepared.body).unwrap();
        assert_eq!(remembered.pointer("/data/k"), Some(&json!("v<1>")));
        assert!(!prepared.too_large_to_remember);
    }

    #[test]
    fn what_must_not_travel_is_dropped() {
        let manifest = json!({
            "metadata": {"name": "a", "uid": "x", "resourceVersion": "1", "managedFields": [{}], "ownerReferences": [{}],
                "finalizers": ["keep"], "labels": {"keep": "me"}, "generateName": "g",
                "annotations": {"deployment.kubernetes.io/revision": "3", "kubernetes-fleet.io/spec-hash": "old"}},
            "status": {"x": 1}
        });
        assert_eq!(
            sanitize(&manifest),
            json!({"metadata": {"name": "a", "finalizers": ["keep"], "labels": {"keep": "me"}, "generateName": "g"}})
        );
    }

    #[test]
    fn large_objects_are_not_remembered() {
        let manifest = json!({"metadata": {"name": "a"}, "data": {"k": "x".repeat(ANNOTATION_BUDGET)}});
        let prepared = prepare(&manifest, "h", &owner(), true);
        assert!(prepared.too_large_to_remember);
        assert_eq!(annotation(&prepared.body, annotations::LAST_APPLIED), Some(""));
        assert_eq!(last_applied(&prepared.body), None);
        assert_eq!(
            annotation(
                &prepare(&manifest, "h", &owner(), false).body,
                annotations::LAST_APPLIED
            ),
            None
        );
    }

    #[test]
    fn server_side_apply_is_left_out_when_nothing_would_change() {
        let body = prepare(
            &json!({"metadata": {"name": "a"}, "spec": {"x": [1], "y": 2}}),
            "h",
            &owner(),
            false,
        )
        .body;
        let mut live = body.clone();
        assert!(!is_applied_already(&body, &live), "nobody applied it yet");
        live["metadata"]["managedFields"] = json!([{"manager": "work-api-agent", "operation": "Apply"}]);
        live["spec"]["z"] = json!(1);
        assert!(is_applied_already(&body, &live));
        live["metadata"]["ownerReferences"]
            .as_array_mut()
            .unwrap()
            .insert(0, json!({"kind": "Other"}));
        assert!(is_applied_already(&body, &live));
        for path in ["/spec/y", "/spec/x"] {
            let mut drifted = live.clone();
            *drifted.pointer_mut(path).unwrap() = json!([1, 2]);
            assert!(!is_applied_already(&body, &drifted), "{path}");
        }
    }

    #[test]
    fn force_where_nobody_else_has_a_say() {
        let managed_by = |names: &[&str]| {
            let entries: Vec<_> = names.iter().map(|name| json!({"manager": name})).collect();
            json!({"metadata": {"managedFields": entries}})
        };
        assert!(only_we_manage(&json!({"metadata": {}})));
        assert!(only_we_manage(&managed_by(&[])));
        assert!(only_we_manage(&managed_by(&["work-api-agent", "before-first-apply"])));
        assert!(!only_we_manage(&managed_by(&["work-api-agent", "kubectl"])));
    }
}
