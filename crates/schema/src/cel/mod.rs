//! Rules in CEL (`x-kubernetes-validations`).
//!
//! The language is kube-cel's; what the API server has on top of it is added here: types as values, `oldSelf` only where an old
//! value corresponds, forgiveness for values that do not change, and the server's texts.

mod values;

use crate::error::{ErrorKind, FieldError, join};
use crate::node::{Additional, Node};
use kube_cel::KubeCelExt;
use kube_cel::cel::objects::Opaque;
use kube_cel::cel::{Context, ExecutionError, FunctionContext, Value as CelValue};
use serde_json::Value;
use std::sync::Arc;

/// Evaluates all rules on `object` and below it.
pub(crate) fn check(root: &Node, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let walk = Walk { context: context() };
    walk.visit(root, "", object, old, false, errors);
}

struct Walk {
    context: Context<'static>,
}

impl Walk {
    /// `unchanged`: the nearest value above that has an old one is equal to it.
    fn visit(
        &self,
        node: &Node,
        path: &str,
        value: &Value,
        old: Option<&Value>,
        unchanged: bool,
        errors: &mut Vec<FieldError>,
    ) {
        if value.is_null() {
            return;
        }
        let unchanged = old.map_or(unchanged, |old| old == value);
        self.rules(node, node, path, value, old, unchanged, errors);
        match value {
            Value::Object(map) => {
                for (key, child) in map {
                    let old = old.and_then(|old| old.get(key));
                    if let Some(schema) = node.properties.get(key) {
                        self.visit(schema, &join(path, key), child, old, unchanged, errors);
                    } else if let Additional::Schema(schema) = &node.additional {
                        self.visit(schema, &format!("{path}[{key}]"), child, old, unchanged, errors);
                    }
                }
            }
            Value::Array(list) => {
                for (index, element) in list.iter().enumerate() {
                    if let Some(item) = &node.items {
                        let old = node.old_item(element, old);
                        self.visit(item, &format!("{path}[{index}]"), element, old, unchanged, errors);
                    }
                }
            }
            _ => {}
        }
    }

    /// The rules of `holder` (the node itself or a part of its `allOf`) on a value of `node`.
    #[allow(clippy::too_many_arguments)]
    fn rules(
        &self,
        holder: &Node,
        node: &Node,
        path: &str,
        value: &Value,
        old: Option<&Value>,
        unchanged: bool,
        errors: &mut Vec<FieldError>,
    ) {
        if !holder.rules.is_empty() {
            let mut scope = self.context.new_inner_scope();
            let root = path.is_empty();
            scope.add_variable_from_value("self", values::to_cel(value, Some(node), root));
            let old = old.filter(|old| !old.is_null());
            if let Some(old) = old {
                scope.add_variable_from_value("oldSelf", values::to_cel(old, Some(node), root));
            }
            for rule in &holder.rules {
                if rule.uses_old_self && rule.optional_old_self {
                    let mut scope = self.context.new_inner_scope();
                    scope.add_variable_from_value("self", values::to_cel(value, Some(node), root));
                    let old = old.map(|old| values::to_cel(old, Some(node), root));
                    scope.add_variable_from_value("oldSelf", values::optional(old));
                    errors.extend(rule.evaluate(&scope, path, &node.kind));
                } else if !rule.uses_old_self || old.is_some() {
                    let found = rule.evaluate(&scope, path, &node.kind);
                    errors.extend(
                        found.filter(|failure| {
                            rule.uses_old_self || !unchanged || failure.kind == ErrorKind::TypeInvalid
                        }),
                    );
                }
            }
        }
        for part in &holder.all_of {
            self.rules(part, node, path, value, old, unchanged, errors);
        }
    }
}

/// A type as a value: what `type(x)` gives and the names of types stand for.
#[derive(Debug, PartialEq, Eq)]
struct TypeValue(&'static str);

impl Opaque for TypeValue {
    fn runtime_type_name(&self) -> &str {
        "type"
    }
}

/// The functions of Kubernetes, and types as values.
fn context() -> Context<'static> {
    let mut context = Context::default().with_all();
    for name in [
        "bool",
        "bytes",
        "double",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "uint",
        "timestamp",
        "duration",
    ] {
        context.add_variable_from_value(name, type_value(name));
    }
    context.add_function("type", |value: CelValue| -> Result<CelValue, ExecutionError> {
        Ok(type_value(type_name(&value)))
    });
    context.add_function("size", |call: &FunctionContext| size(call));
    context
}

/// `size(x)` and `x.size()`. In place of the library's, which counts the bytes of texts and hides errors of its argument.
fn size(call: &FunctionContext) -> Result<i64, ExecutionError> {
    let value = match (&call.this, call.args.first()) {
        (Some(this), None) => this.clone(),
        (None, Some(argument)) => CelValue::resolve(argument, call.ptx)?,
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    let size = match &value {
        CelValue::List(list) => list.len(),
        CelValue::Map(map) => map.map.len(),
        CelValue::String(text) => text.chars().count(),
        CelValue::Bytes(bytes) => bytes.len(),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    i64::try_from(size).map_err(|_| ExecutionError::NoSuchOverload)
}

fn type_value(name: &'static str) -> CelValue {
    CelValue::Opaque(Arc::new(TypeValue(name)))
}

fn type_name(value: &CelValue) -> &'static str {
    match value {
        CelValue::List(_) => "list",
        CelValue::Map(_) => "map",
        CelValue::Int(_) => "int",
        CelValue::UInt(_) => "uint",
        CelValue::Float(_) => "double",
        CelValue::String(_) => "string",
        CelValue::Bytes(_) => "bytes",
        CelValue::Bool(_) => "bool",
        CelValue::Null => "null_type",
        CelValue::Duration(_) => "duration",
        CelValue::Timestamp(_) => "timestamp",
        _ => "dyn",
    }
}
