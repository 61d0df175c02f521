//! Turns picked clusters into changes of bindings (hub-behaviour 4.6).

use std::collections::{BTreeMap, BTreeSet};

use api::placement::v1beta1::ClusterDecision;

use super::classify::Classes;
use super::{Action, SchedulingResult};
use crate::objects::{Binding, BindingState};
use crate::problem::Problem;

/// Collects what happens to bindings while clusters are picked.
pub(super) struct Assignment<'a> {
    current: BTreeSet<&'a str>,
    obsolete: BTreeMap<&'a str, &'a Binding>,
    unscheduled: BTreeMap<&'a str, &'a Binding>,
    created: Vec<Action>,
    adopted: Vec<Action>,
    adopted_names: BTreeSet<&'a str>,
}

impl<'a> Assignment<'a> {
    pub(super) fn new(classes: &Classes<'a>) -> Self {
        // Of several bindings on one cluster the first by name counts.
        let by_cluster = |bindings: &[&'a Binding]| bindings.iter().rev().map(|b| (b.cluster(), *b)).collect();
        Self {
            current: classes
                .scheduled
                .iter()
                .chain(&classes.bound)
                .map(|b| b.cluster())
                .collect(),
            obsolete: by_cluster(&classes.obsolete),
            unscheduled: by_cluster(&classes.unscheduled),
            created: Vec::new(),
            adopted: Vec::new(),
            adopted_names: BTreeSet::new(),
        }
    }

    /// Gives a cluster to the placement: keeps what the current policy holds, adopts what an older policy holds,
    /// resurrects what was given up, or else creates.
    pub(super) fn pick(&mut self, cluster: &str, decision: ClusterDecision) -> Result<(), Problem> {
        if self.current.contains(cluster) {
            return Ok(());
        }
        let (binding, state) = match (self.obsolete.get(cluster), self.unscheduled.get(cluster)) {
            (Some(obsolete), _) => (*obsolete, obsolete.state()),
            (None, Some(unscheduled)) => (*unscheduled, state_before(unscheduled)?),
            (None, None) => {
                self.created.push(Action::Create {
                    cluster: cluster.to_owned(),
                    decision,
                });
                return Ok(());
            }
        };
        if self.adopted_names.insert(&binding.meta.name) {
            self.adopted.push(Action::Adopt {
                binding: binding.meta.name.clone(),
                state,
                decision,
            });
        }
        Ok(())
    }

    /// Decisions of the clusters that bindings are created or adopted for, in this order.
    pub(super) fn decisions(&self) -> Vec<ClusterDecision> {
        let decision = |action: &Action| match action {
            Action::Create { decision, .. } | Action::Adopt { decision, .. } => Some(decision.clone()),
            Action::Unschedule { .. } | Action::Release { .. } => None,
        };
        self.created.iter().chain(&self.adopted).filter_map(decision).collect()
    }

    /// Hands the actions over; what an older policy holds and was not picked is given up.
    pub(super) fn finish(self, classes: &Classes<'a>, result: &mut SchedulingResult) {
        result.actions.extend(self.created.into_iter().chain(self.adopted));
        let left = classes
            .obsolete
            .iter()
            .filter(|b| !self.adopted_names.contains(b.meta.name.as_str()));
        result.actions.extend(left.map(|b| Action::Unschedule {
            binding: b.meta.name.clone(),
        }));
    }
}

fn state_before(binding: &Binding) -> Result<BindingState, Problem> {
    binding
        .previous_state()
        .filter(|state| *state != BindingState::Unscheduled)
        .ok_or_else(|| {
            let name = &binding.meta.name;
            Problem::unexpected(format!(
                "The unscheduled binding {name} does not say in which state it was before."
            ))
        })
}
