//! Filling in defaults.

use crate::Schema;
use crate::node::Node;
use serde_json::Value;

impl Schema {
    /// Removes nulls that the schema does not allow, then sets the defaults of fields that are missing. A null in a field that
    /// has a default and is not nullable becomes the default.
    pub fn default(&self, object: &mut Value) {
        prune_nulls(object, Some(&self.root));
        apply(object, &self.root);
    }
}

fn prune_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(map) => map.retain(|key, child| {
            let schema = node.and_then(|node| node.member(key));
            if child.is_null() && schema.is_some_and(|schema| !schema.nullable && schema.default.is_none()) {
                return false;
            }
            prune_nulls(child, schema);
            true
        }),
        Value::Array(list) => {
            let item = node.and_then(|node| node.items.as_deref());
            list.iter_mut().for_each(|element| prune_nulls(element, item));
        }
        _ => {}
    }
}

fn apply(value: &mut Value, node: &Node) {
    match value {
        Value::Object(map) => {
            for (key, schema) in &node.properties {
                if let Some(default) = &schema.default
                    && map.get(key).is_none_or(|found| found.is_null() && !schema.nullable)
                {
                    map.insert(key.clone(), default.clone());
                }
            }
            for (key, child) in map.iter_mut() {
                if let Some(schema) = node.member(key) {
                    fill_null(child, schema);
                    apply(child, schema);
                }
            }
        }
        Value::Array(list) => {
            if let Some(item) = &node.items {
                for element in list {
                    fill_null(element, item);
                    apply(element, item);
                }
            }
        }
        _ => {}
    }
}

fn fill_null(value: &mut Value, node: &Node) {
    if let (true, false, Some(default)) = (value.is_null(), node.nullable, &node.default) {
        *value = default.clone();
    }
}
