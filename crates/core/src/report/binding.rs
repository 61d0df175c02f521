//! The status of a binding, from the result of rendering and the answers of its Works (hub-behaviour 7.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::condition::{self, ConditionState};
use api::placement::v1beta1::{ApplyStrategyType, ResourceBindingStatus};
use api::text::conditions::{cluster, work as on_work};
use api::text::messages;
use api::text::reasons::{cluster as reasons, work as work_reasons};
use api::{Condition, ConditionStatus, Time};
use jiff::Timestamp;

use super::draft::with_transition_of;
use super::lists;
use crate::objects::{Binding, Work};
use crate::render::RenderResult;

/// The status that a binding should have.
///
/// `binding` is as the earlier stages leave it, its generation included; its RolloutStarted condition is handed on.
/// `works` are the Works of the placement as they are stored.
pub fn binding_status(
    binding: &Binding,
    result: &RenderResult,
    works: &[Arc<Work>],
    now: Timestamp,
) -> ResourceBindingStatus {
    if *result == RenderResult::Idle {
        return binding.status.clone();
    }
    let mut draft = Draft::new(binding, now);
    match result {
        RenderResult::Idle => {}
        RenderResult::NotOverridden(problem) => {
            draft.say(cluster::OVERRIDDEN, false, reasons::OVERRIDDEN_FAILED, &problem.message);
        }
        RenderResult::NotSynchronized(problem) => {
            draft.overridden(binding);
            draft.say(
                cluster::WORK_SYNCHRONIZED,
                false,
                reasons::SYNC_WORK_FAILED,
                &problem.message,
            );
        }
        RenderResult::Synchronized { changed, works: names } => {
            draft.overridden(binding);
            draft.say(
                cluster::WORK_SYNCHRONIZED,
                true,
                reasons::ALL_WORK_SYNCED,
                messages::CLUSTER_WORK_SYNCHRONIZED,
            );
            let works = speaking(binding, names, works);
            if reports_diff(binding) {
                draft.diff_reported(*changed, &works);
            } else {
                draft.applied(*changed, &works);
            }
        }
    }
    draft.finish()
}

/// Whether the status only waits for the member: some Work is about to change, or has not been answered since it did.
pub fn awaits_member(binding: &Binding, result: &RenderResult, works: &[Arc<Work>]) -> bool {
    let RenderResult::Synchronized { changed, works: names } = result else {
        return false;
    };
    let kind = if reports_diff(binding) {
        on_work::DIFF_REPORTED
    } else {
        on_work::APPLIED
    };
    is_awaited(*changed, &speaking(binding, names, works), kind)
}

/// The stored Works that represent the binding.
fn speaking<'a>(binding: &Binding, names: &[String], works: &'a [Arc<Work>]) -> Vec<&'a Work> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let namespace = api::names::member_namespace(binding.cluster());
    let works = works.iter().map(|work| &**work);
    works
        .filter(|w| w.meta.namespace.as_deref() == Some(&namespace) && names.contains(w.meta.name.as_str()))
        .collect()
}

fn reports_diff(binding: &Binding) -> bool {
    let strategy = binding.spec.apply_strategy.as_ref().and_then(|s| s.type_);
    strategy == Some(ApplyStrategyType::ReportDiff)
}

struct Draft<'a> {
    old: &'a [Condition],
    status: ResourceBindingStatus,
    generation: i64,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    /// Starts with nothing but RolloutStarted, which belongs to the rollout.
    fn new(binding: &'a Binding, now: Timestamp) -> Self {
        let old = binding.status.conditions.as_slice();
        let rollout = condition::find(old, cluster::ROLLOUT_STARTED).cloned();
        let status = ResourceBindingStatus {
            conditions: rollout.into_iter().collect(),
            ..Default::default()
        };
        Self {
            old,
            status,
            generation: binding.meta.generation,
            now,
        }
    }

    fn overridden(&mut self, binding: &Binding) {
        let spec = &binding.spec;
        if spec.resource_override_snapshots.is_empty() && spec.cluster_resource_override_snapshots.is_empty() {
            self.say(
                cluster::OVERRIDDEN,
                true,
                reasons::NO_OVERRIDE_SPECIFIED,
                messages::NO_OVERRIDE,
            );
        } else {
            self.say(
                cluster::OVERRIDDEN,
                true,
                reasons::OVERRIDDEN_SUCCEEDED,
                messages::CLUSTER_OVERRIDDEN,
            );
        }
    }

    fn applied(&mut self, changed: bool, works: &[&Work]) {
        if is_awaited(changed, works, on_work::APPLIED) {
            let message = "The works were changed and the member cluster has not answered for all of them yet.";
            self.say(cluster::APPLIED, false, reasons::APPLY_IN_PROGRESS, message);
            return;
        }
        match worst_state(works, on_work::APPLIED) {
            ConditionState::Stale => {
                let message = self.count(works, on_work::APPLIED, "have not been applied");
                self.say(
                    cluster::APPLIED,
                    false,
                    reasons::NOT_ALL_WORK_HAVE_BEEN_APPLIED,
                    &message,
                );
            }
            ConditionState::False => {
                let message = self.count(works, on_work::APPLIED, "could not be applied");
                self.say(
                    cluster::APPLIED,
                    false,
                    reasons::NOT_ALL_WORK_HAVE_BEEN_APPLIED,
                    &message,
                );
                self.status.failed_placements = lists::failed(works);
                self.status.diffed_placements = lists::diffed(works);
                self.status.drifted_placements = lists::drifted(works);
            }
            ConditionState::True => {
                self.say(
                    cluster::APPLIED,
                    true,
                    reasons::ALL_WORK_HAVE_BEEN_APPLIED,
                    messages::CLUSTER_APPLIED,
                );
                self.available(works);
            }
        }
    }

    fn available(&mut self, works: &[&Work]) {
        self.status.drifted_placements = lists::drifted(works);
        match worst_state(works, on_work::AVAILABLE) {
            ConditionState::Stale => {
                let message = self.count(works, on_work::AVAILABLE, "have not been checked for availability");
                self.say(cluster::AVAILABLE, false, reasons::NOT_ALL_WORK_ARE_AVAILABLE, &message);
            }
            ConditionState::False => {
                let message = self.count(works, on_work::AVAILABLE, "are not available");
                self.say(cluster::AVAILABLE, false, reasons::NOT_ALL_WORK_ARE_AVAILABLE, &message);
                self.status.failed_placements = lists::failed(works);
            }
            ConditionState::True if works.iter().any(|work| is_untrackable(work)) => {
                let message = "All works are available as far as can be told: some hold resources whose availability \
                               cannot be tracked.";
                self.say(
                    cluster::AVAILABLE,
                    true,
                    reasons::NOT_ALL_WORK_ARE_AVAILABILITY_TRACKABLE,
                    message,
                );
            }
            ConditionState::True => {
                self.say(
                    cluster::AVAILABLE,
                    true,
                    reasons::ALL_WORK_ARE_AVAILABLE,
                    messages::CLUSTER_AVAILABLE,
                );
            }
        }
    }

    fn diff_reported(&mut self, changed: bool, works: &[&Work]) {
        if is_awaited(changed, works, on_work::DIFF_REPORTED) {
            let message =
                "The works were changed and the member cluster has not reported differences for all of them yet.";
            self.say(cluster::DIFF_REPORTED, false, reasons::DIFF_REPORT_IN_PROGRESS, message);
            return;
        }
        if worst_state(works, on_work::DIFF_REPORTED) == ConditionState::True {
            let message = "All corresponding work objects have reported differences.";
            self.say(
                cluster::DIFF_REPORTED,
                true,
                reasons::ALL_WORK_HAVE_DIFF_REPORTED,
                message,
            );
            self.status.diffed_placements = lists::diffed(works);
        } else {
            let message = self.count(works, on_work::DIFF_REPORTED, "have not reported all differences");
            self.say(
                cluster::DIFF_REPORTED,
                false,
                reasons::NOT_ALL_WORK_HAVE_DIFF_REPORTED,
                &message,
            );
        }
    }

    /// A sentence about the Works that are not True.
    fn count(&self, works: &[&Work], kind: &str, what: &str) -> String {
        let names: Vec<_> = works
            .iter()
            .filter(|w| w.condition_state(kind) != ConditionState::True)
            .map(|w| w.meta.name.as_str())
            .collect();
        format!(
            "{} of {} works {what}, among them {:?}.",
            names.len(),
            works.len(),
            names.first().unwrap_or(&"")
        )
    }

    /// The time of a condition stays while neither its status nor its observed generation changes:
    /// the wait for untrackable resources is counted from it.
    fn say(&mut self, kind: &str, holds: bool, reason: &str, message: &str) {
        let status = if holds {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        let new = Condition::new(kind, status, reason, message, self.generation, Time(self.now));
        // What was said about another spec begins anew.
        let before = condition::find(self.old, kind).filter(|old| old.observed_generation == self.generation);
        self.status.conditions.push(with_transition_of(new, before));
    }

    fn finish(self) -> ResourceBindingStatus {
        self.status
    }
}

/// The worst state of a condition among the Works: stale before False before True. Without Works it is True.
fn worst_state(works: &[&Work], kind: &str) -> ConditionState {
    let mut worst = ConditionState::True;
    for work in works {
        match work.condition_state(kind) {
            ConditionState::Stale => return ConditionState::Stale,
            ConditionState::False => worst = ConditionState::False,
            ConditionState::True => {}
        }
    }
    worst
}

/// Whether the member has not answered yet for the current generation of some Work, or for one that is about to be written.
fn is_awaited(changed: bool, works: &[&Work], kind: &str) -> bool {
    changed || works.iter().any(|work| is_unanswered(work, kind))
}

/// Whether the member has not answered for the Work's current generation.
fn is_unanswered(work: &Work, kind: &str) -> bool {
    condition::find(&work.status.conditions, kind).is_none_or(|c| c.observed_generation != work.meta.generation)
}

fn is_untrackable(work: &Work) -> bool {
    condition::find(&work.status.conditions, on_work::AVAILABLE).is_some_and(|c| {
        [
            work_reasons::WORK_NOT_TRACKABLE,
            work_reasons::SOME_MANIFESTS_ARE_NOT_AVAILABILITY_TRACKABLE,
        ]
        .contains(&c.reason.as_str())
    })
}
