//! A slice that owns what it holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::placement::v1beta1::PlacementStatus;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Slice;
use crate::effects::Target;
use crate::objects::{
    Binding, Digest, Member, OverrideSnapshot, Placement, PlacementKey, PolicySnapshot, ResourceSnapshot, Work,
};
use crate::render::Refusals;
use crate::select::ResourceTable;
use crate::serde_arc;

/// What [`Slice`] borrows, owned. The fields are explained there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the slice")]
pub struct OwnedSlice {
    pub key: PlacementKey,
    #[serde(with = "serde_arc::option")]
    pub placement: Option<Arc<Placement>>,
    #[serde(with = "serde_arc::list")]
    pub members: Vec<Arc<Member>>,
    #[serde(with = "serde_arc::list")]
    pub policy_snapshots: Vec<Arc<PolicySnapshot>>,
    #[serde(with = "serde_arc::list")]
    pub resource_snapshots: Vec<Arc<ResourceSnapshot>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unreadable_snapshots: BTreeSet<Target>,
    #[serde(with = "serde_arc::list")]
    pub bindings: Vec<Arc<Binding>>,
    pub unreadable_bindings: BTreeSet<String>,
    #[serde(with = "serde_arc::list")]
    pub works: Vec<Arc<Work>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unreadable_works: BTreeSet<Target>,
    pub members_with_finalizers: BTreeSet<String>,
    #[serde(with = "serde_arc::list")]
    pub overrides: Vec<Arc<OverrideSnapshot>>,
    pub resources: ResourceTable,
    #[serde(with = "serde_arc::option")]
    pub status_copy: Option<Arc<PlacementStatus>>,
    #[serde(with = "refusals")]
    pub refused: Refusals,
    pub withheld_since: Option<Timestamp>,
    pub others_awaited: usize,
}

impl OwnedSlice {
    /// Copies a slice, with the resources that it may select.
    pub fn of(slice: &Slice<'_>, resources: ResourceTable) -> Self {
        Self {
            key: slice.key.clone(),
            placement: slice.placement.clone(),
            members: slice.members.to_vec(),
            policy_snapshots: slice.policy_snapshots.clone(),
            resource_snapshots: slice.resource_snapshots.clone(),
            unreadable_snapshots: slice.unreadable_snapshots.clone(),
            bindings: slice.bindings.clone(),
            unreadable_bindings: slice.unreadable_bindings.clone(),
            works: slice.works.clone(),
            unreadable_works: slice.unreadable_works.clone(),
            members_with_finalizers: slice.members_with_finalizers.clone(),
            overrides: slice.overrides.to_vec(),
            resources,
            status_copy: slice.status_copy.clone(),
            refused: slice.refused.clone(),
            withheld_since: slice.withheld_since,
            others_awaited: slice.others_awaited,
        }
    }

    /// The slice that a pass takes.
    pub fn borrow(&self) -> Slice<'_> {
        Slice {
            key: &self.key,
            placement: self.placement.clone(),
            members: &self.members,
            policy_snapshots: self.policy_snapshots.clone(),
            resource_snapshots: self.resource_snapshots.clone(),
            unreadable_snapshots: &self.unreadable_snapshots,
            bindings: self.bindings.clone(),
            unreadable_bindings: &self.unreadable_bindings,
            works: self.works.clone(),
            unreadable_works: &self.unreadable_works,
            members_with_finalizers: &self.members_with_finalizers,
            overrides: &self.overrides,
            resources: &self.resources,
            status_copy: self.status_copy.clone(),
            refused: &self.refused,
            withheld_since: self.withheld_since,
            others_awaited: self.others_awaited,
        }
    }
}

/// JSON has no maps with other keys than texts.
mod refusals {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, Digest, Refusals, Serialize, Target};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal {
        target: Target,
        write: Digest,
        message: String,
    }

    pub(super) fn serialize<S: Serializer>(refused: &Refusals, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(refused.iter().map(|(target, (write, message))| Refusal {
            target: target.clone(),
            write: *write,
            message: message.clone(),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Refusals, D::Error> {
        let list = Vec::<Refusal>::deserialize(de)?;
        Ok(list.into_iter().map(|r| (r.target, (r.write, r.message))).collect())
    }
}
