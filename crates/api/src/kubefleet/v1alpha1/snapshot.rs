//! PlacementResourceSnapshot and ClusterPlacementResourceSnapshot.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ObjectReference;
use crate::root::root_kind;
use crate::schema::rules;
use crate::serde_util::null_default;

/// Resources as they were. Immutable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementResourceSnapshotSpec {
    /// The resources.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SnapshotResource>,
}

/// A resource as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotResource {
    /// Which resource.
    pub identifier: ObjectReference,
    /// Its manifest.
    #[schemars(schema_with = "crate::schema::embedded")]
    pub manifest: Value,
    /// Free additions.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "bytes_map")]
    pub additional_info: BTreeMap<String, ByteString>,
}

fn bytes_map(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": crate::schema::bytes(generator) })
}

const IMMUTABLE: &[(&str, &str)] = &[("self == oldSelf", "the spec field is immutable")];

root_kind! {
    /// Resources of a PlacementPolicy, frozen. No controller reads it yet.
    #[derive(Default)]
    PlacementResourceSnapshot, "placement.kubefleet.dev", "v1alpha1", "placementresourcesnapshots", NamespaceResourceScope {
        /// The resources.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE)))]
        spec: PlacementResourceSnapshotSpec,
    }
}

root_kind! {
    /// Resources of a ClusterPlacementPolicy, frozen. No controller reads it yet.
    #[derive(Default)]
    ClusterPlacementResourceSnapshot, "placement.kubefleet.dev", "v1alpha1", "clusterplacementresourcesnapshots", ClusterResourceScope {
        /// The resources.
        @schema #[schemars(extend("x-kubernetes-validations" = rules(IMMUTABLE)))]
        spec: PlacementResourceSnapshotSpec,
    }
}
