//! Tables for people: the rows that `kubectl get` prints.

mod columns;

use crate::call::Call;
use crate::object;
use crate::present;
use crate::registry::Column;
use crate::storage::Stored;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A `Table` of objects; `meta` is that of the list, or of the single object if absent.
pub fn of<'a>(call: &Call, items: impl Iterator<Item = &'a Stored>, meta: Option<Value>) -> Value {
    let include = call.query.get("includeObject").to_owned();
    let shape = Shape::of(call);
    let mut single = json!({});
    let now = call.clock.now();
    let rows: Vec<Value> = items
        .map(|item| {
            let value = present::value_in(&call.resource, &call.version, item);
            single = json!({"resourceVersion": item.rv.to_string()});
            let mut row = json!({"cells": shape.cells(&value, now)});
            match include.as_str() {
                "None" => row["object"] = Value::Null,
                "Object" => row["object"] = value,
                _ => row["object"] = present::partial(&value),
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta.unwrap_or(single),
        "columnDefinitions": shape.definitions(), "rows": rows})
}

const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/// The columns of a resource.
enum Shape<'a> {
    /// By code, for built-in kinds.
    Builtin(&'static [columns::Col]),
    /// By the paths of the definition, after the name.
    Custom(&'a [Column]),
}

impl<'a> Shape<'a> {
    fn of(call: &'a Call) -> Self {
        if call.resource.crd.is_none() {
            Shape::Builtin(columns::of(&call.resource.table))
        } else if call.version.columns.is_empty() {
            Shape::Builtin(columns::of(""))
        } else {
            Shape::Custom(&call.version.columns)
        }
    }

    fn definitions(&self) -> Vec<Value> {
        let definition = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
        match self {
            Shape::Builtin(columns) => columns
                .iter()
                .map(|c| {
                    let format = if c.name == "Name" { "name" } else { "" };
                    let kind = match c.name {
                        _ if c.number => "integer",
                        "Created At" => "date",
                        "Global-Default" => "boolean",
                        _ => "string",
                    };
                    definition(c.name, kind, format, c.name, i64::from(c.wide))
                })
                .collect(),
            Shape::Custom(columns) => {
                let mut all = vec![definition("Name", "string", "name", NAME_DESCRIPTION, 0)];
                let each = columns.iter().map(|c| {
                    let default = format!(
                        "Custom resource definition column (in JSONPath format): {}",
                        c.json_path
                    );
                    let description = if c.description.is_empty() {
                        &default
                    } else {
                        &c.description
                    };
                    definition(&c.name, &c.kind, &c.format, description, c.priority)
                });
                all.extend(each);
                all
            }
        }
    }

    fn cells(&self, value: &Value, now: Timestamp) -> Vec<Value> {
        match self {
            Shape::Builtin(columns) => columns.iter().map(|c| (c.cell)(value, now)).collect(),
            Shape::Custom(columns) => {
                let mut cells = vec![Value::from(object::name(value))];
                cells.extend(columns.iter().map(|column| {
                    let found = schema::jsonpath::first(&column.json_path, value);
                    schema::table::cell(&column.kind, found, now)
                }));
                cells
            }
        }
    }
}
