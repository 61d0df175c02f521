//! What kind of thing stands at a path: which maps and lists are merged piece by piece, and by which keys.
//!
//! Three sources: the table of built-in kinds, the schema of a custom resource, and nothing at all (deduced from the value:
//! maps are granular, lists atomic). Strategic merge and server-side apply both read it.

mod table;

use serde_json::Value;
use table::{Field, Form, Type};
pub use table::{Patch, is_client_go_kind};
pub(crate) use table::{Scalar, Union};

/// The type of a value at some path of an object.
#[derive(Debug, Clone, Copy, Default)]
pub enum TypeInfo<'a> {
    /// Nothing is known: maps are granular, lists are atomic.
    #[default]
    Deduced,
    /// One value whatever is inside.
    Opaque,
    /// A position inside a built-in kind.
    #[doc(hidden)]
    Builtin(Builtin),
    /// A position inside a custom resource's schema.
    Schema(&'a Value),
    /// The top of a custom resource, or an embedded object: metadata is that of every Kubernetes object.
    Object(&'a Value),
}

/// A position inside a built-in kind: its form, and the field's markers where it is a field.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    form: &'static Form,
    field: Option<&'static Field>,
}

/// How a list is owned and merged by server-side apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind<'a> {
    /// One value.
    Atomic,
    /// Scalars, each owned by its value.
    Set,
    /// Objects, each owned by the values of these keys.
    Keyed(Vec<&'a str>),
}

impl<'a> TypeInfo<'a> {
    /// The type of a built-in kind; `None` for kinds that the table does not hold.
    pub fn builtin(api_version: &str, kind: &str) -> Option<TypeInfo<'static>> {
        table::kind(api_version, kind).map(|form| TypeInfo::Builtin(Builtin { form, field: None }))
    }

    /// The type of a custom resource with this `openAPIV3Schema`.
    pub fn custom(schema: &'a Value) -> TypeInfo<'a> {
        TypeInfo::Object(schema)
    }

    /// The type of a kind of which only the metadata is known.
    pub fn unknown_object() -> TypeInfo<'static> {
        static NOTHING: Value = Value::Null;
        TypeInfo::Object(&NOTHING)
    }

    /// Whether this is a built-in kind, whose empty parts the server keeps as zero values.
    pub(crate) fn is_builtin(self) -> bool {
        matches!(self, TypeInfo::Builtin(_))
    }

    /// Whether the members of a map here are owned together.
    pub(crate) fn map_is_atomic(self) -> bool {
        match self {
            TypeInfo::Opaque => true,
            TypeInfo::Deduced => false,
            TypeInfo::Builtin(here) => {
                here.field.is_some_and(|field| field.atomic) || here.structure().is_some_and(|t| t.atomic)
            }
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => schema["x-kubernetes-map-type"] == "atomic",
        }
    }

    /// Whether `key` is a named field here, as opposed to a key of a map.
    pub(crate) fn declares(self, key: &str) -> bool {
        match self {
            TypeInfo::Opaque | TypeInfo::Deduced => false,
            TypeInfo::Builtin(here) => here.structure().is_some(),
            TypeInfo::Object(_) if is_object_field(key) => true,
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => schema["properties"].get(key).is_some(),
        }
    }

    /// Whether a map here may only hold fields that the schema names.
    pub(crate) fn refuses_undeclared(self) -> bool {
        match self {
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => {
                let open = schema["x-kubernetes-preserve-unknown-fields"] == true
                    || schema.get("additionalProperties").is_some();
                schema["properties"].is_object() && !open
            }
            _ => false,
        }
    }

    /// The type of the member `key`.
    pub(crate) fn member(self, key: &str) -> TypeInfo<'a> {
        match self {
            TypeInfo::Opaque | TypeInfo::Deduced => self,
            TypeInfo::Builtin(here) => here.member(key),
            TypeInfo::Object(_) if key == "metadata" => table::object_meta(),
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => {
                let named = schema["properties"].get(key);
                let child = named.or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()));
                child.map_or(TypeInfo::Deduced, schema_node)
            }
        }
    }

    /// The type of the items of a list.
    pub(crate) fn item(self) -> TypeInfo<'a> {
        match self {
            TypeInfo::Opaque | TypeInfo::Deduced => self,
            TypeInfo::Builtin(here) => match here.form {
                Form::List(item) => builtin(item),
                _ => TypeInfo::Deduced,
            },
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => schema
                .get("items")
                .filter(|s| s.is_object())
                .map_or(TypeInfo::Deduced, schema_node),
        }
    }

    /// How a list here is owned.
    pub(crate) fn list(self) -> ListKind<'a> {
        match self {
            TypeInfo::Opaque | TypeInfo::Deduced => ListKind::Atomic,
            TypeInfo::Builtin(here) => here.field.map_or(ListKind::Atomic, Field::list_kind),
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => ListKind::Set,
                Some("map") => {
                    let keys = schema["x-kubernetes-list-map-keys"].as_array();
                    ListKind::Keyed(keys.into_iter().flatten().filter_map(Value::as_str).collect())
                }
                _ => ListKind::Atomic,
            },
        }
    }

    /// The value that an item of this list has for a key that it leaves out.
    pub(crate) fn key_default(self, key: &str) -> Option<Value> {
        match self {
            TypeInfo::Opaque | TypeInfo::Deduced => None,
            TypeInfo::Builtin(here) => here.field?.key_default(key).map(Value::from),
            TypeInfo::Schema(schema) | TypeInfo::Object(schema) => {
                schema.pointer("/items/properties")?.get(key)?.get("default").cloned()
            }
        }
    }

    /// How a scalar here is read.
    pub(crate) fn scalar(self) -> Scalar {
        match self {
            TypeInfo::Builtin(Builtin {
                form: Form::Scalar(scalar),
                ..
            }) => *scalar,
            _ => Scalar::Plain,
        }
    }

    /// Whether the server cannot distinguish the zero value here from its absence.
    pub(crate) fn zero_is_absent(self) -> bool {
        matches!(self, TypeInfo::Builtin(Builtin { field: Some(field), .. }) if field.zero_is_absent)
    }

    /// The union that a map here is.
    pub(crate) fn union(self) -> Option<&'static Union> {
        match self {
            TypeInfo::Builtin(here) => here.structure()?.union.as_ref(),
            _ => None,
        }
    }

    /// The markers for strategic merge; the default for everything but fields of built-in kinds.
    pub(crate) fn patch(self) -> &'static Patch {
        static NONE: Patch = Patch {
            merge: false,
            replace: false,
            retain_keys: false,
            key: String::new(),
        };
        match self {
            TypeInfo::Builtin(Builtin { field: Some(field), .. }) => &field.patch,
            _ => &NONE,
        }
    }
}

impl Builtin {
    fn structure(self) -> Option<&'static Type> {
        match self.form {
            Form::Struct(name) => table::structure(name),
            _ => None,
        }
    }

    fn member(self, key: &str) -> TypeInfo<'static> {
        match self.form {
            Form::Map(element) => builtin(element),
            Form::Opaque => TypeInfo::Opaque,
            _ => match self.structure().and_then(|t| t.fields.get(key)) {
                Some(field) if matches!(field.form, Form::Opaque) => TypeInfo::Opaque,
                Some(field) => TypeInfo::Builtin(Builtin {
                    form: &field.form,
                    field: Some(field),
                }),
                None => TypeInfo::Deduced,
            },
        }
    }
}

fn builtin(form: &'static Form) -> TypeInfo<'static> {
    match form {
        Form::Opaque => TypeInfo::Opaque,
        Form::Scalar(Scalar::Plain) => TypeInfo::Deduced,
        form => TypeInfo::Builtin(Builtin { form, field: None }),
    }
}

fn schema_node(schema: &Value) -> TypeInfo<'_> {
    if schema["x-kubernetes-embedded-resource"] == true {
        TypeInfo::Object(schema)
    } else {
        TypeInfo::Schema(schema)
    }
}

fn is_object_field(key: &str) -> bool {
    matches!(key, "apiVersion" | "kind" | "metadata")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(api_version: &str, kind: &str, path: &[&str]) -> TypeInfo<'static> {
        let mut here = TypeInfo::builtin(api_version, kind).unwrap();
        for step in path {
            here = if *step == "[]" { here.item() } else { here.member(step) };
        }
        here
    }

    #[test]
    fn lists_of_built_in_kinds_have_their_keys() {
        let pod = ["spec", "template", "spec", "containers", "[]"];
        let ports = at("apps/v1", "Deployment", &[&pod[..], &["ports"]].concat());
        assert_eq!(ports.list(), ListKind::Keyed(vec!["containerPort", "protocol"]));
        assert_eq!(ports.patch().key, "containerPort");
        assert_eq!(ports.key_default("protocol"), Some(json!("TCP")));
        assert_eq!(ports.key_default("containerPort"), None);
        let service = at("v1", "Service", &["spec", "ports"]);
        assert_eq!(service.list(), ListKind::Keyed(vec!["port", "protocol"]));
        assert_eq!(service.patch().key, "port");
        for (path, key) in [
            ("containers", "name"),
            ("volumes", "name"),
            ("imagePullSecrets", "name"),
            ("hostAliases", "ip"),
            ("topologySpreadConstraints", "topologyKey"),
        ] {
            let list = at("v1", "Pod", &["spec", path]);
            assert!(list.patch().merge && list.patch().key == key, "{path}");
        }
        for (kind, path) in [("Pod", "tolerations"), ("ServiceAccount", "imagePullSecrets")] {
            assert!(!at("v1", kind, &["spec", path]).patch().merge, "{kind} {path}");
        }
        assert_eq!(at("v1", "Node", &["spec", "taints"]).patch().key, "");
        assert_eq!(at("v1", "ConfigMap", &["metadata", "finalizers"]).list(), ListKind::Set);
        assert!(at("v1", "ConfigMap", &["metadata", "finalizers"]).patch().merge);
        assert_eq!(
            at("v1", "ConfigMap", &["metadata", "ownerReferences"]).patch().key,
            "uid"
        );
        assert!(at("apps/v1", "Deployment", &["spec", "strategy"]).patch().retain_keys);
    }

    #[test]
    fn atomic_parts_are_known() {
        assert!(at("v1", "Service", &["spec", "selector"]).map_is_atomic());
        assert!(at("apps/v1", "Deployment", &["spec", "selector"]).map_is_atomic());
        assert!(at("v1", "ConfigMap", &["metadata", "ownerReferences", "[]"]).map_is_atomic());
        assert!(!at("v1", "ConfigMap", &["metadata", "labels"]).map_is_atomic());
        assert!(!at("v1", "ConfigMap", &["data"]).map_is_atomic());
        assert!(at("v1", "ConfigMap", &[]).declares("data"));
        assert!(!at("v1", "ConfigMap", &["data"]).declares("key"));
    }

    #[test]
    fn a_custom_schema_decides_for_its_lists() {
        let schema = json!({"properties": {"spec": {"properties": {
            "ports": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"], "items": {"properties": {"port": {"default": 80}}}},
            "tags": {"x-kubernetes-list-type": "set"}, "plain": {"items": {}}}}}});
        let root = TypeInfo::custom(&schema);
        let spec = root.member("spec");
        assert_eq!(spec.member("ports").list(), ListKind::Keyed(vec!["port"]));
        assert_eq!(spec.member("ports").key_default("port"), Some(json!(80)));
        assert_eq!(spec.member("tags").list(), ListKind::Set);
        assert_eq!(spec.member("plain").list(), ListKind::Atomic);
        assert_eq!(root.member("metadata").member("finalizers").list(), ListKind::Set);
        assert!(!spec.declares("unknown") && spec.declares("tags"));
    }
}
