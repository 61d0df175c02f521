//! What follows a change: owner garbage collection, namespace content, custom resource definitions, RBAC rules.
//!
//! Tasks run at once, after the change and before its answer goes out. One thread works at a time; others leave their
//! tasks to it. A real cluster does the same a little later.

use crate::server::Core;
use crate::storage::{Change, Event, EventKind, Key, StoreError};
use crate::{crds, gc, namespaces, object, rbac};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// Table of namespaces.
pub const NAMESPACES: &str = "namespaces";
/// Table of custom resource definitions.
pub const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// An object is gone: attend to those that name it as an owner.
    OwnerGone(Arc<str>),
    /// An object has owners: check that one of them lives.
    CheckOwners(Key),
    /// A terminating object waits for, or lets go of, its dependents.
    Dependents(Key),
    /// A namespace is new, or lost one of its standard objects.
    Furnish(Arc<str>),
    /// A namespace is terminating: remove its content, then itself.
    Empty(Arc<str>),
    /// A custom resource definition is new or changed.
    Define(Arc<str>),
    /// A custom resource definition is terminating: remove its objects, then itself.
    Undefine(Arc<str>),
}

/// Tasks to be done.
#[derive(Default)]
pub struct Queue(Mutex<Pending>);

#[derive(Default)]
struct Pending {
    tasks: VecDeque<Task>,
    busy: bool,
}

/// Derives the tasks of an event and does them.
pub fn after(core: &Arc<Core>, table: &str, event: &Event) {
    rbac::observe(core, table, event);
    if table == "services" {
        core.addresses.observe(event);
    }
    let mut tasks = Vec::new();
    derive(core, table, event, &mut tasks);
    if !tasks.is_empty() {
        core.queue.0.lock().tasks.extend(tasks);
        drain(core);
    }
}

fn derive(core: &Arc<Core>, table: &str, event: &Event, tasks: &mut Vec<Task>) {
    let object = &event.object;
    let key = || Key::new(table, &object.namespace, &object.name);
    let deleted = event.kind == EventKind::Deleted;
    if deleted {
        tasks.push(Task::OwnerGone(object.uid.clone()));
        tasks.extend(gc::waiting_owners(core, object).into_iter().map(Task::Dependents));
    } else {
        let before = event.previous.as_ref().map(|p| p.owners.as_slice()).unwrap_or_default();
        if !object.owners.is_empty() && object.owners != before {
            tasks.push(Task::CheckOwners(key()));
        }
        if object.terminating && table != NAMESPACES {
            tasks.push(Task::Dependents(key()));
        }
    }
    match table {
        NAMESPACES if deleted => namespaces::forget(core, &object.name),
        NAMESPACES if object.terminating => {
            tasks.push(Task::Dependents(key()));
            if event.previous.as_ref().is_some_and(|p| !p.terminating) {
                namespaces::schedule(core, &object.name);
            } else {
                tasks.push(Task::Empty(object.name.clone()));
            }
        }
        NAMESPACES if event.kind == EventKind::Added => tasks.push(Task::Furnish(object.name.clone())),
        CRDS if deleted => crds::forget(core, object),
        CRDS if object.terminating => tasks.push(Task::Undefine(object.name.clone())),
        CRDS => tasks.push(Task::Define(object.name.clone())),
        "serviceaccounts" | "configmaps" if deleted && namespaces::is_standard(table, &object.name) => {
            tasks.push(Task::Furnish(object.namespace.clone()));
        }
        _ => {}
    }
    if deleted {
        let terminating = |table: &str, name: &str| core.store.get(table, "", name).is_some_and(|s| s.terminating);
        if !object.namespace.is_empty() && terminating(NAMESPACES, &object.namespace) {
            tasks.push(Task::Empty(object.namespace.clone()));
        }
        if terminating(CRDS, table) {
            tasks.push(Task::Undefine(table.into()));
        }
    }
}

/// Does what is queued, unless another thread is at it.
fn drain(core: &Arc<Core>) {
    {
        let mut pending = core.queue.0.lock();
        if pending.busy {
            return;
        }
        pending.busy = true;
    }
    while let Some(task) = next(&core.queue) {
        run(core, task);
    }
}

fn next(queue: &Queue) -> Option<Task> {
    let mut pending = queue.0.lock();
    let task = pending.tasks.pop_front();
    pending.busy = task.is_some();
    task
}

fn run(core: &Arc<Core>, task: Task) {
    match task {
        Task::OwnerGone(uid) => gc::owner_gone(core, &uid),
        Task::CheckOwners(key) => gc::check_owners(core, &key),
        Task::Dependents(key) => gc::dependents(core, &key),
        Task::Furnish(namespace) => namespaces::furnish(core, &namespace),
        Task::Empty(namespace) => namespaces::empty(core, &namespace),
        Task::Define(name) => crds::define(core, &name),
        Task::Undefine(name) => crds::undefine(core, &name),
    }
}

/// Adds a task and does what is queued.
pub fn enqueue(core: &Arc<Core>, task: Task) {
    core.queue.0.lock().tasks.push_back(task);
    drain(core);
}

/// Changes a stored object by the server's own hand. `edit` says whether it changed anything; a terminating object
/// that nothing holds any more is removed.
pub fn edit(core: &Arc<Core>, key: &Key, edit: &dyn Fn(&mut Value) -> bool) {
    while let Some(stored) = core.store.get(&key.table, &key.namespace, &key.name) {
        let mut value = stored.value();
        if !edit(&mut value) {
            return;
        }
        let held = !object::finalizers(&value).is_empty()
            || (*key.table == *NAMESPACES && !object::items(&value, &["spec", "finalizers"]).is_empty())
            || object::at(&value, &["metadata", "deletionGracePeriodSeconds"])
                .and_then(Value::as_i64)
                .unwrap_or(0)
                > 0;
        let gone = object::is_terminating(&value) && !held;
        let change = if gone {
            Change::Remove(value, stored.rv)
        } else {
            Change::Update(value, stored.rv)
        };
        match core.store.commit(&key.table, change) {
            Ok(event) => return after(core, &key.table, &event),
            Err(StoreError::Changed) => {}
            Err(_) => return,
        }
    }
}
