//! The per-cluster entries of a placement status (hub-behaviour 8.3, 8.4).

use std::collections::BTreeMap;

use api::condition::{self, ConditionState};
use api::placement::v1beta1::{ClusterDecision, PerClusterPlacementStatus};
use api::text::conditions::{PlacementCondition, cluster};
use api::text::reasons::cluster as reasons;
use api::{Condition, ConditionStatus, Time};
use jiff::Timestamp;

use super::draft::with_transition_of;
use super::input::Input;
use crate::objects::{Binding, ResourceSnapshot};

/// All entries of a placement status.
pub(super) struct Entries {
    /// Entries of selected clusters, then placeholders.
    pub entries: Vec<PerClusterPlacementStatus>,
    /// How many of them are of selected clusters.
    pub selected: usize,
}

/// Makes the entries, in the order of the scheduler's decisions.
pub(super) fn entries(input: &Input<'_>, placeholders: &[&ClusterDecision]) -> Entries {
    let old = Old::of(&input.placement.status.placement_statuses);
    let bindings: BTreeMap<&str, &Binding> = input
        .bindings
        .iter()
        .filter(|b| !b.meta.is_deleting() && b.spec.scheduling_policy_snapshot_name == input.policy.meta.name)
        .map(|binding| (binding.cluster(), &**binding))
        .collect();
    let mut entries: Vec<_> = input
        .policy
        .status
        .cluster_decisions
        .iter()
        .filter(|decision| decision.selected)
        .map(|decision| {
            let before = old.of_cluster(&decision.cluster_name);
            selected(
                input,
                decision,
                bindings.get(decision.cluster_name.as_str()).copied(),
                before,
            )
        })
        .collect();
    let selected = entries.len();
    entries.extend(placeholders.iter().enumerate().map(|(number, decision)| {
        let mut entry = PerClusterPlacementStatus::default();
        let mut draft = Draft::new(&mut entry, old.placeholder(number), input);
        draft.say(
            cluster::SCHEDULED,
            ConditionStatus::False,
            reasons::SCHEDULE_FAILED,
            &decision.reason,
        );
        entry
    }));
    Entries { entries, selected }
}

fn selected(
    input: &Input<'_>,
    decision: &ClusterDecision,
    binding: Option<&Binding>,
    before: &[Condition],
) -> PerClusterPlacementStatus {
    let mut entry = PerClusterPlacementStatus {
        cluster_name: decision.cluster_name.clone(),
        ..PerClusterPlacementStatus::default()
    };
    let mut draft = Draft::new(&mut entry, before, input);
    draft.say(
        cluster::SCHEDULED,
        ConditionStatus::True,
        reasons::SCHEDULED,
        &decision.reason,
    );
    if let Some(name) = input.unreadable.get(&decision.cluster_name) {
        let (unknown, reason) = (ConditionStatus::Unknown, reasons::ROLLOUT_STARTED_UNKNOWN);
        draft.say(cluster::ROLLOUT_STARTED, unknown, reason, &unreadable_message(name));
        return entry;
    }
    let Some(binding) = binding else {
        draft.unknown(PlacementCondition::RolloutStarted);
        return entry;
    };
    if input.placement.is_external() {
        draft.entry.observed_resource_index = index_of(&binding.spec.resource_snapshot_name, input);
        draft.walk(super::expected(input.placement), binding);
        return entry;
    }
    let latest = input.latest;
    draft.entry.observed_resource_index = latest
        .and_then(ResourceSnapshot::index)
        .map(|i| i.to_string())
        .unwrap_or_default();
    if latest.is_some_and(|latest| latest.meta.name == binding.spec.resource_snapshot_name) {
        draft.walk(super::expected(input.placement), binding);
    } else if let Some(blocked) = blocked(binding) {
        draft.say(
            cluster::ROLLOUT_STARTED,
            ConditionStatus::False,
            reasons::ROLLOUT_NOT_STARTED_YET,
            &blocked.message,
        );
    } else {
        draft.unknown(PlacementCondition::RolloutStarted);
    }
    entry
}

/// What a status says while a binding cannot be read.
pub(super) fn unreadable_message(name: &str) -> String {
    format!(
        "The binding {name:?} cannot be read as it is stored, so that nothing is known about its cluster and nothing is \
         changed there. Repair or delete the binding."
    )
}

/// The rollout's condition that the cluster has to wait.
fn blocked(binding: &Binding) -> Option<&Condition> {
    binding
        .condition(cluster::ROLLOUT_STARTED)
        .filter(|c| c.is_false_for(binding.meta.generation))
}

/// The index of a snapshot by name; empty when there is none.
fn index_of(name: &str, input: &Input<'_>) -> String {
    let snapshot = input.snapshots.iter().find(|s| s.meta.name == name);
    snapshot
        .and_then(|s| s.index())
        .map(|index| index.to_string())
        .unwrap_or_default()
}

/// The entries of the stored status, for the times of their conditions.
struct Old<'a> {
    clusters: BTreeMap<&'a str, &'a [Condition]>,
    placeholders: Vec<&'a [Condition]>,
}

impl<'a> Old<'a> {
    fn of(entries: &'a [PerClusterPlacementStatus]) -> Self {
        let mut old = Self {
            clusters: BTreeMap::new(),
            placeholders: Vec::new(),
        };
        for entry in entries {
            if entry.cluster_name.is_empty() {
                old.placeholders.push(&entry.conditions);
            } else {
                old.clusters.insert(&entry.cluster_name, &entry.conditions);
            }
        }
        old
    }

    fn of_cluster(&self, name: &str) -> &'a [Condition] {
        self.clusters.get(name).copied().unwrap_or_default()
    }

    fn placeholder(&self, number: usize) -> &'a [Condition] {
        self.placeholders.get(number).copied().unwrap_or_default()
    }
}

/// One entry under construction.
struct Draft<'e, 'a> {
    entry: &'e mut PerClusterPlacementStatus,
    before: &'a [Condition],
    generation: i64,
    now: Timestamp,
}

impl<'e, 'a> Draft<'e, 'a> {
    fn new(entry: &'e mut PerClusterPlacementStatus, before: &'a [Condition], input: &Input<'_>) -> Self {
        Self {
            entry,
            before,
            generation: input.placement.meta.generation,
            now: input.now,
        }
    }

    /// Copies the binding's conditions as far as they hold.
    fn walk(&mut self, expected: &[PlacementCondition], binding: &Binding) {
        for kind in expected {
            let type_ = kind.per_cluster();
            let said = binding.condition(type_).map(|c| (c, c.state(binding.meta.generation)));
            match said {
                Some((c, ConditionState::True)) => {
                    self.say(type_, ConditionStatus::True, &c.reason, &c.message);
                    self.side_data(*kind, true, binding);
                }
                Some((c, ConditionState::False)) => {
                    self.say(type_, ConditionStatus::False, &c.reason, &c.message);
                    self.side_data(*kind, false, binding);
                    return;
                }
                Some((_, ConditionState::Stale)) | None => {
                    self.unknown(*kind);
                    return;
                }
            }
        }
    }

    /// What belongs to a condition that was just copied.
    fn side_data(&mut self, kind: PlacementCondition, holds: bool, binding: &Binding) {
        match kind {
            PlacementCondition::RolloutStarted if holds => {
                self.entry.applicable_resource_overrides = binding.spec.resource_override_snapshots.clone();
                self.entry.applicable_cluster_resource_overrides =
                    binding.spec.cluster_resource_override_snapshots.clone();
            }
            PlacementCondition::Applied | PlacementCondition::Available => {
                if !holds {
                    self.entry.failed_placements = binding.status.failed_placements.clone();
                    self.entry.diffed_placements = binding.status.diffed_placements.clone();
                }
                self.entry.drifted_placements = binding.status.drifted_placements.clone();
            }
            PlacementCondition::DiffReported if holds => {
                self.entry.diffed_placements = binding.status.diffed_placements.clone();
            }
            _ => {}
        }
    }

    fn unknown(&mut self, kind: PlacementCondition) {
        let (reason, message) = match kind {
            PlacementCondition::RolloutStarted => (
                reasons::ROLLOUT_STARTED_UNKNOWN,
                "It is not known yet whether the latest resources are rolled out to the cluster.",
            ),
            PlacementCondition::Overridden => (
                reasons::OVERRIDDEN_PENDING,
                "The overrides for the cluster have not been evaluated yet.",
            ),
            PlacementCondition::WorkSynchronized => (
                reasons::WORK_SYNCHRONIZED_UNKNOWN,
                "The works for the cluster have not been synchronized yet.",
            ),
            PlacementCondition::Applied => (
                reasons::APPLY_PENDING,
                "The cluster has not said yet whether the resources are applied.",
            ),
            PlacementCondition::DiffReported => (
                reasons::DIFF_REPORTING_PENDING,
                "The cluster has not reported differences yet.",
            ),
            PlacementCondition::Scheduled | PlacementCondition::Available | PlacementCondition::StatusSynced => (
                reasons::RESOURCE_AVAILABLE_UNKNOWN,
                "The cluster has not said yet whether the resources are available.",
            ),
        };
        self.say(kind.per_cluster(), ConditionStatus::Unknown, reason, message);
    }

    fn say(&mut self, kind: &str, status: ConditionStatus, reason: &str, message: &str) {
        let new = Condition::new(kind, status, reason, message, self.generation, Time(self.now));
        let before = condition::find(self.before, kind);
        self.entry.conditions.push(with_transition_of(new, before));
    }
}
