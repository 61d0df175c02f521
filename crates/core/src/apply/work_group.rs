//! What a Work says about itself among the Works of its placement: which objects it lists, and what it was made from.

use api::text::{annotations, labels};
use serde_json::Value;

use super::identity::Identity;
use crate::objects::Digest;

/// The objects that a Work lists. An object is the same in every version of its API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectSet(pub(super) Box<[Digest]>);

impl ObjectSet {
    /// The objects of manifests; what has no name is none.
    pub fn of(manifests: &[Value]) -> Self {
        let mut all: Vec<_> = manifests
            .iter()
            .filter_map(Identity::of_manifest)
            .filter(|identity| !identity.name.is_empty())
            .map(|identity| digest(&identity))
            .collect();
        all.sort_unstable();
        all.dedup();
        Self(all.into_boxed_slice())
    }

    /// Whether an object is among them.
    pub fn contains(&self, identity: &Identity) -> bool {
        self.0.binary_search(&digest(identity)).is_ok()
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() < other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.0.iter().any(|object| many.0.binary_search(object).is_ok())
    }
}

fn digest(identity: &Identity) -> Digest {
    Digest::of_list([
        identity.group.as_str(),
        identity.kind.as_str(),
        identity.namespace.as_str(),
        identity.name.as_str(),
    ])
}

/// What a Work says about the placement that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkGroup {
    /// Namespace (empty for a ClusterResourcePlacement) and name of the placement.
    pub placement: (String, String),
    /// Name of the binding.
    pub binding: String,
    /// What the Work was made from: index of the resource snapshot, hashes of the overrides.
    pub revision: [String; 3],
    /// How many Works the binding has at this revision. Hub agents of other releases do not say it.
    pub works: Option<usize>,
}

impl WorkGroup {
    /// Reads the labels and annotations of a Work. `None` when it belongs to no placement.
    pub fn of(work: &Value) -> Option<Self> {
        let text = |part: &str, key: &str| {
            let all = work.pointer(part)?;
            Some(all.get(key)?.as_str()?.to_owned())
        };
        let label = |key: &str| text("/metadata/labels", key);
        let annotation = |key: &str| text("/metadata/annotations", key);
        Some(Self {
            placement: (
                label(labels::PARENT_NAMESPACE).unwrap_or_default(),
                label(labels::PARENT_PLACEMENT)?,
            ),
            binding: label(labels::PARENT_BINDING).unwrap_or_default(),
            revision: [
                label(labels::PARENT_SNAPSHOT_INDEX).unwrap_or_default(),
                annotation(annotations::CLUSTER_OVERRIDE_HASH).unwrap_or_default(),
                annotation(annotations::OVERRIDE_HASH).unwrap_or_default(),
            ],
            works: annotation(annotations::NUMBER_OF_WORKS).and_then(|number| number.parse().ok()),
        })
    }
}
