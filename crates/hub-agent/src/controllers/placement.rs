//! Placements of both kinds: gather the slice and let the planner decide. What is particular to them: details may be
//! deferred, a status may be withheld, and writes that were refused for good are remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::kinds;
use api::resource::Resource;
use fairway_core::objects::PlacementKey;
use fairway_core::placement::{Facts, Moment, Pass, Settings, Slice, plan_observed};
use fairway_core::render::Refusals;
use jiff::Timestamp;
use kit::controller::{Controller, Executed, Execution, Failure, Series, Triggers};
use parking_lot::Mutex;
use rand::Rng as _;

use super::deferred::DeferredWrites;
use crate::metrics::{HubMetrics, controllers};
use crate::resources::Resources;
use crate::store::{Gathered, Store};

/// How long a write that the API server refused is not tried again.
const REFUSED: Duration = Duration::from_secs(30);

/// Works on placements.
pub struct PlacementController {
    /// What is known of the fleet's objects.
    pub store: Arc<Store>,
    /// What is known of selectable resources.
    pub resources: Arc<Resources>,
    /// Its own queue: passes enqueue each other's keys.
    pub triggers: Triggers<PlacementKey>,
    /// What the planner decides by.
    pub settings: Settings,
    /// Counts.
    pub metrics: Arc<HubMetrics>,
    /// What passes hand to the next one.
    pub states: Mutex<BTreeMap<PlacementKey, PassState>>,
    /// Which placements users wait for.
    pub deferred: DeferredWrites,
}

/// What a pass over a placement hands to the next one. Losing it costs a write, never correctness.
#[derive(Debug, Clone, Default)]
pub struct PassState {
    /// Since when a status is withheld.
    withheld_since: Option<Timestamp>,
    /// Most other placements that users have waited for together with it: the last of many must not stop waiting because
    /// the others are done.
    others_awaited: usize,
    /// Writes that the API server refused for good, and when.
    refused: Refusals,
    refused_at: Option<Timestamp>,
}

impl Controller for PlacementController {
    type Key = PlacementKey;
    type Slice = (Gathered, PassState);
    type Facts = Facts;

    const NAME: &'static str = "placement";
    const COMPONENT: &'static str = "placement-controller";

    fn series(&self, key: &PlacementKey) -> Vec<Series> {
        let names = controllers::of_pass(key, self.settings.stages);
        names.into_iter().map(|name| self.metrics.series(name)).collect()
    }

    fn gather(&self, key: &PlacementKey, now: Timestamp) -> Option<(Gathered, PassState)> {
        let mut state = self.states.lock().get(key).cloned().unwrap_or_default();
        state.begin(self.deferred.others_awaited(key), now);
        self.states.lock().insert(key.clone(), state.clone());
        Some((self.store.gather(key), state))
    }

    fn plan(&self, key: &PlacementKey, (found, state): (Gathered, PassState), now: Timestamp) -> Pass {
        let slice = Slice {
            key,
            placement: found.placement,
            members: &found.members,
            policy_snapshots: found.policy_snapshots,
            resource_snapshots: found.resource_snapshots,
            unreadable_snapshots: &found.unreadable_snapshots,
            bindings: found.bindings,
            unreadable_bindings: &found.unreadable_bindings,
            works: found.works,
            unreadable_works: &found.unreadable_works,
            members_with_finalizers: &found.with_finalizers,
            overrides: &found.overrides,
            resources: &*self.resources,
            status_copy: found.status_copy,
            withheld_since: state.withheld_since,
            others_awaited: state.others_awaited,
            refused: &state.refused,
        };
        let (mut running, mut took) = (None, Duration::ZERO);
        let pass = plan_observed(
            &slice,
            &self.settings,
            now,
            rand::rng().random(),
            &mut |moment| match moment {
                Moment::SchedulingBegins => running = Some((self.metrics.scheduling(), Instant::now())),
                Moment::SchedulingEnds => took = running.take().map_or(Duration::ZERO, |(_, start)| start.elapsed()),
            },
        );
        if let Some(fact) = pass.facts.scheduling {
            let requeue = pass.requeue.is_some_and(|wait| wait.is_zero());
            self.metrics.scheduled(fact.failed, requeue, took);
        }
        pass
    }

    fn planned(&self, key: &PlacementKey, pass: &Pass) {
        if !pass.steps.is_empty() || pass.facts.withheld {
            self.deferred.await_placement(key);
        }
        if pass.deferrable.is_empty() {
            self.deferred.forget(key);
        }
    }

    fn deferral(&self, key: &PlacementKey, now: Timestamp) -> Option<Duration> {
        self.deferred.deferral(key, now)
    }

    fn executed(&self, key: &PlacementKey, done: &Executed<'_, Facts>) {
        let facts = &done.plan.facts;
        if !facts.withheld {
            for other in self.deferred.settled(key) {
                self.triggers.add(other);
            }
        }
        let mut states = self.states.lock();
        let mut state = states.remove(key).unwrap_or_default();
        state.end(facts.withheld, done.execution, done.now);
        if state.withheld_since.is_some() || !state.refused.is_empty() {
            states.insert(key.clone(), state);
        }
        drop(states);
        if !done.steps_done {
            return;
        }
        if let Some(fact) = &facts.placement {
            self.metrics.placement(key, fact, done.now);
        }
        if facts.forget_placement {
            self.metrics.forget_placement(key);
        }
    }
}

impl PassState {
    /// A pass begins while users wait for so many other placements.
    fn begin(&mut self, others_awaited: usize, now: Timestamp) {
        let is_old = |at: Timestamp| Duration::try_from(now.duration_since(at)).is_ok_and(|passed| passed >= REFUSED);
        if self.refused_at.is_some_and(is_old) {
            self.refused.clear();
            self.refused_at = None;
        }
        self.others_awaited = self.others_awaited.max(others_awaited);
    }

    /// A pass has ended.
    fn end(&mut self, withheld: bool, execution: &Execution, now: Timestamp) {
        self.withheld_since = withheld.then(|| self.withheld_since.unwrap_or(now));
        if !withheld {
            self.others_awaited = 0;
        }
        for target in &execution.written {
            self.refused.remove(target);
        }
        for failure in &execution.failures {
            if let Some(words) = refusal(failure) {
                self.refused
                    .insert(failure.target.clone(), (failure.fingerprint, words));
                self.refused_at = Some(now);
            }
        }
    }
}

/// Kinds whose names follow from the placement, so that another object may have the name of one that is to be created.
const WITH_FIXED_NAMES: [Resource; 5] = [
    kinds::WORK,
    kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
    kinds::SCHEDULING_POLICY_SNAPSHOT,
    kinds::CLUSTER_RESOURCE_SNAPSHOT,
    kinds::RESOURCE_SNAPSHOT,
];

/// Why a write is not repeated for now: the API server's words, or that an object has the name which does not count as the
/// placement's. One Work or snapshot that cannot be written must not keep the whole placement's status and other clusters
/// waiting.
fn refusal(failure: &Failure) -> Option<String> {
    if failure.error.is_already_exists() && WITH_FIXED_NAMES.contains(&failure.target.resource) {
        let words = format!(
            "it exists already, but it is being deleted, or its labels do not say that it belongs to this placement. \
             Put them back, or delete the {}.",
            failure.target.resource.kind
        );
        return Some(words);
    }
    failure.is_final().then(|| failure.error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_core::effects::{Target, Write};
    use kit::Error;
    use serde_json::json;

    #[test]
    fn a_work_or_snapshot_that_exists_unseen_is_refused_and_other_conflicts_are_repeated() {
        let now = Timestamp::UNIX_EPOCH;
        for (code, reason, kind, refused) in [
            (409, "AlreadyExists", kinds::WORK, true),
            (409, "AlreadyExists", kinds::CLUSTER_RESOURCE_SNAPSHOT, true),
            (409, "AlreadyExists", kinds::SCHEDULING_POLICY_SNAPSHOT, true),
            (409, "AlreadyExists", kinds::CLUSTER_RESOURCE_BINDING, false),
            (409, "Conflict", kinds::WORK, false),
            (422, "Invalid", kinds::WORK, true),
            (503, "", kinds::WORK, false),
        ] {
            let target = Target::new(kind, Some("fleet-member-m"), "p-work");
            let create = Write::Create {
                target: target.clone(),
                object: json!({}),
            };
            let error = Error::Status {
                what: "create it".to_owned(),
                code,
                reason: reason.to_owned(),
                message: String::new(),
                retry_after: None,
            };
            let execution = Execution {
                failures: vec![Failure {
                    target: target.clone(),
                    fingerprint: create.fingerprint(),
                    error,
                }],
                ..Execution::default()
            };
            let mut state = PassState::default();
            state.end(false, &execution, now);
            let known = state.refused.get(&target).map(|(fingerprint, _)| *fingerprint);
            assert_eq!(known, refused.then(|| create.fingerprint()), "{code} {reason}");
        }
    }
}
