//! Sorts the bindings of a placement into the classes of a cycle (hub-behaviour 4.4).

use std::collections::BTreeSet;

use super::Input;
use crate::objects::{Binding, BindingState};

/// Every binding in the first class that fits.
#[derive(Default)]
pub(super) struct Classes<'a> {
    /// Being deleted; ignored beyond letting them go.
    pub(super) deleting: Vec<&'a Binding>,
    /// Given up earlier; kept for resurrection.
    pub(super) unscheduled: Vec<&'a Binding>,
    /// Their cluster has left; given up and otherwise ignored.
    pub(super) dangling: Vec<&'a Binding>,
    /// Of an older policy.
    pub(super) obsolete: Vec<&'a Binding>,
    /// Of the current policy, not rolled out.
    pub(super) scheduled: Vec<&'a Binding>,
    /// Of the current policy, rolled out.
    pub(super) bound: Vec<&'a Binding>,
}

impl<'a> Classes<'a> {
    pub(super) fn of(input: &Input<'a>) -> Self {
        let present: BTreeSet<&str> = input
            .members
            .iter()
            .filter(|m| !m.meta.is_deleting())
            .map(|m| m.name())
            .collect();
        let mut classes = Self::default();
        for binding in input.bindings {
            let class = if binding.meta.is_deleting() {
                &mut classes.deleting
            } else if binding.state() == BindingState::Unscheduled {
                &mut classes.unscheduled
            } else if !present.contains(binding.cluster()) {
                &mut classes.dangling
            } else if binding.spec.scheduling_policy_snapshot_name != input.policy_snapshot {
                &mut classes.obsolete
            } else if binding.state() == BindingState::Scheduled {
                &mut classes.scheduled
            } else {
                &mut classes.bound
            };
            class.push(binding);
        }
        classes
    }

    /// Clusters that the current policy holds.
    pub(super) fn picked(&self) -> BTreeSet<String> {
        self.scheduled
            .iter()
            .chain(&self.bound)
            .map(|b| b.cluster().to_owned())
            .collect()
    }

    /// Clusters that an older policy holds.
    pub(super) fn obsolete_clusters(&self) -> BTreeSet<String> {
        self.obsolete.iter().map(|b| b.cluster().to_owned()).collect()
    }
}
