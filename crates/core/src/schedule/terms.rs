//! The cluster affinity terms of a policy.

use api::placement::v1beta1::{ClusterSelectorTerm, PlacementPolicy, PreferredClusterSelector};

pub(super) struct Terms<'a> {
    pub(super) required: &'a [ClusterSelectorTerm],
    pub(super) preferred: &'a [PreferredClusterSelector],
}

impl<'a> Terms<'a> {
    pub(super) fn of(policy: Option<&'a PlacementPolicy>) -> Self {
        let affinity = policy
            .and_then(|p| p.affinity.as_ref())
            .and_then(|a| a.cluster_affinity.as_ref());
        Self {
            required: affinity
                .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref())
                .map_or(&[][..], |required| &required.cluster_selector_terms),
            preferred: affinity.map_or(&[][..], |a| {
                a.preferred_during_scheduling_ignored_during_execution.as_slice()
            }),
        }
    }
}

/// Whether scheduling by a policy uses properties or resources of members at all.
pub fn reads_properties(policy: Option<&PlacementPolicy>) -> bool {
    let Terms { required, preferred } = Terms::of(policy);
    let mut terms = required.iter().chain(preferred.iter().map(|term| &term.preference));
    terms.any(|term| term.property_selector.is_some() || term.property_sorter.is_some())
}
