//! Envelopes: manifests that must not run on the hub (placement-api 7.4).

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::root::root_kind;

fn data(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 50,
        "additionalProperties": crate::schema::any_object(generator),
    })
}

root_kind! {
    /// Wraps cluster-scoped manifests, so that they are placed without taking effect on the hub.
    #[derive(Default)]
    ClusterResourceEnvelope, "placement.kubernetes-fleet.io", "v1beta1", "clusterresourceenvelopes", ClusterResourceScope {
        /// The manifests, by free names.
        @schema #[schemars(schema_with = "data")]
        data: BTreeMap<String, Value>,
    }
}

root_kind! {
    /// Wraps manifests of its own namespace, so that they are placed without taking effect on the hub.
    #[derive(Default)]
    ResourceEnvelope, "placement.kubernetes-fleet.io", "v1beta1", "resourceenvelopes", NamespaceResourceScope {
        /// The manifests, by free names.
        @schema #[schemars(schema_with = "data")]
        data: BTreeMap<String, Value>,
    }
}
