//! Owner garbage collection.

use crate::controllers::edit;
use crate::object::{self, items, text};
use crate::registry::split_api_version;
use crate::server::Core;
use crate::storage::{Key, Stored};
use crate::verbs::delete::{self, FOREGROUND, ORPHAN, Options, Propagation};
use serde_json::Value;
use std::sync::Arc;

/// What an owner reference leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The owner lives, or cannot be judged (unknown kind).
    Solid,
    /// No such object.
    Dangling,
    /// The owner is being deleted and waits for this dependent.
    Waiting,
}

/// Where the owner of an object is, if its kind is known and reachable.
fn owner_key(core: &Core, namespace: &str, reference: &Value) -> Option<Key> {
    let (group, _) = split_api_version(text(reference, &["apiVersion"]));
    let resource = core.registry.by_kind(group, text(reference, &["kind"]))?;
    if resource.namespaced && namespace.is_empty() {
        return None;
    }
    let namespace = if resource.namespaced { namespace } else { "" };
    Some(Key::new(&resource.table, namespace, text(reference, &["name"])))
}

fn find(core: &Core, key: &Key) -> Option<Arc<Stored>> {
    core.store.get(&key.table, &key.namespace, &key.name)
}

fn judge(core: &Core, namespace: &str, reference: &Value) -> Owner {
    let Some(key) = owner_key(core, namespace, reference) else {
        return Owner::Solid;
    };
    match find(core, &key).filter(|owner| *owner.uid == *text(reference, &["uid"])) {
        None => Owner::Dangling,
        Some(owner) if owner.terminating && blocks(reference) && has_finalizer(&owner, FOREGROUND) => Owner::Waiting,
        Some(_) => Owner::Solid,
    }
}

fn blocks(reference: &Value) -> bool {
    reference.get("blockOwnerDeletion") == Some(&Value::Bool(true))
}

fn has_finalizer(stored: &Stored, finalizer: &str) -> bool {
    object::finalizers(&stored.value()).contains(&finalizer)
}

/// Owners of a deleted object that may have waited for it.
pub fn waiting_owners(core: &Core, gone: &Stored) -> Vec<Key> {
    if gone.owners.is_empty() {
        return Vec::new();
    }
    let value = gone.value();
    let keys = items(&value, &["metadata", "ownerReferences"]).iter();
    let keys = keys.filter_map(|reference| owner_key(core, &gone.namespace, reference));
    keys.filter(|key| find(core, key).is_some_and(|owner| owner.terminating))
        .collect()
}

/// Attends to everything that names a vanished owner.
pub fn owner_gone(core: &Arc<Core>, uid: &str) {
    for key in core.store.dependents(uid) {
        check_owners(core, &key);
    }
}

/// Deletes an object whose owners are all gone or wait for it; otherwise forgets those that are.
pub fn check_owners(core: &Arc<Core>, key: &Key) {
    let Some(stored) = find(core, key) else { return };
    let value = stored.value();
    let references = items(&value, &["metadata", "ownerReferences"]);
    if references.is_empty() || (stored.terminating && !has_finalizer(&stored, FOREGROUND)) {
        return;
    }
    let states: Vec<Owner> = references.iter().map(|r| judge(core, &key.namespace, r)).collect();
    let gone: Vec<String> = references
        .iter()
        .zip(&states)
        .filter(|(_, state)| **state != Owner::Solid)
        .map(|(r, _)| text(r, &["uid"]).to_owned())
        .collect();
    if gone.is_empty() {
        return;
    }
    if states.contains(&Owner::Solid) {
        forget_owners(core, key, &gone);
        return;
    }
    let has_dependents = !core.store.dependents(&stored.uid).is_empty();
    let finalizers = object::finalizers(&value);
    let propagation = if states.contains(&Owner::Waiting) && has_dependents || finalizers.contains(&FOREGROUND) {
        Propagation::Foreground
    } else if finalizers.contains(&ORPHAN) {
        Propagation::Orphan
    } else {
        Propagation::Background
    };
    let options = Options {
        propagation: Some(propagation),
        uid: Some(stored.uid.to_string()),
        ..Options::default()
    };
    if let Some(resource) = core.registry.by_table(&key.table) {
        // It may have been deleted meanwhile, which is as good.
        let _gone_or_marked = delete::remove(core, &resource, &key.namespace, &key.name, &options);
    }
}

fn forget_owners(core: &Arc<Core>, key: &Key, uids: &[String]) {
    edit(core, key, &|value| {
        let list = items(value, &["metadata", "ownerReferences"]);
        let kept: Vec<Value> = list
            .iter()
            .filter(|r| !uids.iter().any(|uid| uid == text(r, &["uid"])))
            .cloned()
            .collect();
        let changed = kept.len() != list.len();
        object::set_meta(
            value,
            "ownerReferences",
            (!kept.is_empty()).then_some(Value::Array(kept)),
        );
        changed
    });
}

/// Works off the dependents of a terminating object and then lets it go.
pub fn dependents(core: &Arc<Core>, key: &Key) {
    let Some(stored) = find(core, key).filter(|s| s.terminating) else {
        return;
    };
    let value = stored.value();
    let finalizers = object::finalizers(&value);
    if finalizers.contains(&ORPHAN) {
        for dependent in core.store.dependents(&stored.uid) {
            forget_owners(core, &dependent, &[stored.uid.to_string()]);
        }
        drop_finalizer(core, key, ORPHAN);
    } else if finalizers.contains(&FOREGROUND) {
        for dependent in core.store.dependents(&stored.uid) {
            check_owners(core, &dependent);
        }
        let still_blocked = core.store.dependents(&stored.uid).iter().any(|dependent| {
            find(core, dependent).is_some_and(|d| {
                let value = d.value();
                let mut references = items(&value, &["metadata", "ownerReferences"]).iter();
                references.any(|r| text(r, &["uid"]) == &*stored.uid && blocks(r))
            })
        });
        if !still_blocked {
            drop_finalizer(core, key, FOREGROUND);
        }
    }
}

/// Removes a finalizer.
pub fn drop_finalizer(core: &Arc<Core>, key: &Key, finalizer: &str) {
    edit(core, key, &|value| {
        let before = object::finalizers(value).len();
        let kept: Vec<String> = object::finalizers(value)
            .into_iter()
            .filter(|f| *f != finalizer)
            .map(str::to_owned)
            .collect();
        let changed = kept.len() != before;
        object::set_finalizers(value, &kept);
        changed
    });
}
