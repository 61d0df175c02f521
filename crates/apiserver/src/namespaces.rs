//! The life of namespaces: what new ones get, what terminating ones refuse, and how they are emptied.

use crate::call::Call;
use crate::controllers::{self, NAMESPACES, Task, edit};
use crate::object::{self, items};
use crate::server::Core;
use crate::status::{ApiError, ApiResult};
use crate::storage::{Change, Key, Scope};
use crate::verbs::delete::{self, Options};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Namespaces that every cluster has.
pub const STANDARD: &[&str] = &["default", "kube-node-lease", "kube-public", "kube-system"];
/// Namespaces that cannot be deleted.
const IMMORTAL: &[&str] = &["default", "kube-public", "kube-system"];
/// The ConfigMap with the cluster's CA that every namespace gets.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Refuses creation in a namespace that is missing or terminating.
pub fn check_may_create(core: &Core, call: &Call, name: &str) -> ApiResult<()> {
    crate::crds::check_may_create(core, call, name)?;
    if !call.resource.namespaced {
        return Ok(());
    }
    let namespace = &call.target.namespace;
    let found = core
        .store
        .get(NAMESPACES, "", namespace)
        .ok_or_else(|| ApiError::not_found("", NAMESPACES, namespace))?;
    if !found.terminating {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let text = format!("namespace {namespace} is being terminated");
    Err(call
        .forbidden(name, &why)
        .with_cause("NamespaceTerminating", &text, "metadata.namespace"))
}

/// Refuses deletion of the namespaces that the cluster needs.
pub fn check_may_delete(call: &Call, name: &str) -> ApiResult<()> {
    if &*call.resource.table == NAMESPACES && IMMORTAL.contains(&name) {
        return Err(call.forbidden(name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Whether an object is one that every namespace has.
pub fn is_standard(table: &str, name: &str) -> bool {
    matches!((table, name), ("serviceaccounts", "default") | ("configmaps", ROOT_CA))
}

/// Creates a namespace if it is missing.
pub fn ensure(core: &Arc<Core>, name: &str) {
    if core.store.get(NAMESPACES, "", name).is_some() {
        return;
    }
    let value = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    create_own(core, NAMESPACES, value);
}

/// Creates an object by the server's own hand; one that exists is left as it is.
pub fn create_own(core: &Arc<Core>, table: &str, mut value: Value) {
    object::set_meta(&mut value, "uid", Some(core.ids.uid().into()));
    object::set_meta(&mut value, "creationTimestamp", Some(core.clock.now_text().into()));
    if let Ok(event) = core.store.commit(table, Change::Create(value)) {
        crate::controllers::after(core, table, &event);
    }
}

/// Gives a live namespace its service account and the cluster's CA.
pub fn furnish(core: &Arc<Core>, namespace: &str) {
    if core.store.get(NAMESPACES, "", namespace).is_none_or(|n| n.terminating) {
        return;
    }
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    if core.store.get("serviceaccounts", namespace, "default").is_none() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
        create_own(core, "serviceaccounts", account);
    }
    if core.store.get("configmaps", namespace, ROOT_CA).is_none() {
        let mut config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(ROOT_CA),
            "data": {"ca.crt": core.ca.certificate_pem()}});
        config["metadata"]["annotations"] = json!({"kubernetes.io/description":
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."});
        // Recorded as the controller's that makes it in a real cluster.
        config["metadata"]["managedFields"] = json!([{"manager": "kube-controller-manager", "operation": "Update",
            "apiVersion": "v1", "time": core.clock.now_text(), "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:ca.crt": {}},
                "f:metadata": {"f:annotations": {".": {}, "f:kubernetes.io/description": {}}}}}]);
        create_own(core, "configmaps", config);
    }
}

/// What is left in a namespace after its content was deleted.
#[derive(Default)]
struct Remaining {
    by_resource: BTreeMap<String, usize>,
    by_finalizer: BTreeMap<String, usize>,
}

/// Terminating namespaces whose content is being removed.
#[derive(Default)]
pub struct Emptying(Mutex<BTreeSet<Arc<str>>>);

/// Has a terminating namespace emptied a little later. Real clusters wait too, so that whoever deletes a namespace
/// together with its content finds that content.
pub fn schedule(core: &Arc<Core>, name: &Arc<str>) {
    let (core, name, delay) = (Arc::downgrade(core), name.clone(), core.settings.namespace_delay);
    let begin = move || {
        let Some(core) = core.upgrade() else { return };
        core.emptying.0.lock().insert(name.clone());
        controllers::enqueue(&core, Task::Empty(name));
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) if !delay.is_zero() => drop(runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            begin();
        })),
        _ => begin(),
    }
}

/// Takes note that a namespace is gone.
pub fn forget(core: &Core, name: &str) {
    core.emptying.0.lock().remove(name);
}

/// Deletes the content of a terminating namespace; once it is empty the namespace goes too.
pub fn empty(core: &Arc<Core>, name: &str) {
    let begun = core.emptying.0.lock().contains(name);
    if !begun || core.store.get(NAMESPACES, "", name).is_none_or(|n| !n.terminating) {
        return;
    }
    let scope = Scope::Namespace(name.to_owned());
    let mut remaining = Remaining::default();
    for resource in core.registry.snapshot().values() {
        if !resource.namespaced || resource.is_alias() || resource.traits.virtual_create {
            continue;
        }
        for item in core.store.list(&resource.table, &scope).items {
            if !item.terminating {
                // It may be gone already, which is as good.
                let _gone_or_marked = delete::remove(core, resource, name, &item.name, &Options::default());
            }
        }
        for left in core.store.list(&resource.table, &scope).items {
            *remaining.by_resource.entry(resource.qualified()).or_default() += 1;
            for finalizer in object::finalizers(&left.value()) {
                *remaining.by_finalizer.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    let key = Key::new(NAMESPACES, "", name);
    if remaining.by_resource.is_empty() {
        edit(core, &key, &|value| {
            let list = items(value, &["spec", "finalizers"]);
            let kept: Vec<Value> = list.iter().filter(|f| *f != "kubernetes").cloned().collect();
            let changed = kept.len() != list.len();
            let spec = object::child(value, "spec");
            if kept.is_empty() {
                drop(spec.remove("finalizers"))
            } else {
                drop(spec.insert("finalizers".into(), kept.into()))
            }
            changed
        });
    } else {
        let now = core.clock.now_text();
        edit(core, &key, &|value| set_conditions(value, &remaining, &now));
    }
}

fn set_conditions(value: &mut Value, remaining: &Remaining, now: &str) -> bool {
    let resources = remaining
        .by_resource
        .iter()
        .map(|(r, n)| format!("{r}. has {n} resource instances"));
    let finalizers = remaining
        .by_finalizer
        .iter()
        .map(|(f, n)| format!("{f} in {n} resource instances"));
    let join = |parts: Vec<String>| parts.join(", ");
    let content = format!("Some resources are remaining: {}", join(resources.collect()));
    let held = format!(
        "Some content in the namespace has finalizers remaining: {}",
        join(finalizers.collect())
    );
    let any_held = !remaining.by_finalizer.is_empty();
    let wanted = [
        (
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", true, "SomeResourcesRemain", &content),
        (
            "NamespaceFinalizersRemaining",
            any_held,
            if any_held {
                "SomeFinalizersRemain"
            } else {
                "ContentHasNoFinalizers"
            },
            if any_held {
                &held
            } else {
                "All content-preserving finalizers finished"
            },
        ),
    ];
    let mut changed = false;
    for (kind, status, reason, message) in wanted {
        changed |= set_condition(value, kind, status, reason, message, now);
    }
    changed
}

/// Sets a condition in `status.conditions`, keeping its time while the status stays; says whether anything changed.
pub fn set_condition(value: &mut Value, kind: &str, status: bool, reason: &str, message: &str, now: &str) -> bool {
    let status = if status { "True" } else { "False" };
    let slot = object::child(value, "status")
        .entry("conditions")
        .or_insert_with(|| json!([]));
    if slot.is_null() {
        *slot = json!([]);
    }
    let Value::Array(list) = slot else { return false };
    let new = |time: Value| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time});
    match list.iter_mut().find(|c| object::text(c, &["type"]) == kind) {
        Some(old) => {
            let same = object::text(old, &["status"]) == status;
            let time = if same {
                old["lastTransitionTime"].clone()
            } else {
                now.into()
            };
            let new = new(time);
            let changed = *old != new;
            *old = new;
            changed
        }
        None => {
            list.push(new(now.into()));
            true
        }
    }
}
