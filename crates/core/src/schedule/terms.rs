//! The cluster affinity terms of a policy.

use api::placement::v1beta1::{ClusterSelectorTerm, PreferredClusterSelector};

use super::Input;

pub(super) struct Terms<'a> {
    pub(super) required: &'a [ClusterSelectorTerm],
    pub(super) preferred: &'a [PreferredClusterSelector],
}

impl<'a> Terms<'a> {
    pub(super) fn of(input: &Input<'a>) -> Self {
        let affinity = input
            .policy
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
