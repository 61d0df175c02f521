//! Policy and resource snapshots of both scopes.

use std::sync::Arc;

use api::ByteString;
use api::placement::v1beta1::{PlacementPolicy, SchedulingPolicySnapshotStatus};
use api::text::{annotations, labels};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Interner, Manifest, Meta, decode};
use crate::effects::Versioned;
use crate::meta::null_is_default;

/// A ClusterSchedulingPolicySnapshot or a SchedulingPolicySnapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySnapshot {
    /// Metadata.
    pub meta: Meta,
    /// The policy at the time of creation.
    pub policy: Option<PlacementPolicy>,
    /// The hash text of the policy, as bytes.
    pub policy_hash: ByteString,
    /// What the scheduler decided.
    pub status: SchedulingPolicySnapshotStatus,
}

/// A ClusterResourceSnapshot or a ResourceSnapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSnapshot {
    /// Metadata.
    pub meta: Meta,
    /// The selected manifests in order; shared, so that equal content is held once.
    #[serde(with = "crate::serde_arc::list")]
    pub manifests: Vec<Arc<Manifest>>,
}

#[derive(Deserialize)]
struct StoredPolicy {
    metadata: Meta,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: StoredPolicySpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: SchedulingPolicySnapshotStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredPolicySpec {
    policy: Option<PlacementPolicy>,
    #[serde(deserialize_with = "null_is_default")]
    policy_hash: ByteString,
}

#[derive(Deserialize)]
struct StoredResources {
    metadata: Meta,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: StoredResourcesSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredResourcesSpec {
    #[serde(deserialize_with = "null_is_default")]
    selected_resources: Vec<Value>,
}

impl PolicySnapshot {
    /// Reads a stored policy snapshot.
    ///
    /// # Errors
    /// When the object has not the shape of one.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let StoredPolicy { metadata, spec, status } = decode("policy snapshot", value)?;
        Ok(Self {
            meta: metadata,
            policy: spec.policy,
            policy_hash: spec.policy_hash,
            status,
        })
    }

    /// Its index; `None` when the label is missing or no number.
    pub fn index(&self) -> Option<u64> {
        self.meta.label(labels::POLICY_INDEX)?.parse().ok()
    }

    /// Whether it carries the label of the latest snapshot.
    pub fn is_latest(&self) -> bool {
        self.meta.label(labels::IS_LATEST_SNAPSHOT) == Some(labels::TRUE)
    }

    /// The number of clusters of PickN; the annotation is authoritative.
    pub fn number_of_clusters(&self) -> Option<i64> {
        self.meta.annotation(annotations::NUMBER_OF_CLUSTERS)?.parse().ok()
    }

    /// The generation of the placement that it reflects.
    pub fn placement_generation(&self) -> Option<i64> {
        self.meta.annotation(annotations::PLACEMENT_GENERATION)?.parse().ok()
    }
}

impl ResourceSnapshot {
    /// Reads a stored resource snapshot.
    ///
    /// # Errors
    /// When the object has not the shape of one, or a manifest in it has no kind.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let StoredResources { metadata, spec } = decode("resource snapshot", value)?;
        let manifests = spec
            .selected_resources
            .iter()
            .map(|manifest| Manifest::from_value(manifest).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            meta: metadata,
            manifests,
        })
    }

    /// Replaces its manifests by the shared copies of the same content.
    pub fn intern(&mut self, interner: &Interner) {
        for manifest in &mut self.manifests {
            *manifest = interner.share(Arc::clone(manifest));
        }
    }

    /// Index of its group; `None` when the label is missing or no number.
    pub fn index(&self) -> Option<u64> {
        self.meta.label(labels::RESOURCE_INDEX)?.parse().ok()
    }

    /// Position among the further parts of its group; `None` for the master.
    pub fn sub_index(&self) -> Option<u64> {
        self.meta.annotation(annotations::SNAPSHOT_SUBINDEX)?.parse().ok()
    }

    /// Hash of the group's content; only a master has one (hub-behaviour 0.3).
    pub fn group_hash(&self) -> Option<&str> {
        self.meta
            .annotation(annotations::RESOURCE_HASH)
            .filter(|hash| !hash.is_empty())
    }

    /// Whether it is the master of its group.
    pub fn is_master(&self) -> bool {
        self.group_hash().is_some()
    }

    /// Whether it carries the label of the latest snapshot.
    pub fn is_latest(&self) -> bool {
        self.meta.label(labels::IS_LATEST_SNAPSHOT) == Some(labels::TRUE)
    }

    /// Size of the group, the master included; `None` when the annotation is missing or no number.
    pub fn group_size(&self) -> Option<usize> {
        self.meta.annotation(annotations::NUMBER_OF_SNAPSHOTS)?.parse().ok()
    }

    /// When newer content was first seen; `None` also when the annotation is malformed.
    pub fn detection_time(&self) -> Option<Timestamp> {
        self.meta
            .annotation(annotations::NEXT_SNAPSHOT_DETECTION_TIME)?
            .parse()
            .ok()
    }
}

impl Versioned for PolicySnapshot {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }
    fn same_spec(&self, other: &Self) -> bool {
        self.policy == other.policy && self.policy_hash == other.policy_hash
    }
}

impl Versioned for ResourceSnapshot {
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }
    fn same_spec(&self, other: &Self) -> bool {
        self.manifests == other.manifests
    }
}
