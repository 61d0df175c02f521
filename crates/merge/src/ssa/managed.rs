//! The `metadata.managedFields` of an object.

use super::set::FieldSet;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many entries of plain updates an object keeps; the oldest ones are merged beyond that.
const MAX_UPDATERS: usize = 10;

/// Who manages: entries are kept apart by these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ManagerId {
    /// True for server-side apply, false for every other write.
    pub(super) applied: bool,
    pub(super) manager: String,
    /// Empty for appliers, whose entry moves along from version to version.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

/// What somebody manages.
#[derive(Debug, Clone)]
pub(super) struct Managed {
    pub(super) api_version: String,
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

/// All entries of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct ManagedFields(pub(super) BTreeMap<ManagerId, Managed>);

impl ManagedFields {
    /// Reads an object's entries; malformed ones are left out.
    pub(super) fn read(object: &Value) -> Self {
        let mut result = BTreeMap::new();
        for entry in object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let applied = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                _ => continue,
            };
            let api_version = text("apiVersion");
            let id = ManagerId {
                applied,
                manager: text("manager"),
                api_version: if applied { String::new() } else { api_version.clone() },
                subresource: text("subresource"),
            };
            let fields = FieldSet::from_json(&entry["fieldsV1"]);
            result.insert(
                id,
                Managed {
                    api_version,
                    time: entry["time"].as_str().map(str::to_owned),
                    fields,
                },
            );
        }
        Self(result)
    }

    /// Whether the object requests the removal of all entries: an empty list, or one empty entry.
    pub(super) fn is_reset(object: &Value) -> bool {
        match object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([]) => true,
            Some([only]) => only.as_object().is_some_and(Map::is_empty),
            _ => false,
        }
    }

    /// Writes the entries into an object, appliers first, then by time and name.
    pub(super) fn write(&self, object: &mut Value) {
        let mut entries: Vec<(&ManagerId, &Managed)> = self
            .0
            .iter()
            .filter(|(_, managed)| !managed.fields.is_empty())
            .collect();
        entries.sort_by_key(|(id, managed)| {
            (
                !id.applied,
                managed.time.clone().unwrap_or_default(),
                id.manager.clone(),
                managed.api_version.clone(),
                id.subresource.clone(),
            )
        });
        let list: Vec<Value> = entries.into_iter().map(|(id, managed)| encode(id, managed)).collect();
        let Some(object) = object.as_object_mut() else { return };
        let meta = object.entry("metadata").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            if list.is_empty() {
                meta.remove("managedFields");
            } else {
                meta.insert("managedFields".to_owned(), Value::Array(list));
            }
        }
    }

    /// Merges the oldest entries of updates while there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<(String, ManagerId)> = self
            .0
            .iter()
            .filter(|(id, _)| !id.applied)
            .map(|(id, m)| (m.time.clone().unwrap_or_default(), id.clone()))
            .collect();
        updaters.sort();
        let mut count = updaters.len();
        let mut first: BTreeMap<String, ManagerId> = BTreeMap::new();
        for (_, id) in updaters {
            if count <= MAX_UPDATERS {
                break;
            }
            let Some(oldest) = first.get(&id.api_version).cloned() else {
                first.insert(id.api_version.clone(), id);
                continue;
            };
            let bucket = ManagerId {
                applied: false,
                manager: "ancient-changes".to_owned(),
                api_version: id.api_version.clone(),
                subresource: String::new(),
            };
            if !self.0.contains_key(&bucket)
                && let Some(old) = self.0.remove(&oldest)
            {
                self.0.insert(bucket.clone(), old);
            }
            if let Some(merged) = self.0.remove(&id)
                && let Some(into) = self.0.get_mut(&bucket)
            {
                into.fields = into.fields.union(&merged.fields);
                into.time = merged.time;
                count -= 1;
            }
        }
    }
}

fn encode(id: &ManagerId, managed: &Managed) -> Value {
    let mut entry = json!({
        "manager": id.manager,
        "operation": if id.applied { "Apply" } else { "Update" },
        "apiVersion": managed.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": managed.fields.to_json(),
    });
    if let Some(time) = &managed.time {
        entry["time"] = json!(time);
    }
    if !id.subresource.is_empty() {
        entry["subresource"] = json!(id.subresource);
    }
    entry
}
