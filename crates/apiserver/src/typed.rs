//! The types of built-in kinds: unknown fields are dropped, wrong types refused, quantities brought into canonical form.
//!
//! The types come from the schemas of `k8s-openapi`, which are those of Kubernetes' own OpenAPI document.

use crate::object::as_map;
use crate::protobuf;
use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use k8s_openapi::Resource;
use k8s_openapi::api::{
    admissionregistration::v1 as admission, apps::v1 as apps, authentication::v1 as authentication,
    authorization::v1 as authorization, autoscaling::v2 as autoscaling, batch::v1 as batch,
    coordination::v1 as coordination, core::v1 as core, discovery::v1 as discovery, events::v1 as events,
    networking::v1 as networking, policy::v1 as policy, rbac::v1 as rbac, scheduling::v1 as scheduling,
    storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::LazyLock;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const REF_PREFIX: &str = "#/components/schemas/";

/// Types that hold whatever they are given.
const OPAQUE: &[&str] = &[
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
];

/// Schemas of all built-in types.
pub struct Types {
    /// Schema by the type's full name.
    pub definitions: BTreeMap<String, Value>,
    /// Full name by apiVersion and kind.
    pub kinds: BTreeMap<(String, String), String>,
}

struct Collector {
    generator: SchemaGenerator,
    kinds: BTreeMap<(String, String), String>,
}

impl Collector {
    fn add<T: JsonSchema + Resource>(&mut self) {
        let _reference: Schema = self.generator.subschema_for::<T>();
        self.kinds.insert(
            (T::API_VERSION.to_owned(), T::KIND.to_owned()),
            T::schema_name().into_owned(),
        );
    }
}

macro_rules! collect {
    ($collector:expr; $($kind:ty),* $(,)?) => { $( $collector.add::<$kind>(); )* };
}

/// The types, gathered at first use.
pub static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let generator = SchemaSettings::openapi3().into_generator();
    let mut all = Collector {
        generator,
        kinds: BTreeMap::new(),
    };
    collect!(all; core::Namespace, core::ConfigMap, core::Secret, core::Service, core::ServiceAccount, core::Pod, core::Node,
        core::Endpoints, core::Event, core::PersistentVolumeClaim, core::PersistentVolume, core::LimitRange,
        core::ResourceQuota, core::PodTemplate, core::ReplicationController);
    collect!(all; apps::Deployment, apps::StatefulSet, apps::DaemonSet, apps::ReplicaSet, apps::ControllerRevision);
    collect!(all; batch::Job, batch::CronJob, rbac::Role, rbac::RoleBinding, rbac::ClusterRole, rbac::ClusterRoleBinding);
    collect!(all; coordination::Lease, discovery::EndpointSlice, networking::Ingress, networking::NetworkPolicy,
        networking::IngressClass, policy::PodDisruptionBudget, storage::StorageClass, scheduling::PriorityClass,
        autoscaling::HorizontalPodAutoscaler, apiregistration::APIService, apiextensions::CustomResourceDefinition,
        events::Event);
    collect!(all; admission::MutatingWebhookConfiguration, admission::ValidatingWebhookConfiguration,
        admission::ValidatingAdmissionPolicy, admission::ValidatingAdmissionPolicyBinding);
    collect!(all; authentication::TokenReview, authentication::SelfSubjectReview, authorization::SubjectAccessReview,
        authorization::SelfSubjectAccessReview, authorization::SelfSubjectRulesReview,
        authorization::LocalSubjectAccessReview);
    let _reference: Schema = all.generator.subschema_for::<ObjectMeta>();
    let definitions = all.generator.take_definitions(true).into_iter().collect();
    Types {
        definitions,
        kinds: all.kinds,
    }
});

/// Fits an object of a built-in kind; returns the paths of dropped fields, or the type error as Go words it.
pub fn conform(api_version: &str, kind: &str, value: &mut Value) -> Result<Vec<String>, String> {
    let name = TYPES.kinds.get(&(api_version.to_owned(), kind.to_owned()));
    let mut walk = Walk::default();
    match name {
        Some(name) => walk.reference(value, name)?,
        None => walk.metadata(value)?,
    }
    Ok(walk.unknown)
}

/// Fits the metadata of a custom resource.
pub fn conform_metadata(value: &mut Value) -> Result<Vec<String>, String> {
    let mut walk = Walk {
        only_metadata: true,
        ..Walk::default()
    };
    walk.metadata(value)?;
    Ok(walk.unknown)
}

/// Marks keys of maps in paths: decoding errors leave them out.
const KEY_MARK: char = '\0';

#[derive(Default)]
struct Walk {
    only_metadata: bool,
    path: Vec<String>,
    /// Short name of the structure that is being read, and its name among the protobuf messages.
    holder: String,
    message: String,
    unknown: Vec<String>,
}

impl Walk {
    fn metadata(&mut self, value: &mut Value) -> Result<(), String> {
        let metadata = as_map(value)
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        self.path.push("metadata".into());
        let done = self.reference(metadata, OBJECT_META);
        self.path.pop();
        done
    }

    fn reference(&mut self, value: &mut Value, name: &str) -> Result<(), String> {
        if OPAQUE.contains(&name) {
            return Ok(());
        }
        if name == QUANTITY {
            return self.quantity(value);
        }
        let Some(schema) = TYPES.definitions.get(name) else {
            return Ok(());
        };
        let short = name.rsplit('.').next().unwrap_or_default().to_owned();
        let outer = std::mem::replace(&mut self.holder, short);
        let outer_message = std::mem::replace(&mut self.message, message_of(name));
        let done = self.value(value, schema);
        self.holder = outer;
        self.message = outer_message;
        done
    }

    fn value(&mut self, value: &mut Value, schema: &Value) -> Result<(), String> {
        if let Some(name) = reference_of(schema) {
            let structure = TYPES
                .definitions
                .get(name)
                .is_some_and(|d| d.get("properties").is_some());
            if structure && !value.is_object() && !OPAQUE.contains(&name) {
                return Err(self.mismatch(value, &go_type(schema)));
            }
            return self.reference(value, name);
        }
        if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
            let fits = value.is_string() || value.is_i64() || value.is_u64();
            return if fits {
                Ok(())
            } else {
                Err(self.mismatch(value, "intstr.IntOrString"))
            };
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => self.object(value, schema),
            Some("array") => {
                let Value::Array(list) = value else {
                    return Err(self.mismatch(value, &go_type(schema)));
                };
                let item = schema.get("items").unwrap_or(&Value::Null);
                for (i, element) in list.iter_mut().enumerate() {
                    self.path.push(format!("[{i}]"));
                    let done = self.value(element, item);
                    self.path.pop();
                    done?;
                }
                Ok(())
            }
            Some("string") if schema.get("format").and_then(Value::as_str) == Some("byte") && value.is_string() => {
                // Go's decoder passes over line breaks, and what is encoded again has none.
                let text = value.as_str().unwrap_or_default().replace(['\r', '\n'], "");
                match STANDARD.decode(&text) {
                    Ok(_) => {
                        *value = text.into();
                        Ok(())
                    }
                    Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => {
                        Err(format!("illegal base64 data at input byte {at}"))
                    }
                    Err(_) => Err(format!("illegal base64 data at input byte {}", text.len() / 4 * 4)),
                }
            }
            Some("string") if !value.is_string() => Err(self.mismatch(value, "string")),
            Some("boolean") if !value.is_boolean() => Err(self.mismatch(value, "bool")),
            Some("integer") if !(value.is_i64() || value.is_u64()) => {
                let format = schema
                    .get("format")
                    .and_then(Value::as_str)
                    .unwrap_or("int64")
                    .to_owned();
                Err(self.mismatch(value, &format))
            }
            Some("number") if !value.is_number() => Err(self.mismatch(value, "float64")),
            _ => Ok(()),
        }
    }

    fn object(&mut self, value: &mut Value, schema: &Value) -> Result<(), String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let values = schema.get("additionalProperties").filter(|a| a.is_object());
        let Value::Object(map) = value else {
            return Err(self.mismatch(value, &go_type(schema)));
        };
        if let Some(properties) = properties {
            let required = crate::object::strings(schema.get("required"));
            let keys: Vec<String> = map.keys().cloned().collect();
            for key in keys {
                let Some(field) = properties.get(&key) else {
                    self.unknown.push(self.join(&key));
                    map.remove(&key);
                    continue;
                };
                // Go decodes null as the zero value and leaves empty optional lists and maps out.
                let Some(inner) = map.get_mut(&key) else { continue };
                let drop = inner.is_null()
                    || (!required.contains(&key.as_str()) && is_empty_collection(inner, field))
                    || (is_zero(inner) && !protobuf::keeps_zero(&self.message, &key));
                if drop {
                    map.remove(&key);
                    continue;
                }
                self.path.push(key.clone());
                let done = self.value(inner, field);
                self.path.pop();
                done?;
            }
        } else if let Some(schema) = values {
            for (key, inner) in map.iter_mut() {
                let key = format!("{KEY_MARK}{key}");
                if inner.is_null() && schema.get("type").and_then(Value::as_str) == Some("string") {
                    *inner = "".into();
                }
                self.path.push(key);
                let done = self.value(inner, schema);
                self.path.pop();
                done?;
            }
        }
        Ok(())
    }

    fn quantity(&mut self, value: &mut Value) -> Result<(), String> {
        let text = match &*value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            other => return Err(self.mismatch(other, "resource.Quantity")),
        };
        match api::quantity::Quantity::from_str(&text) {
            Ok(quantity) => {
                *value = quantity.to_string().into();
                Ok(())
            }
            Err(_) => Err(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                    .to_owned(),
            ),
        }
    }

    /// The path of a field below the present place.
    fn join(&self, key: &str) -> String {
        let mut text = String::new();
        for part in self
            .path
            .iter()
            .map(String::as_str)
            .chain(Some(key).filter(|k| !k.is_empty()))
        {
            if !text.is_empty() && !part.starts_with('[') {
                text.push('.');
            }
            text.push_str(part.trim_start_matches(KEY_MARK));
        }
        text
    }

    fn mismatch(&self, found: &Value, wanted: &str) -> String {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let skipped = if self.holder == "ObjectMeta" && self.only_metadata {
            1
        } else {
            0
        };
        let fields = self
            .path
            .iter()
            .map(String::as_str)
            .filter(|p| !p.starts_with(['[', KEY_MARK]))
            .skip(skipped);
        let path = fields.collect::<Vec<_>>().join(".");
        format!(
            "json: cannot unmarshal {found} into Go struct field {}.{path} of type {wanted}",
            self.holder
        )
    }
}

/// The Go type of what a schema describes, as decoding errors print it.
fn go_type(schema: &Value) -> String {
    if let Some(name) = reference_of(schema) {
        let mut parts = name.rsplit('.');
        let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        return format!("{version}.{kind}");
    }
    let inner = |key: &str| schema.get(key).map(go_type).unwrap_or_else(|| "interface {}".into());
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => format!("map[string]{}", inner("additionalProperties")),
        Some("array") => format!("[]{}", inner("items")),
        Some("boolean") => "bool".into(),
        Some("integer") => schema
            .get("format")
            .and_then(Value::as_str)
            .unwrap_or("int64")
            .to_owned(),
        Some("number") => "float64".into(),
        Some("string") if schema.get("format").and_then(Value::as_str) == Some("byte") => "[]uint8".into(),
        Some("string") => "string".into(),
        _ => "interface {}".into(),
    }
}

/// The type a schema refers to, possibly wrapped to carry a description.
fn reference_of(schema: &Value) -> Option<&str> {
    let direct = schema
        .get("$ref")
        .or_else(|| schema.get("allOf")?.as_array()?.first()?.get("$ref"));
    direct?.as_str()?.strip_prefix(REF_PREFIX)
}

/// The name of a type among the protobuf messages: `core.v1.Pod`.
fn message_of(name: &str) -> String {
    let parts: Vec<&str> = name.rsplitn(4, '.').take(3).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(".")
}

/// Whether Go would leave the value out of an optional field that is no pointer.
fn is_zero(value: &Value) -> bool {
    *value == 0 || *value == "" || *value == false
}

/// Whether a value is an empty list, or an empty map that is not a structure.
fn is_empty_collection(value: &Value, schema: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty() && reference_of(schema).is_none(),
        Value::Object(map) => map.is_empty() && schema.get("additionalProperties").is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_go_and_types_are_checked() {
        let mut value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {}, "odd": 1, "creationTimestamp": null},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "c", "imagee": "x", "resources": {"limits": {"cpu": "1000m", "memory": 1024}}}]}}}});
        let unknown = conform("apps/v1", "Deployment", &mut value).unwrap();
        assert_eq!(unknown, ["metadata.odd", "spec.template.spec.containers[0].imagee"]);
        assert_eq!(value["metadata"], json!({"name": "d"}));
        let limits = &value["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
        assert_eq!(*limits, json!({"cpu": "1", "memory": "1024"}));
        let mut value = json!({"metadata": {}, "spec": {"replicas": "two"}});
        assert_eq!(
            conform("apps/v1", "Deployment", &mut value).unwrap_err(),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        let mut value = json!({"metadata": {"labels": {"a": 1}}});
        assert!(conform_metadata(&mut value).is_err());
    }

    #[test]
    fn every_served_kind_has_a_type() {
        for resource in crate::registry::builtins() {
            let key = (resource.storage_api_version(), resource.kind.clone());
            assert!(TYPES.kinds.contains_key(&key), "{key:?}");
        }
    }
}
