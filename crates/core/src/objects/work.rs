//! Works: what one member is to apply.

use api::condition;
use api::placement::v1beta1::{ApplyStrategy, ReportBackStrategy, WorkStatus};
use api::text::conditions::work as conditions;
use api::text::labels;
use api::text::reasons::work as reasons;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Digest, Meta, PlacementKey, decode};
use crate::meta::null_is_default;

/// A Work without its manifests: only their hash is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// Metadata.
    pub meta: Meta,
    /// Hash over the list of manifests; see [`Work::hash_manifests`].
    pub manifests_hash: Digest,
    /// How the member is to apply them.
    pub apply_strategy: Option<ApplyStrategy>,
    /// Whether the member is to report the status of the objects back.
    pub report_back_strategy: Option<ReportBackStrategy>,
    /// What the member answered.
    pub status: WorkStatus,
}

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    #[serde(default, deserialize_with = "null_is_default")]
    spec: StoredSpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: WorkStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredSpec {
    #[serde(deserialize_with = "null_is_default")]
    workload: Workload,
    apply_strategy: Option<ApplyStrategy>,
    report_back_strategy: Option<ReportBackStrategy>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Workload {
    #[serde(deserialize_with = "null_is_default")]
    manifests: Vec<Value>,
}

impl Work {
    /// Reads a stored Work and forgets its manifests.
    ///
    /// # Errors
    /// When the object has not the shape of a Work.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Stored { metadata, spec, status } = decode("Work", value)?;
        Ok(Self {
            meta: metadata,
            manifests_hash: Self::hash_manifests(&spec.workload.manifests),
            apply_strategy: spec.apply_strategy,
            report_back_strategy: spec.report_back_strategy,
            status,
        })
    }

    /// The hash by which the content of Works is compared. Nulls in metadata do not count, because the API server
    /// drops them when it stores embedded objects.
    pub fn hash_manifests(manifests: &[Value]) -> Digest {
        let texts: Vec<String> = manifests.iter().map(normal_text).collect();
        Digest::of_list(texts.iter().map(String::as_str))
    }

    /// The placement that it belongs to.
    pub fn placement(&self) -> Option<PlacementKey> {
        let name = self.meta.label(labels::PARENT_PLACEMENT)?.to_owned();
        Some(PlacementKey {
            namespace: self.meta.label(labels::PARENT_NAMESPACE).map(str::to_owned),
            name,
        })
    }

    /// Whether it is of this very placement, and not of another kind's with the same name, and is not going away.
    pub fn is_live_of(&self, key: &PlacementKey) -> bool {
        !self.meta.is_deleting()
            && self.meta.label(labels::PARENT_PLACEMENT) == Some(key.name.as_str())
            && self.meta.label(labels::PARENT_NAMESPACE) == key.namespace.as_deref()
    }

    /// Name of the binding that it belongs to.
    pub fn binding(&self) -> Option<&str> {
        self.meta.label(labels::PARENT_BINDING)
    }

    /// What the member says holds up the Work's deletion (docs/decisions/0013).
    pub fn deletion_blocked(&self) -> Option<&str> {
        let applied = condition::find(&self.status.conditions, conditions::APPLIED);
        let blocked = applied.filter(|c| c.reason == reasons::DELETION_BLOCKED);
        blocked.map(|c| c.message.as_str())
    }

    /// What a condition says about the current generation.
    pub fn condition_state(&self, type_: &str) -> condition::ConditionState {
        condition::state(&self.status.conditions, type_, self.meta.generation)
    }
}

/// The text as [`super::Manifest`] has it: numbers and escapes in the form that the API server, written in Go, stores.
fn normal_text(manifest: &Value) -> String {
    let has_null = manifest
        .get("metadata")
        .and_then(Value::as_object)
        .is_some_and(|m| m.values().any(Value::is_null));
    let text = |value: &Value| api::hash::go_json(value).unwrap_or_else(|_| value.to_string());
    if !has_null {
        return text(manifest);
    }
    let mut copy = manifest.clone();
    if let Some(metadata) = copy.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null());
    }
    text(&copy)
}
