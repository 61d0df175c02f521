//! Turns the difference between stored and wanted objects into writes: at most one per object, and one of its status.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::kinds;
use api::resource::Resource;
use serde_json::{Map, Value, json};

use crate::difference::{self, tree};
use crate::effects::{Target, Tracked, Versioned, Write};
use crate::objects::{Binding, Meta, Placement, PlacementKey, PolicySnapshot, ResourceSnapshot};
use crate::report;

/// The placement that owns new snapshots.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) key: &'a PlacementKey,
    pub(super) uid: &'a str,
}

/// The write of a policy snapshot, its status aside.
pub(super) fn policy_snapshot(owner: Owner<'_>, snapshot: &Tracked<PolicySnapshot>) -> Option<Write> {
    let kind = owner.key.pick(
        kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
        kinds::SCHEDULING_POLICY_SNAPSHOT,
    );
    object(
        kind,
        Some(owner),
        snapshot,
        |s| json!({ "policy": tree(&s.policy), "policyHash": tree(&s.policy_hash) }),
    )
}

/// The write of a policy snapshot's status.
pub(super) fn policy_status(key: &PlacementKey, snapshot: &Tracked<PolicySnapshot>) -> Option<Write> {
    let wanted = snapshot.changed()?;
    let stored = snapshot.before().map(|s| s.status.clone()).unwrap_or_default();
    let body = report::status_patch(&stored, &wanted.status)?;
    let kind = key.pick(
        kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
        kinds::SCHEDULING_POLICY_SNAPSHOT,
    );
    Some(status(target(kind, &wanted.meta), body))
}

/// The write of a resource snapshot.
pub(super) fn resource_snapshot(owner: Owner<'_>, snapshot: &Tracked<ResourceSnapshot>) -> Option<Write> {
    let kind = owner
        .key
        .pick(kinds::CLUSTER_RESOURCE_SNAPSHOT, kinds::RESOURCE_SNAPSHOT);
    object(kind, Some(owner), snapshot, |s| {
        let manifests: Vec<Value> = s.manifests.iter().map(|manifest| manifest.value()).collect();
        json!({ "selectedResources": manifests })
    })
}

/// The write of a binding, its status aside.
pub(super) fn binding(key: &PlacementKey, binding: &Tracked<Binding>) -> Option<Write> {
    object(binding_kind(key), None, binding, |b| tree(&b.spec))
}

/// The write of a binding's status.
pub(super) fn binding_status(key: &PlacementKey, binding: &Tracked<Binding>) -> Option<Write> {
    let wanted = binding.changed()?;
    let stored = binding.before().map(|b| b.status.clone()).unwrap_or_default();
    let body = report::status_patch(&stored, &wanted.status)?;
    Some(status(target(binding_kind(key), &wanted.meta), body))
}

/// Takes finalizers off an object of which it is known that it is being deleted; it may be gone afterwards.
pub(super) fn release_binding(key: &PlacementKey, binding: &Binding, finalizers: &[&str]) -> Option<Write> {
    let left: Vec<&String> = binding
        .meta
        .finalizers
        .iter()
        .filter(|f| !finalizers.contains(&f.as_str()))
        .collect();
    (left.len() < binding.meta.finalizers.len()).then(|| Write::MergePatch {
        target: target(binding_kind(key), &binding.meta),
        body: json!({ "metadata": { "uid": binding.meta.uid, "finalizers": left } }),
        status: false,
        resource_version: None,
    })
}

/// Deletes a binding.
pub(super) fn delete_binding(key: &PlacementKey, binding: &Binding) -> Write {
    delete(target(binding_kind(key), &binding.meta), &binding.meta)
}

/// The write that gives the placement these finalizers.
pub(super) fn placement_finalizers(placement: &Placement, wanted: &[String]) -> Option<Write> {
    (placement.meta.finalizers != wanted).then(|| Write::MergePatch {
        target: placement.target(),
        body: json!({ "metadata": { "finalizers": wanted } }),
        status: false,
        resource_version: Some(placement.meta.resource_version.clone()),
    })
}

/// A write of the status subresource.
pub(super) fn status(target: Target, body: Value) -> Write {
    Write::MergePatch {
        target,
        body,
        status: true,
        resource_version: None,
    }
}

fn binding_kind(key: &PlacementKey) -> Resource {
    key.pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING)
}

fn target(kind: Resource, meta: &Meta) -> Target {
    Target::new(kind, meta.namespace.as_deref(), &meta.name)
}

fn delete(target: Target, meta: &Meta) -> Write {
    Write::Delete {
        target,
        uid: Some(meta.uid.clone()).filter(|uid| !uid.is_empty()),
    }
}

/// Creates, patches or deletes, whichever turns what is stored into what is wanted.
fn object<T: Versioned>(
    kind: Resource,
    owner: Option<Owner<'_>>,
    object: &Tracked<T>,
    spec: impl Fn(&T) -> Value,
) -> Option<Write> {
    match (object.before(), object.get()) {
        (None, None) => None,
        (Some(stored), None) => Some(delete(target(kind, stored.meta()), stored.meta())),
        (None, Some(wanted)) => Some(Write::Create {
            target: target(kind.clone(), wanted.meta()),
            object: json!({
                "apiVersion": kind.api_version(),
                "kind": kind.kind,
                "metadata": metadata(wanted.meta(), owner),
                "spec": spec(wanted),
            }),
        }),
        (Some(stored), Some(wanted)) if Arc::ptr_eq(stored, wanted) => None,
        (Some(stored), Some(wanted)) => patch(kind, stored.as_ref(), wanted.as_ref(), spec),
    }
}

fn patch<T: Versioned>(kind: Resource, stored: &T, wanted: &T, spec: impl Fn(&T) -> Value) -> Option<Write> {
    let mut body = Map::new();
    let mut guarded = false;
    if let Some(metadata) = metadata_change(stored.meta(), wanted.meta()) {
        // A list of finalizers replaces that of the server, so it must not have changed meanwhile.
        guarded |= metadata.contains_key("finalizers");
        body.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if !stored.same_spec(wanted)
        && let Some(spec) = difference::between(&spec(stored), &spec(wanted))
    {
        guarded = true;
        body.insert("spec".to_owned(), spec);
    }
    (!body.is_empty()).then(|| Write::MergePatch {
        target: target(kind, wanted.meta()),
        body: Value::Object(body),
        status: false,
        resource_version: guarded.then(|| stored.meta().resource_version.clone()),
    })
}

fn metadata_change(stored: &Meta, wanted: &Meta) -> Option<Map<String, Value>> {
    let mut change = Map::new();
    for (key, old, new) in [
        ("labels", &stored.labels, &wanted.labels),
        ("annotations", &stored.annotations, &wanted.annotations),
    ] {
        if let Some(difference) = difference::between(&tree(old), &tree(new)) {
            change.insert(key.to_owned(), difference);
        }
    }
    if stored.finalizers != wanted.finalizers {
        change.insert("finalizers".to_owned(), tree(&wanted.finalizers));
    }
    (!change.is_empty()).then_some(change)
}

/// Metadata of a new object.
fn metadata(meta: &Meta, owner: Option<Owner<'_>>) -> Value {
    let mut fields: BTreeMap<&str, Value> = BTreeMap::from([("name", json!(meta.name))]);
    if let Some(namespace) = &meta.namespace {
        fields.insert("namespace", json!(namespace));
    }
    for (key, map) in [("labels", &meta.labels), ("annotations", &meta.annotations)] {
        if !map.is_empty() {
            fields.insert(key, tree(map));
        }
    }
    if !meta.finalizers.is_empty() {
        fields.insert("finalizers", tree(&meta.finalizers));
    }
    if let Some(owner) = owner {
        let kind = owner
            .key
            .pick(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT);
        fields.insert(
            "ownerReferences",
            json!([{
                "apiVersion": kind.api_version(),
                "kind": kind.kind,
                "name": owner.key.name,
                "uid": owner.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }]),
        );
    }
    tree(&fields)
}
