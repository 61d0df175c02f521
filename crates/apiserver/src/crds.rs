//! The life of CustomResourceDefinitions: accepted, established, served; and their instances' removal with them.

use crate::call::Call;
use crate::controllers::{CRDS, edit};
use crate::gc;
use crate::namespaces::set_condition;
use crate::object::{self, at, items, text};
use crate::registry::{self, Resource};
use crate::server::Core;
use crate::status::ApiResult;
use crate::storage::{Key, Scope, Stored};
use crate::verbs::delete::{self, Options};
use serde_json::{Value, json};
use std::sync::Arc;

/// Keeps a definition until its instances are gone.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Adds the clean-up finalizer when a definition is about to be deleted.
pub fn hold(resource: &Resource, live: &Value, finalizers: &mut Vec<String>) {
    if &*resource.table == CRDS && !object::is_terminating(live) && !finalizers.iter().any(|f| f == CLEANUP) {
        finalizers.push(CLEANUP.into());
    }
}

/// Says in the status that the definition is going.
pub fn mark_terminating(core: &Core, crd: &mut Value) {
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set_condition(
        crd,
        "Terminating",
        true,
        "InstanceDeletionPending",
        message,
        &core.clock.now_text(),
    );
}

/// Refuses instances of a definition that is going.
pub fn check_may_create(core: &Core, call: &Call, name: &str) -> ApiResult<()> {
    let going = call.resource.crd.is_some()
        && core
            .store
            .get(CRDS, "", &call.resource.table)
            .is_some_and(|d| d.terminating);
    if going {
        let why = "create not allowed while custom resource definition is terminating";
        return Err(call.forbidden(name, why));
    }
    Ok(())
}

/// Serves what a new or changed definition describes and says so in its status.
pub fn define(core: &Arc<Core>, name: &str) {
    let Some(stored) = core.store.get(CRDS, "", name).filter(|s| !s.terminating) else {
        return;
    };
    let crd = stored.value();
    // Making sense of schemas is costly, and a changed status changes nothing about them.
    let served = core.registry.by_table(name);
    if served.is_some_and(|r| r.crd.as_deref() == Some(&*stored.uid) && r.generation == object::generation(&crd)) {
        return;
    }
    let now = core.clock.now_text();
    let accepted =
        registry::from_crd(&crd).and_then(|resource| match registry::names_in_use(&core.registry, &resource) {
            Some(conflict) => Err(conflict),
            None => Ok(resource),
        });
    let key = Key::new(CRDS, "", name);
    match accepted {
        Ok(resource) => {
            core.store.add_table(&resource.table);
            core.registry.insert(resource);
            edit(core, &key, &|value| establish(value, &now));
        }
        Err(why) => edit(core, &key, &|value| {
            let refused = set_condition(value, "NamesAccepted", false, "NamesInUse", &why, &now);
            let text = "not all names are accepted";
            refused | set_condition(value, "Established", false, "NotAccepted", text, &now)
        }),
    }
}

fn establish(crd: &mut Value, now: &str) -> bool {
    let mut changed = set_condition(crd, "NamesAccepted", true, "NoConflicts", "no conflicts found", now);
    let text_established = "the initial names have been accepted";
    changed |= set_condition(crd, "Established", true, "InitialNamesAccepted", text_established, now);
    let names = at(crd, &["spec", "names"]).cloned().unwrap_or_default();
    let storage = items(crd, &["spec", "versions"])
        .iter()
        .find(|v| v.get("storage") == Some(&Value::Bool(true)))
        .map(|v| text(v, &["name"]).to_owned())
        .unwrap_or_default();
    let status = object::child(crd, "status");
    if status.get("acceptedNames") != Some(&names) {
        status.insert("acceptedNames".into(), names);
        changed = true;
    }
    let stored = status.entry("storedVersions").or_insert_with(|| json!([]));
    if let Value::Array(list) = stored
        && !list.iter().any(|v| *v == storage)
    {
        list.push(storage.into());
        changed = true;
    }
    changed
}

/// Deletes the instances of a terminating definition; once there are none, the definition goes.
pub fn undefine(core: &Arc<Core>, name: &str) {
    let Some(stored) = core.store.get(CRDS, "", name).filter(|s| s.terminating) else {
        return;
    };
    if !object::finalizers(&stored.value()).contains(&CLEANUP) {
        return;
    }
    if let Some(resource) = core.registry.by_table(name) {
        for item in core.store.list(name, &Scope::All).items {
            if !item.terminating {
                // It may be gone already, which is as good.
                let _gone_or_marked = delete::remove(core, &resource, &item.namespace, &item.name, &Options::default());
            }
        }
    }
    let left = core.store.list(name, &Scope::All).items.len();
    let key = Key::new(CRDS, "", name);
    let now = core.clock.now_text();
    if left == 0 {
        edit(core, &key, &|value| {
            let text = "removed all instances";
            set_condition(value, "Terminating", false, "InstanceDeletionCompleted", text, &now)
        });
        gc::drop_finalizer(core, &key, CLEANUP);
    } else {
        let message = "CustomResource deletion is in progress";
        edit(core, &key, &|value| {
            set_condition(value, "Terminating", true, "InstanceDeletionInProgress", message, &now)
        });
    }
}

/// Stops serving a definition that is gone.
pub fn forget(core: &Core, gone: &Stored) {
    let crd = gone.value();
    let (group, plural) = (text(&crd, &["spec", "group"]), text(&crd, &["spec", "names", "plural"]));
    if core
        .registry
        .resource(group, plural)
        .is_some_and(|r| r.crd.as_deref() == Some(&*gone.uid))
    {
        core.registry.remove(group, plural);
        core.store.drop_table(&gone.name);
    }
}
