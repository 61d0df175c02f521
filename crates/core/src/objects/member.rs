//! Member clusters, as far as placements use them.

use std::collections::{BTreeMap, BTreeSet};

use api::cluster::v1beta1::{AgentStatus, Taint};
use api::text::conditions::member;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Meta, decode};
use crate::meta::null_is_default;

/// A MemberCluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Metadata.
    pub meta: Meta,
    /// Taints; they influence scheduling only.
    pub taints: Vec<Taint>,
    /// What each agent of the member reported; agents of types that are not known are left out.
    pub agents: Vec<AgentStatus>,
    /// Total resources, quantities as text.
    pub capacity: BTreeMap<String, String>,
    /// Resources that workloads may use.
    pub allocatable: BTreeMap<String, String>,
    /// Resources that are left.
    pub available: BTreeMap<String, String>,
    /// Properties by name; those without a text as value are left out.
    pub properties: BTreeMap<String, String>,
    /// Whether the agent says anything about the member's namespaces.
    pub collects_namespaces: bool,
    /// Names of the member's namespaces, where reported.
    pub namespaces: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: StoredSpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: StoredStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StoredSpec {
    #[serde(deserialize_with = "null_is_default")]
    taints: Vec<Taint>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredStatus {
    #[serde(deserialize_with = "null_is_default")]
    conditions: Vec<Value>,
    #[serde(deserialize_with = "null_is_default")]
    agent_status: Vec<Value>,
    #[serde(deserialize_with = "null_is_default")]
    resource_usage: Usage,
    #[serde(deserialize_with = "null_is_default")]
    properties: BTreeMap<String, Value>,
    namespaces: Option<BTreeMap<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    #[serde(deserialize_with = "null_is_default")]
    capacity: BTreeMap<String, Value>,
    #[serde(deserialize_with = "null_is_default")]
    allocatable: BTreeMap<String, Value>,
    #[serde(deserialize_with = "null_is_default")]
    available: BTreeMap<String, Value>,
}

impl Member {
    /// Reads a stored MemberCluster.
    ///
    /// # Errors
    /// When the object has not the shape of a MemberCluster.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Stored { metadata, spec, status } = decode("MemberCluster", value)?;
        Ok(Self {
            meta: metadata,
            taints: spec.taints,
            agents: status
                .agent_status
                .into_iter()
                .filter_map(|agent| serde_json::from_value(agent).ok())
                .collect(),
            capacity: quantities(status.resource_usage.capacity),
            allocatable: quantities(status.resource_usage.allocatable),
            available: quantities(status.resource_usage.available),
            properties: status
                .properties
                .into_iter()
                .filter_map(|(name, property)| Some((name, property.get("value")?.as_str()?.to_owned())))
                .collect(),
            collects_namespaces: status.conditions.iter().any(|condition| {
                condition.get("type").and_then(Value::as_str) == Some(member::NAMESPACE_COLLECTION_SUCCEEDED)
            }),
            namespaces: status.namespaces.map(|names| names.into_keys().collect()),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.meta.name
    }
}

/// Quantities are texts or plain numbers.
fn quantities(table: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    table
        .into_iter()
        .map(|(resource, value)| (resource, text(value)))
        .collect()
}
