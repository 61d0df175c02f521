//! Override snapshots of both scopes.

use api::placement::v1beta1::{ClusterResourceOverrideSpec, ResourceOverrideSpec, ResourceScope};
use api::text::labels;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Meta, PlacementKey, decode};
use crate::meta::null_is_default;

/// A ClusterResourceOverrideSnapshot or a ResourceOverrideSnapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideSnapshot {
    /// Metadata.
    pub meta: Meta,
    /// The override at the time of creation.
    pub kind: OverrideKind,
    /// Base64 of the hash text of the override, as stored.
    pub hash: String,
}

/// The override inside a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverrideKind {
    /// Of a ClusterResourceOverride.
    Cluster(ClusterResourceOverrideSpec),
    /// Of a ResourceOverride, in the snapshot's namespace.
    Namespaced(ResourceOverrideSpec),
}

#[derive(Deserialize)]
struct Stored<S> {
    metadata: Meta,
    spec: StoredSpec<S>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredSpec<S> {
    override_spec: S,
    #[serde(default, deserialize_with = "null_is_default")]
    override_hash: String,
}

impl OverrideSnapshot {
    /// Reads a stored override snapshot; the kind follows from whether it has a namespace.
    ///
    /// # Errors
    /// When the object has not the shape of one.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        if value
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .is_some_and(|n| !n.is_empty())
        {
            let Stored { metadata, spec } = decode("ResourceOverrideSnapshot", value)?;
            Ok(Self {
                meta: metadata,
                kind: OverrideKind::Namespaced(spec.override_spec),
                hash: spec.override_hash,
            })
        } else {
            let Stored { metadata, spec } = decode("ClusterResourceOverrideSnapshot", value)?;
            Ok(Self {
                meta: metadata,
                kind: OverrideKind::Cluster(spec.override_spec),
                hash: spec.override_hash,
            })
        }
    }

    /// Name of the override.
    pub fn parent(&self) -> Option<&str> {
        self.meta.label(labels::PARENT_OVERRIDE)
    }

    /// The placement that it is meant for, by its key; `None` means every placement (hub-behaviour 6.3).
    pub fn placement(&self) -> Option<PlacementKey> {
        let (placement, in_own_namespace) = match &self.kind {
            OverrideKind::Cluster(spec) => (spec.placement.as_ref()?, false),
            OverrideKind::Namespaced(spec) => {
                let placement = spec.placement.as_ref()?;
                (placement, placement.scope == Some(ResourceScope::Namespaced))
            }
        };
        Some(match self.meta.namespace.as_deref().filter(|_| in_own_namespace) {
            Some(namespace) => PlacementKey::namespaced(namespace, &placement.name),
            None => placement
                .name
                .parse()
                .unwrap_or_else(|_| PlacementKey::cluster(&placement.name)),
        })
    }

    /// Its index; `None` when the label is missing or no number.
    pub fn index(&self) -> Option<u64> {
        self.meta.label(labels::OVERRIDE_INDEX)?.parse().ok()
    }

    /// Whether it carries the label of the latest snapshot.
    pub fn is_latest(&self) -> bool {
        self.meta.label(labels::IS_LATEST_SNAPSHOT) == Some(labels::TRUE)
    }
}
