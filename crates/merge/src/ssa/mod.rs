//! Server-side apply: who owns which field, and what an apply makes of an object.
//!
//! The rules are those of the Kubernetes API server: an applier owns what its configuration says, a writer owns what it changed;
//! applying another value onto a field that somebody else owns is a conflict unless forced; a field that its applier no longer
//! names and that nobody else owns disappears.

mod entries;
mod kubectl;
mod managed;
mod rewrite;
mod set;
mod structure;
mod walk;

use crate::types::TypeInfo;
pub use entries::{Entries, other_writers};
use managed::ManagerId;
use managed::{Managed, ManagedFields};
use serde_json::{Map, Value, json};
pub use set::{FieldSet, PathElement};
use walk::{Comparison, field_set, path_text};

/// The manager of what an object held before its first apply, when nobody was recorded.
pub const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager; empty counts as `unknown`.
    pub manager: &'a str,
    /// Group and version that the request uses.
    pub api_version: &'a str,
    /// `status`, `scale`; empty for the object itself.
    pub subresource: &'a str,
    /// The time to record, RFC 3339 in whole seconds.
    pub now: &'a str,
    /// Paths that a write through this endpoint never changes, hence never owns (`status` on the object itself).
    pub reset: &'a FieldSet,
}

/// Why an apply is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SsaError {
    /// Others own fields that would change. The text is the API server's.
    #[error("{}", conflict_text(.0))]
    Conflicts(Vec<Conflict>),
    /// The configuration does not fit the type: path and reason, as the API server words them.
    #[error("{0}")]
    Invalid(String),
    /// The configuration holds managed fields.
    #[error("metadata.managedFields must be nil")]
    HasManagedFields,
}

/// One field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The owner as messages print it: `"name"`, with subresource and, for updates, version.
    pub manager: String,
    /// The field, as in `.spec.replicas`.
    pub path: String,
}

impl Conflict {
    /// The message of this conflict's cause in the API server's answer.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// Applies a configuration. `live` is `None` when the object does not exist yet.
///
/// The result carries its managed fields. Equal objects in and out (see `managedFields` as well) mean that nothing is to be
/// written.
///
/// # Errors
/// Conflicts without `force`, and configurations that do not fit the type.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    types: TypeInfo<'_>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, SsaError> {
    if config
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(SsaError::HasManagedFields);
    }
    let result = apply_once(live, config, types, writer, force);
    let mut result = match result {
        Err(SsaError::Conflicts(conflicts)) if writer.manager == kubectl::MANAGER => {
            let left = kubectl::without_last_applied(conflicts, live, types);
            if !left.is_empty() {
                return Err(SsaError::Conflicts(left));
            }
            apply_once(live, config, types, writer, true)?
        }
        other => other?,
    };
    if writer.manager == kubectl::MANAGER {
        kubectl::sync_last_applied(&mut result, config);
    }
    Ok(result)
}

fn apply_once(
    live: Option<&Value>,
    config: &Value,
    types: TypeInfo<'_>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, SsaError> {
    let before = without_managed_fields(live.unwrap_or(&json!({})));
    let mut managers = live.map(ManagedFields::read).unwrap_or_default();
    if managers.0.is_empty() && live.is_some() {
        let first = Writer {
            manager: BEFORE_FIRST_APPLY,
            ..*writer
        };
        record_update(&mut managers, &nothing(&before, types), &before, types, &first);
    }
    let me = writer.id(true);
    let applied = field_set(config, types, true)?.recursive_difference(writer.reset);
    let last = managers.0.get(&me).cloned();
    let time = last.as_ref().and_then(|managed| managed.time.clone());
    managers.0.insert(
        me.clone(),
        Managed {
            api_version: writer.api_version.to_owned(),
            time,
            fields: applied,
        },
    );

    let merged = rewrite::merge(&before, config, types);
    let after = match last {
        Some(last) if !last.fields.is_empty() => prune(merged, &managers, &last.fields, types),
        _ => merged,
    };
    settle(&mut managers, &me, &before, &after, types, writer, force)?;
    let changed = !crate::equal::same(&before, &after);
    if let Some(mine) = managers.0.get_mut(&me) {
        mine.fields = mine.fields.difference(&identity_fields());
        if changed || mine.time.is_none() {
            mine.time = Some(writer.now.to_owned());
        }
    }
    let mut result = after;
    managers.write(&mut result);
    Ok(result)
}

/// Records a plain write: returns `new` with its managed fields. `live` is `None` on creation.
///
/// Managed fields that the request itself carries are taken as the starting point (an empty list forgets them all), except
/// through subresources.
pub fn update_managed_fields(live: Option<&Value>, new: &Value, types: TypeInfo<'_>, writer: &Writer<'_>) -> Value {
    let own = if writer.subresource.is_empty() {
        ManagedFields::read(new)
    } else {
        ManagedFields::default()
    };
    let reset = writer.subresource.is_empty() && ManagedFields::is_reset(new);
    let mut managers = match live {
        _ if reset || !own.0.is_empty() => own,
        Some(live) => ManagedFields::read(live),
        None => own,
    };
    let mut result = without_managed_fields(new);
    // An object whose entries were forgotten is not tracked again before its first apply.
    if managers.0.is_empty() && live.is_some() {
        return result;
    }
    let before = live.map_or_else(|| nothing(new, types), without_managed_fields);
    record_update(&mut managers, &before, &result, types, writer);
    managers.cap();
    managers.write(&mut result);
    result
}

/// What `manager` applied, with the object's identity: the configuration to change and apply again. `None` if it applied nothing.
pub fn extract(object: &Value, manager: &str, subresource: &str, types: TypeInfo<'_>) -> Option<Value> {
    let id = ManagerId {
        applied: true,
        manager: manager.to_owned(),
        api_version: String::new(),
        subresource: subresource.to_owned(),
    };
    let managers = ManagedFields::read(object);
    let fields = &managers.0.get(&id)?.fields;
    let mut result = rewrite::keep(object, fields, types)?;
    for key in ["apiVersion", "kind"] {
        result[key] = object[key].clone();
    }
    for key in ["name", "namespace"] {
        if let Some(value) = object["metadata"].get(key) {
            result["metadata"][key] = value.clone();
        }
    }
    Some(result)
}

/// `first` with everything that `second` says.
pub fn combine(first: &Value, second: &Value, types: TypeInfo<'_>) -> Value {
    rewrite::merge(first, second, types)
}

/// The paths that `manager` owns through server-side apply (`applied`) or through plain writes, over all versions.
pub fn owned(object: &Value, manager: &str, applied: bool) -> FieldSet {
    let managers = ManagedFields::read(object);
    let mine = managers
        .0
        .iter()
        .filter(|(id, _)| id.manager == manager && id.applied == applied);
    mine.fold(FieldSet::default(), |all, (_, managed)| all.union(&managed.fields))
}

/// Whether anybody owns the field at this path of names.
pub fn is_owned(object: &Value, path: &[&str]) -> bool {
    let path: Vec<PathElement> = path.iter().map(|name| PathElement::field(name)).collect();
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    ManagedFields::read(object).0.values().any(|managed| {
        let found = parents.iter().try_fold(&managed.fields, |set, step| set.below(step));
        found.is_some_and(|set| set.contains(last))
    })
}

impl Writer<'_> {
    fn id(&self, applied: bool) -> ManagerId {
        ManagerId {
            applied,
            manager: if self.manager.is_empty() {
                "unknown".to_owned()
            } else {
                self.manager.to_owned()
            },
            api_version: if applied {
                String::new()
            } else {
                self.api_version.to_owned()
            },
            subresource: self.subresource.to_owned(),
        }
    }
}

/// Takes changed and removed fields from everybody and gives the changed ones to the writer.
fn record_update(
    managers: &mut ManagedFields,
    before: &Value,
    after: &Value,
    types: TypeInfo<'_>,
    writer: &Writer<'_>,
) {
    let change = Comparison::of(before, after, types).without(writer.reset);
    let lost = change.changed().union(&change.removed);
    for managed in managers.0.values_mut() {
        managed.fields = managed.fields.difference(&lost);
    }
    managers.0.retain(|_, managed| !managed.fields.is_empty());
    let mine = change.changed().difference(&identity_fields());
    if mine.is_empty() {
        return;
    }
    let entry = managers.0.entry(writer.id(false)).or_insert_with(|| Managed {
        api_version: writer.api_version.to_owned(),
        time: None,
        fields: FieldSet::default(),
    });
    entry.fields = entry.fields.union(&mine);
    entry.time = Some(writer.now.to_owned());
}

/// Takes from the other managers what the apply changes; a conflict unless forced.
fn settle(
    managers: &mut ManagedFields,
    me: &ManagerId,
    before: &Value,
    after: &Value,
    types: TypeInfo<'_>,
    writer: &Writer<'_>,
    force: bool,
) -> Result<(), SsaError> {
    let change = Comparison::of(before, after, types).without(writer.reset);
    let changed = change.changed();
    if !force {
        let mut conflicts = Vec::new();
        for (id, managed) in managers.0.iter().filter(|(id, _)| *id != me) {
            for path in managed.fields.intersection(&changed).paths() {
                conflicts.push(Conflict {
                    manager: print_manager(id),
                    path: path_text(&path),
                });
            }
        }
        if !conflicts.is_empty() {
            conflicts.sort_by(|a, b| a.manager.cmp(&b.manager));
            return Err(SsaError::Conflicts(conflicts));
        }
    }
    let lost = changed.union(&change.removed);
    for (_, managed) in managers.0.iter_mut().filter(|(id, _)| *id != me) {
        managed.fields = managed.fields.difference(&lost);
    }
    managers.0.retain(|_, managed| !managed.fields.is_empty());
    Ok(())
}

/// Removes what the applier named last time and names no longer, unless somebody else owns it.
fn prune(merged: Value, managers: &ManagedFields, last: &FieldSet, types: TypeInfo<'_>) -> Value {
    let held = |value: &Value| {
        field_set(value, types, false)
            .unwrap_or_default()
            .with_named_fields(types)
    };
    let without = |gone: &FieldSet| rewrite::remove(&merged, gone, types).unwrap_or_else(|| Value::Object(Map::new()));
    let last = last.with_named_fields(types);
    let owned = managers
        .0
        .values()
        .fold(FieldSet::default(), |all, managed| all.union(&managed.fields))
        .with_named_fields(types);
    let everything = held(&merged);
    // What removing the old configuration takes along and somebody owns comes back; so does what the applier never owned.
    let bare = held(&without(&last));
    let kept = held(&without(&everything.difference(&bare.union(&owned))));
    without(&everything.difference(&kept).intersection(&last))
}

/// What a new object is compared with: nothing, except that built-in kinds always have their parts.
fn nothing(new: &Value, types: TypeInfo<'_>) -> Value {
    const PARTS: [&[&str]; 8] = [
        &["metadata"],
        &["spec"],
        &["status"],
        &["spec", "template"],
        &["spec", "template", "metadata"],
        &["spec", "template", "spec"],
        &["spec", "strategy"],
        &["spec", "updateStrategy"],
    ];
    let mut empty = json!({"apiVersion": new["apiVersion"], "kind": new["kind"], "metadata": {}});
    if !types.is_builtin() {
        return empty;
    }
    for part in PARTS {
        let pointer: String = part.iter().map(|name| format!("/{name}")).collect();
        let parent: String = part[..part.len() - 1].iter().map(|name| format!("/{name}")).collect();
        let has = new.pointer(&pointer).is_some_and(Value::is_object);
        if let (true, Some(parent), Some(last)) = (
            has,
            empty.pointer_mut(&parent).and_then(Value::as_object_mut),
            part.last(),
        ) {
            parent.entry(*last).or_insert_with(|| json!({}));
        }
    }
    empty
}

/// Fields that say which object this is or that only the server writes: nobody owns them.
fn identity_fields() -> FieldSet {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

fn without_managed_fields(object: &Value) -> Value {
    let mut result = object.clone();
    if let Some(meta) = result.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    result
}

fn print_manager(id: &ManagerId) -> String {
    let mut text = format!("{:?}", id.manager);
    if !id.subresource.is_empty() {
        text = format!("{text} with subresource {:?}", id.subresource);
    }
    if id.applied {
        text
    } else {
        format!("{text} using {}", id.api_version)
    }
}

fn conflict_text(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            only.manager, only.path
        );
    }
    let mut lines = Vec::new();
    let mut last = "";
    for conflict in conflicts {
        if conflict.manager != last {
            lines.push(format!("conflicts with {}:", conflict.manager));
            last = &conflict.manager;
        }
        lines.push(format!("- {}", conflict.path));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests;
