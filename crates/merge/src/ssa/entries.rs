//! The entries of one manager among an object's managed fields, read and rewritten.
//!
//! A manager that writes with plain updates and later with apply, or the other way round, has two entries, and neither lets go of
//! what the other holds. Clients bring them together as `kubectl apply --server-side` does with its own.

use super::managed::ManagedFields;
use super::set::FieldSet;
use super::walk::{Comparison, path_text};
use crate::types::TypeInfo;
use serde_json::{Value, json};

/// What one manager holds of an object itself (not of its subresources), and what others do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries {
    /// Held through server-side apply.
    pub applied: FieldSet,
    /// Held through plain writes, over all versions.
    pub updated: FieldSet,
    /// What others hold through apply or through a subresource, or have written later than the manager has.
    pub contested: FieldSet,
}

impl Entries {
    /// Reads the entries of `manager` and those beside them.
    pub fn of(object: &Value, manager: &str) -> Self {
        let all = ManagedFields::read(object).0;
        let mut found = Self::default();
        let is_own = |id: &super::ManagerId| id.manager == manager && id.subresource.is_empty();
        let latest = all
            .iter()
            .filter(|(id, _)| is_own(id))
            .filter_map(|(_, managed)| managed.time.clone())
            .max();
        for (id, managed) in &all {
            let set = match (is_own(id), id.applied) {
                (true, true) => &mut found.applied,
                (true, false) => &mut found.updated,
                (false, applied) => {
                    let is_claim = applied || !id.subresource.is_empty();
                    if !is_claim && managed.time <= latest {
                        continue;
                    }
                    &mut found.contested
                }
            };
            *set = set.union(&managed.fields);
        }
        found
    }

    /// The managed fields of `object` with these sets in place of the entries that `manager` has there.
    pub fn written(&self, object: &Value, manager: &str, api_version: &str) -> Value {
        let list = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let is_own = |entry: &&Value| {
            entry["manager"] == manager && entry["subresource"].as_str().unwrap_or_default().is_empty()
        };
        let (own, mut rest): (Vec<&Value>, Vec<&Value>) = list.into_iter().flatten().partition(is_own);
        let time = own.iter().filter_map(|entry| entry["time"].as_str()).max();
        let entry = |operation: &str, fields: &FieldSet| {
            let mut entry = json!({"manager": manager, "operation": operation, "apiVersion": api_version,
                "fieldsType": "FieldsV1", "fieldsV1": fields.to_json()});
            if let Some(time) = time {
                entry["time"] = json!(time);
            }
            entry
        };
        let new = [entry("Apply", &self.applied), entry("Update", &self.updated)];
        let kept = [&self.applied, &self.updated]
            .into_iter()
            .zip(&new)
            .filter(|(set, _)| !set.is_empty());
        rest.extend(kept.map(|(_, entry)| entry));
        json!(rest)
    }
}

/// Who else holds fields of `before` that are different in `after`: each manager with the first of these fields, as messages
/// print it.
pub fn other_writers(before: &Value, after: &Value, types: TypeInfo<'_>, manager: &str) -> Vec<(String, String)> {
    let [old, new] = [before, after].map(super::without_managed_fields);
    let change = Comparison::of(&old, &new, types);
    let change = change.changed().union(&change.removed);
    let others = ManagedFields::read(before)
        .0
        .into_iter()
        .filter(|(id, _)| id.manager != manager);
    let held = others.filter_map(|(id, managed)| {
        let path = managed
            .fields
            .overlap(&change)
            .paths()
            .into_iter()
            .max_by_key(Vec::len)?;
        Some((managed.time, id.manager, path_text(&path)))
    });
    let mut held: Vec<_> = held.collect();
    // Who wrote last comes first.
    held.sort_by(|a, b| b.cmp(a));
    held.into_iter().map(|(_, manager, path)| (manager, path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: Value) -> Value {
        json!({"metadata": {"name": "a", "managedFields": entries}, "data": {"a": "1", "b": "1"}})
    }

    fn entry(manager: &str, operation: &str, second: u8, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": format!("2026-01-01T00:00:0{second}Z"), "fieldsV1": fields})
    }

    #[test]
    fn entries_of_a_manager_are_told_from_those_of_others() {
        let mut scale = entry("autoscaler", "Update", 0, json!({"f:s": {}}));
        scale["subresource"] = json!("scale");
        let live = object(json!([
            entry("me", "Apply", 1, json!({"f:a": {}})),
            entry("me", "Update", 3, json!({"f:u": {}})),
            entry("creator", "Update", 2, json!({"f:old": {}})),
            entry("controller", "Update", 4, json!({"f:new": {}})),
            entry("applier", "Apply", 0, json!({"f:p": {}})),
            scale,
        ]));
        let found = Entries::of(&live, "me");
        assert_eq!(found.applied.to_json(), json!({"f:a": {}}));
        assert_eq!(found.updated.to_json(), json!({"f:u": {}}));
        assert_eq!(found.contested.to_json(), json!({"f:new": {}, "f:p": {}, "f:s": {}}));
        let one = Entries {
            applied: found.applied.union(&found.updated),
            ..Entries::default()
        };
        let written = one.written(&live, "me", "v2");
        let list = written.as_array().unwrap();
        assert_eq!(list.len(), 5);
        assert_eq!(
            list[4],
            json!({"manager": "me", "operation": "Apply", "apiVersion": "v2", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:a": {}, "f:u": {}}, "time": "2026-01-01T00:00:03Z"})
        );
        assert_eq!(list[..4], live["metadata"]["managedFields"].as_array().unwrap()[2..]);
    }

    #[test]
    fn the_other_writer_of_a_field_is_named() {
        let before = object(json!([
            entry("me", "Update", 1, json!({"f:data": {"f:b": {}}})),
            entry("first", "Update", 2, json!({"f:data": {".": {}, "f:a": {}}})),
            entry("second", "Apply", 3, json!({"f:data": {"f:a": {}}})),
            entry("bystander", "Update", 4, json!({"f:data": {"f:c": {}}})),
        ]));
        let mut after = before.clone();
        after["data"]["a"] = json!("2");
        after["data"]["b"] = json!("2");
        let types = TypeInfo::builtin("v1", "ConfigMap").unwrap();
        let names = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(l, r)| ((*l).to_owned(), (*r).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            other_writers(&before, &after, types, "me"),
            names(&[("second", ".data.a"), ("first", ".data.a")])
        );
        assert_eq!(other_writers(&before, &before, types, "me"), []);
        // Of a custom resource a list is one value here, while the server knows its elements.
        let list = |value: u8, entries: Value| json!({"metadata": {"managedFields": entries}, "spec": {"l": [{"n": "x", "v": value}]}});
        let holds = json!([entry(
            "other",
            "Update",
            1,
            json!({"f:spec": {"f:l": {"k:{\"n\":\"x\"}": {"f:v": {}}}}})
        )]);
        let found = other_writers(&list(1, holds), &list(2, json!([])), TypeInfo::unknown_object(), "me");
        assert_eq!(found, names(&[("other", ".spec.l[n=\"x\"].v")]));
    }
}
