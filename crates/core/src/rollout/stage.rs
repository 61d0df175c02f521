//! The rolling update as a stage of a pass: it continues as long as a round moves or removes a binding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Budget, Input, Trace, roll_out};
use crate::effects::Tracked;
use crate::objects::{Binding, Manifest, Member, OverrideSnapshot, Placement, PlacementKey, ResourceSnapshot};
use crate::overrides::{self, Picked};
use crate::problem::Problem;
use crate::snapshot;
use crate::trace::Recorder;

/// What the stage goes by, beside the bindings.
#[derive(Clone, Copy)]
pub struct StageInput<'a> {
    /// The placement's key.
    pub key: &'a PlacementKey,
    /// The placement.
    pub placement: &'a Placement,
    /// All members, deleting ones included.
    pub members: &'a [Arc<Member>],
    /// The resource snapshots as the earlier stages leave them.
    pub resources: &'a [Tracked<ResourceSnapshot>],
    /// All override snapshots.
    pub overrides: &'a [Arc<OverrideSnapshot>],
    /// Names of bindings whose members have not answered yet for what they were given last.
    pub awaited: &'a BTreeSet<String>,
    /// The current time.
    pub now: Timestamp,
}

/// How the stage ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StageResult {
    /// Whether anything was moved or removed.
    pub moved: bool,
    /// When the next pass is due, if no event causes one before.
    pub requeue: Option<Duration>,
    /// What went wrong.
    pub problems: Vec<Problem>,
}

/// Rolls the latest resources and overrides out, within the budgets. Bindings come sorted by name.
///
/// What leaves makes room for what comes: the next look would see it, so it is taken here. Each round moves or removes a
/// binding that no later round touches again, so there are at most as many rounds as bindings; the stage says so if that
/// should ever not be enough, and leaves the rest to the next pass.
pub fn run(bindings: &mut [Tracked<Binding>], input: &StageInput<'_>, mut trace: Recorder<'_, Trace>) -> StageResult {
    let mut result = StageResult::default();
    let Some(master) = snapshot::latest_master(input.resources) else {
        return result;
    };
    let all: Vec<&ResourceSnapshot> = input.resources.iter().filter_map(Tracked::get).map(|s| &**s).collect();
    let prepared =
        snapshot::members(master, &all).and_then(|(_, group)| Ok((group, Budget::of(input.placement, bindings)?)));
    let (group, budget) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => {
            result.problems.push(problem);
            return result;
        }
    };
    let manifests: Vec<Arc<Manifest>> = group.iter().flat_map(|s| s.manifests.iter().cloned()).collect();
    let picked = pick_overrides(bindings, &manifests, input, &mut result.problems);
    trace.record(|trace| trace.pick(&picked));
    let leaving = input.members.iter().filter(|m| m.meta.is_deleting()).map(|m| m.name());
    let strategy = input.placement.apply_strategy();
    let round = Input {
        leaving: &leaving.collect(),
        awaited: input.awaited,
        snapshot: &master.meta.name,
        apply_strategy: &strategy,
        budget,
        overrides: &picked,
        now: input.now,
    };
    let limit = bindings.len() + 1;
    for _ in 0..limit {
        let ended = roll_out(bindings, &round, trace.part(|trace| trace));
        if !ended.changed {
            result.requeue = ended.requeue;
            return result;
        }
        result.moved = true;
    }
    result.problems.push(Problem::unexpected(format!(
        "The rolling update has not come to rest in {limit} rounds; the next pass continues."
    )));
    result
}

/// The overrides of every cluster that exists and has a binding.
fn pick_overrides(
    bindings: &[Tracked<Binding>],
    manifests: &[Arc<Manifest>],
    input: &StageInput<'_>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Picked> {
    let matched = overrides::matched(input.key, manifests, input.overrides);
    let clusters: BTreeSet<&str> = bindings.iter().filter_map(Tracked::get).map(|b| b.cluster()).collect();
    let members = input.members.iter().filter(|m| clusters.contains(m.name()));
    let picked: BTreeMap<String, Picked> = members
        .map(|member| (member.name().to_owned(), overrides::pick(&matched, &member.meta.labels)))
        .collect();
    for problem in picked.values().flat_map(|p| &p.problems) {
        if !problems.contains(problem) {
            problems.push(problem.clone());
        }
    }
    picked
}
