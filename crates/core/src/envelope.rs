//! Envelopes: objects that carry other objects which must not live on the hub itself (hub-behaviour 7.3).

use std::sync::Arc;

use api::names;
use api::placement::v1beta1::EnvelopeType;
use api::text::{annotations, groups};
use serde_json::Value;

use crate::content::storable;
use crate::objects::{Manifest, ObjectId};
use crate::problem::Problem;

/// An envelope and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Which kind of envelope it is.
    pub kind: EnvelopeType,
    /// Its namespace; empty for a ClusterResourceEnvelope.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The wrapped objects, sorted by their text in descending order, for determinism only.
    pub content: Vec<Arc<Manifest>>,
    /// The first thing that is wrong with the content. No Work is made of an envelope with a fault.
    pub fault: Option<Problem>,
}

/// Whether a selected object is an envelope. Cheaper than [`open`] for everything but annotated ConfigMaps.
pub fn kind_of(manifest: &Manifest) -> Option<EnvelopeType> {
    match proper_kind(&manifest.id) {
        Some(kind) => Some(kind),
        None => config_map(manifest).map(|_| EnvelopeType::ConfigMap),
    }
}

/// Opens an envelope; `None` when the object is an ordinary one.
pub fn open(manifest: &Manifest) -> Option<Envelope> {
    let id = &manifest.id;
    let Some(kind) = proper_kind(id) else {
        let content = config_map(manifest)?;
        return Some(sealed(EnvelopeType::ConfigMap, id, content, None));
    };
    let mut content = Vec::new();
    let mut fault = None;
    let value = manifest.value();
    for (key, wrapped) in value.get("data").and_then(Value::as_object).into_iter().flatten() {
        match Manifest::from_value(&storable(wrapped.clone())) {
            Ok(wrapped) => match misplaced(kind, id, key, &wrapped.id) {
                Some(problem) => fault = fault.or(Some(problem)),
                None => content.push(Arc::new(wrapped)),
            },
            Err(err) => {
                let message = format!(
                    "The entry {key:?} of the {kind} {:?} is no object: {err}",
                    full_name(id)
                );
                fault = fault.or(Some(Problem::user(message)));
            }
        }
    }
    Some(sealed(kind, id, content, fault))
}

fn sealed(kind: EnvelopeType, id: &ObjectId, mut content: Vec<Arc<Manifest>>, fault: Option<Problem>) -> Envelope {
    content.sort_by(|a, b| b.text().cmp(a.text()));
    let misnamed = || {
        let why = names::check_envelope(&id.name).err()?;
        Some(Problem::user(format!(
            "No Work can be made of the {kind} {:?}. {why}",
            full_name(id)
        )))
    };
    let fault = fault.or_else(misnamed);
    Envelope {
        kind,
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        content,
        fault,
    }
}

fn proper_kind(id: &ObjectId) -> Option<EnvelopeType> {
    let kind = id.kind.parse().ok().filter(|kind| *kind != EnvelopeType::ConfigMap)?;
    (id.group == groups::PLACEMENT).then_some(kind)
}

/// A user's mistake: an object in an envelope whose kind has no place for it.
fn misplaced(kind: EnvelopeType, envelope: &ObjectId, key: &str, wrapped: &ObjectId) -> Option<Problem> {
    let name = full_name(envelope);
    let what = format!(
        "the {} {:?} in the entry {key:?} of the {kind} {name:?}",
        wrapped.kind,
        full_name(wrapped)
    );
    match kind {
        EnvelopeType::ClusterResourceEnvelope if !wrapped.namespace.is_empty() => Some(Problem::user(format!(
            "A ClusterResourceEnvelope holds cluster-scoped objects only, but {what} has a namespace."
        ))),
        EnvelopeType::ResourceEnvelope if wrapped.namespace.is_empty() => Some(Problem::user(format!(
            "A ResourceEnvelope holds namespaced objects only, but {what} has no namespace."
        ))),
        EnvelopeType::ResourceEnvelope if wrapped.namespace != envelope.namespace => Some(Problem::user(format!(
            "A ResourceEnvelope holds objects of its own namespace only, but {what} is of another one."
        ))),
        _ => None,
    }
}

fn full_name(id: &ObjectId) -> String {
    if id.namespace.is_empty() {
        id.name.clone()
    } else {
        format!("{}/{}", id.namespace, id.name)
    }
}

/// The objects in a ConfigMap that is an envelope: annotated, with data, and every value of it an object.
/// Anything less makes it an ordinary ConfigMap, so there are no faults to report.
fn config_map(manifest: &Manifest) -> Option<Vec<Arc<Manifest>>> {
    // The text is searched first, because parsing every ConfigMap would be dear.
    if !manifest.id.is_a("", "ConfigMap") || !manifest.text().contains(annotations::ENVELOPE_CONFIGMAP) {
        return None;
    }
    let value = manifest.value();
    let annotation = value
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(annotations::ENVELOPE_CONFIGMAP));
    if annotation.and_then(Value::as_str) != Some("true") {
        return None;
    }
    let data = value
        .get("data")
        .and_then(Value::as_object)
        .filter(|data| !data.is_empty())?;
    data.values().map(|text| wrapped_object(text.as_str()?)).collect()
}

fn wrapped_object(text: &str) -> Option<Arc<Manifest>> {
    let value = api::yaml::parse(text).ok()?;
    let metadata = value.get("metadata")?;
    let named = ["name", "generateName"].into_iter().any(|key| {
        metadata
            .get(key)
            .and_then(Value::as_str)
            .is_some_and(|name| !name.is_empty())
    });
    let manifest = Manifest::from_value(&storable(value.clone())).ok()?;
    named.then(|| Arc::new(manifest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(value: Value) -> Manifest {
        Manifest::from_value(&value).unwrap()
    }

    fn config_map(annotation: &str, data: Value) -> Manifest {
        manifest(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cm", "namespace": "app", "annotations": {"kubernetes-fleet.io/envelope-configmap": annotation}},
            "data": data,
        }))
    }

    #[test]
    fn a_config_map_is_an_envelope_by_its_content() {
        let good = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: other\n";
        let cases = [
            ("true", json!({"a.yaml": good}), true),
            (
                "true",
                json!({"a.json": "{\"apiVersion\":\"v1\",\"kind\":\"A\",\"metadata\":{\"generateName\":\"a-\"}}"}),
                true,
            ),
            ("false", json!({"a.yaml": good}), false),
            ("True", json!({"a.yaml": good}), false),
            ("true", json!({}), false),
            ("true", json!({"a.yaml": good, "b": "plain words"}), false),
            ("true", json!({"a.yaml": "apiVersion: v1\nkind: Secret\n"}), false),
            (
                "true",
                json!({"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: ''}\n"}),
                false,
            ),
            ("true", json!({"a.yaml": "kind: Secret\nmetadata: {name: a}\n"}), false),
            ("true", json!({"a.yaml": format!("{good}---\n{good}")}), false),
        ];
        for (annotation, data, wanted) in cases {
            let map = config_map(annotation, data.clone());
            assert_eq!(kind_of(&map).is_some(), wanted, "{annotation} {data}");
            assert_eq!(open(&map).is_some(), wanted, "{annotation} {data}");
        }
        let plain =
            manifest(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"a": good}}));
        assert_eq!(open(&plain), None);
    }

    #[test]
    fn wrapped_text_is_read_by_the_rules_of_go() {
        let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nmode: 0644\nflag: yes\n";
        let envelope = open(&config_map("true", json!({"a": text}))).unwrap();
        assert_eq!(
            envelope.content[0].value(),
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a"}, "mode": 420, "flag": true})
        );
    }

    #[test]
    fn content_is_sorted_by_text_descending() {
        let object = |name: &str| json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": name}});
        let envelope = open(&manifest(json!({
            "apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ClusterResourceEnvelope",
            "metadata": {"name": "e"}, "data": {"1": object("a"), "2": object("c"), "3": object("b")},
        })))
        .unwrap();
        let names: Vec<_> = envelope.content.iter().map(|m| m.id.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert_eq!(envelope.fault, None);
    }

    #[test]
    fn misplaced_objects_are_faults_that_name_the_entry() {
        let envelope = |kind: &str, wrapped: Value| {
            open(&manifest(json!({
                "apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": kind,
                "metadata": {"name": "e", "namespace": "app"}, "data": {"k.yaml": wrapped},
            })))
            .unwrap()
            .fault
            .map(|fault| (fault.class.label(), fault.message))
        };
        let of = |namespace: &str| json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "namespace": namespace}});
        assert_eq!(envelope("ResourceEnvelope", of("app")), None);
        assert_eq!(envelope("ClusterResourceEnvelope", of("")), None);
        let cases = [
            (
                "ClusterResourceEnvelope",
                of("app"),
                "user",
                "A ClusterResourceEnvelope holds cluster-scoped objects only, but the A \"app/a\" in the entry \"k.yaml\" \
                 of the ClusterResourceEnvelope \"app/e\" has a namespace.",
            ),
            (
                "ResourceEnvelope",
                of(""),
                "user",
                "A ResourceEnvelope holds namespaced objects only, but the A \"a\" in the entry \"k.yaml\" of the \
                 ResourceEnvelope \"app/e\" has no namespace.",
            ),
            (
                "ResourceEnvelope",
                of("other"),
                "user",
                "A ResourceEnvelope holds objects of its own namespace only, but the A \"other/a\" in the entry \"k.yaml\" \
                 of the ResourceEnvelope \"app/e\" is of another one.",
            ),
        ];
        for (kind, wrapped, class, message) in cases {
            assert_eq!(envelope(kind, wrapped), Some((class, message.to_owned())));
        }
        let (class, message) = envelope("ResourceEnvelope", json!({"a": 1})).unwrap();
        assert_eq!(class, "user");
        assert!(
            message.starts_with("The entry \"k.yaml\" of the ResourceEnvelope \"app/e\" is no object"),
            "{message}"
        );
    }
}
