//! Rules on metadata, status and generation that hold for every kind before an object is stored.

use crate::call::Call;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::object::{self, as_map, meta_mut, meta_text, set_meta};
use crate::routes::Verb;
use crate::status::{ApiError, ApiResult, Cause};
use serde_json::{Map, Value};

/// Fields of metadata that a client cannot set.
const SERVER_OWNED: &[&str] = &[
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
];

/// Settles the namespace of a new object with that of the request.
pub fn settle_namespace(call: &Call, value: &mut Value) -> ApiResult<()> {
    if !call.resource.namespaced {
        set_meta(value, "namespace", None);
        return Ok(());
    }
    let given = object::namespace(value);
    if !given.is_empty() && given != call.target.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    if call.target.namespace.is_empty() {
        return Err(call.invalid(object::name(value), &[Cause::required("metadata.namespace", "")]));
    }
    set_meta(value, "namespace", Some(call.target.namespace.as_str().into()));
    Ok(())
}

/// Metadata, status and generation of a new object. The name is settled by the caller.
pub fn for_create(call: &Call, value: &mut Value, clock: &Clock, ids: &Ids) {
    let meta = meta_mut(value);
    for key in SERVER_OWNED.iter().chain(&["selfLink"]) {
        meta.remove(*key);
    }
    meta.insert("uid".into(), ids.uid().into());
    meta.insert("creationTimestamp".into(), clock.now_text().into());
    if call.resource.traits.generation {
        meta.insert("generation".into(), 1.into());
    }
    drop_empty_metadata(meta);
    // Nodes report their status when they register.
    if call.version.status && &*call.resource.table != "nodes" {
        as_map(value).remove("status");
    }
}

/// Carries over from `old` what an update cannot change, and counts the generation. Both are in the request's version.
pub fn for_update(call: &Call, old: &Value, new: &mut Value) {
    match call.target.subresource.as_str() {
        "status" => keep_all_but_status(call, old, new),
        "finalize" => keep_all_but_finalizers(old, new),
        _ if call.version.status => copy_field(old, new, "status"),
        _ => {}
    }
    let old_meta = old
        .get("metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let meta = meta_mut(new);
    meta.remove("selfLink");
    for key in SERVER_OWNED
        .iter()
        .chain(&["name", "namespace", "generateName", "resourceVersion"])
    {
        match old_meta.get(*key) {
            Some(kept) => meta.insert((*key).to_owned(), kept.clone()),
            None => meta.remove(*key),
        };
    }
    drop_empty_metadata(meta);
    if call.resource.traits.generation && desired_differs(call, old, new) {
        let next = object::generation(old) + 1;
        set_meta(new, "generation", Some(next.into()));
    }
}

fn copy_field(from: &Value, to: &mut Value, key: &str) {
    match from.get(key) {
        Some(kept) => as_map(to).insert(key.to_owned(), kept.clone()),
        None => as_map(to).remove(key),
    };
}

fn keep_all_but_status(call: &Call, old: &Value, new: &mut Value) {
    let status = as_map(new).remove("status");
    let given_meta = as_map(new).remove("metadata").unwrap_or_default();
    let mut kept = old.clone();
    if call.resource.crd.is_some() {
        // Custom resources take nothing but the status (and the record of who manages it).
        let managed = given_meta.get("managedFields").cloned();
        set_meta(&mut kept, "managedFields", managed);
    } else {
        as_map(&mut kept).insert("metadata".into(), given_meta);
        if call.resource.group == "apps" {
            let labels = object::at(old, &["metadata", "labels"]).cloned();
            set_meta(&mut kept, "labels", labels);
        }
    }
    match status {
        Some(status) => as_map(&mut kept).insert("status".into(), status),
        None => as_map(&mut kept).remove("status"),
    };
    *new = kept;
}

fn keep_all_but_finalizers(old: &Value, new: &mut Value) {
    let finalizers = object::at(new, &["spec", "finalizers"]).cloned();
    *new = old.clone();
    let spec = object::child(new, "spec");
    match finalizers {
        Some(list) => spec.insert("finalizers".into(), list),
        None => spec.remove("finalizers"),
    };
}

/// Whether anything but metadata (and status, where it is a subresource) differs.
fn desired_differs(call: &Call, old: &Value, new: &Value) -> bool {
    let ignored = |key: &str| key == "metadata" || key == "apiVersion" || (key == "status" && call.version.status);
    let fields = |v: &Value| -> Map<String, Value> {
        v.as_object()
            .map(|m| {
                m.iter()
                    .filter(|(k, _)| !ignored(k))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect()
            })
            .unwrap_or_default()
    };
    // The strategy of deployments counts annotations as well, because rollouts keep their history there.
    let annotations = |v: &Value| object::at(v, &["metadata", "annotations"]).cloned();
    let annotated = &*call.resource.table == "deployments.apps" && call.target.subresource.is_empty();
    fields(old) != fields(new) || annotated && annotations(old) != annotations(new)
}

fn drop_empty_metadata(meta: &mut Map<String, Value>) {
    for key in [
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "managedFields",
        "generateName",
        "namespace",
    ] {
        let empty = match meta.get(key) {
            Some(Value::Object(m)) => m.is_empty(),
            Some(Value::Array(l)) => l.is_empty(),
            Some(Value::String(s)) => s.is_empty(),
            Some(Value::Null) => true,
            _ => false,
        };
        if empty {
            meta.remove(key);
        }
    }
}

/// Checks what an update says about identity and version against the live object.
pub fn check_update(call: &Call, live: &Value, new: &Value) -> ApiResult<()> {
    let name = object::name(live);
    let given_name = object::name(new);
    if given_name != name {
        let message = format!("the name of the object ({given_name}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    let given_namespace = object::namespace(new);
    if call.resource.namespaced && !given_namespace.is_empty() && given_namespace != object::namespace(live) {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    let (uid, live_uid) = (object::uid(new), object::uid(live));
    if !uid.is_empty() && uid != live_uid {
        if call.verb == Verb::Patch && call.content_type != crate::verbs::patch::APPLY {
            return Err(call.invalid(
                name,
                &[Cause::invalid("metadata.uid", &uid.into(), "field is immutable")],
            ));
        }
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {live_uid}",
            call.storage_key(name)
        );
        return Err(call.conflict(name, &why));
    }
    let rv = meta_text(new, "resourceVersion");
    if rv.is_empty() {
        return Ok(());
    }
    if rv.parse::<u64>().is_err() {
        let message = format!("strconv.ParseUint: parsing {rv:?}: invalid syntax");
        return Err(ApiError::new(500, "", message));
    }
    if rv != meta_text(live, "resourceVersion") {
        Err(call.modified(name))
    } else {
        Ok(())
    }
}

/// Faults of metadata in a new or changed object.
pub fn metadata_faults(call: &Call, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = crate::validate::metadata(call, new);
    let Some(old) = old else { return causes };
    if object::is_terminating(old) {
        let before = object::finalizers(old);
        let added: Vec<&str> = object::finalizers(new)
            .into_iter()
            .filter(|f| !before.contains(f))
            .collect();
        if !added.is_empty() {
            let list = added.iter().map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ");
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    causes
}
