//! From a manifest to the object that is sent to the member (member-behaviour 4.10).

use api::text::{annotations, managers};
use merge::TypeInfo;
use merge::ssa::{Entries, FieldSet};
use merge::values;
use serde_json::{Map, Value};

use super::canonical::canonical;
use super::owners::{self, Owner};
use super::secrets::with_encoded_data;

/// Metadata that only servers and owners write.
pub(super) const SERVER_METADATA: [&str; 9] = [
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
pub(super) const STRIPPED_ANNOTATIONS: [&str; 4] = [
    annotations::SPEC_HASH,
    annotations::LAST_APPLIED,
    annotations::KUBECTL_LAST_APPLIED,
    "deployment.kubernetes.io/revision",
];

/// Most bytes that keys and values of all annotations of one object may have together.
pub const ANNOTATION_BUDGET: usize = 262_144;

/// The manifest without what servers, kubectl and we ourselves write, as the server stores it.
pub fn sanitize(manifest: &Value) -> Value {
    let mut out = with_encoded_data(manifest).into_owned();
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

/// What is known of the object's kind: everything of built-in kinds, the metadata of others.
pub fn types_of(object: &Value) -> TypeInfo<'static> {
    let (api_version, kind) = (owners::field(object, "apiVersion"), owners::field(object, "kind"));
    TypeInfo::builtin(api_version, kind).unwrap_or_else(TypeInfo::unknown_object)
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
///
/// A field that somebody else changed since is no longer among ours, even where the values do not show the change,
/// as with a key added to a map that is one value.
///
/// Nor must anything be among ours that the body does not say: the apply would remove it.
pub fn is_applied_already(body: &Value, live: &Value) -> bool {
    let ours = Entries::of(live, managers::WORK_AGENT).applied;
    let hash = annotation(body, annotations::SPEC_HASH);
    hash.is_some()
        && hash == annotation(live, annotations::SPEC_HASH)
        && owns(&ours, body)
        && ours.within(body) == ours
        && values::holds(live, body, types_of(body))
}

/// Whether a set of fields covers every field of an object to apply, except its identity, which nobody owns.
fn owns(fields: &FieldSet, body: &Value) -> bool {
    let fields = fields.to_json();
    let mut members = body.as_object().into_iter().flatten();
    members.all(|(key, value)| match (key.as_str(), fields.get(format!("f:{key}"))) {
        ("apiVersion" | "kind", _) => true,
        ("metadata", Some(inner)) => owns_all(inner, value, &["name", "namespace"]),
        (_, inner) => value.is_null() || inner.is_some_and(|inner| owns_all(inner, value, &[])),
    })
}

/// Nothing is looked at below a map or list that is one value, nor are items of lists, which are found under their keys.
fn owns_all(fields: &Value, part: &Value, except: &[&str]) -> bool {
    let is_one_value = fields
        .as_object()
        .is_none_or(|set| !set.keys().any(|key| key.starts_with("f:")));
    let members = part.as_object().into_iter().flatten();
    is_one_value
        || members
            .filter(|(key, value)| !except.contains(&key.as_str()) && !value.is_null())
            .all(|(key, value)| {
                let inner = fields.get(format!("f:{key}"));
                inner.is_some_and(|inner| owns_all(inner, value, &[]))
            })
}

fn annotations_size(object: &Value) -> usize {
    let all = object.pointer("/metadata/annotations").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len())
        .sum()
}

/// Sets an annotation of an object that has metadata, as every manifest has.
pub(super) fn annotate(object: &mut Value, key: &str, value: String) {
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
    use crate::apply::ownership::last_applied;
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
        let remembered = last_applied(&prepared.body);
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
        assert_eq!(last_applied(&prepared.body), Value::Null);
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
        let ours = json!({"f:spec": {"f:x": {}, "f:y": {}}, "f:metadata": {
            "f:annotations": {".": {}, "f:kubernetes-fleet.io/spec-hash": {}}, "f:ownerReferences": {"k:{\"uid\":\"u\"}": {}}}});
        live["metadata"]["managedFields"] =
            json!([{"manager": "work-api-agent", "operation": "Apply", "fieldsV1": ours}]);
        live["spec"]["z"] = json!(1);
        assert!(is_applied_already(&body, &live));
        live["metadata"]["ownerReferences"]
            .as_array_mut()
            .unwrap()
            .insert(0, json!({"kind": "Other"}));
        assert!(is_applied_already(&body, &live));
        let mut lost = live.clone();
        let fields = lost.pointer_mut("/metadata/managedFields/0/fieldsV1/f:spec").unwrap();
        fields.as_object_mut().unwrap().remove("f:y");
        assert!(!is_applied_already(&body, &lost), "somebody else has set it since");
        for path in ["/spec/y", "/spec/x"] {
            let mut drifted = live.clone();
            *drifted.pointer_mut(path).unwrap() = json!([1, 2]);
            assert!(!is_applied_already(&body, &drifted), "{path}");
        }
    }

    #[test]
    fn patches_that_replace_lists_keep_the_other_owners() {
        let body = prepare(&json!({"metadata": {"name": "a"}}), "h", &owner(), true).body;
        let foreign = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p"});
        let live = json!({"metadata": {"ownerReferences": [owner().reference(), foreign]}});
        let kept = keep_foreign_owners(&body, &live, &owner());
        assert_eq!(
            kept["metadata"]["ownerReferences"],
            json!([foreign, owner().reference()])
        );
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
