//! PickAll and PickN (hub-behaviour 4.5, 4.6).

use api::placement::v1beta1::ClusterDecision;

use super::assign::Assignment;
use super::classify::Classes;
use super::filter::{Filtered, Fleet, Scored, Scoring};
use super::{Action, Input, PolicyDecisions, SchedulingResult, Trace, decisions, explain};
use crate::objects::Binding;
use crate::problem::Problem;
use crate::trace::Recorder;

/// PickAll: every cluster that passes the filters. It is always fulfilled.
pub(super) fn all(
    input: &Input<'_>,
    classes: &Classes<'_>,
    result: &mut SchedulingResult,
    mut trace: Recorder<'_, Trace>,
) -> Result<(), Problem> {
    let fleet = Fleet::new(input, Scoring::No, &mut result.bad_properties)?;
    let held = classes.picked();
    let batch = fleet.batch(&held, &classes.obsolete_clusters());
    explain::picked(&fleet, &batch.scored, &held, &mut trace);
    explain::left(input, &fleet, (&[], &batch.filtered), &held, &mut trace);
    let selected = assign(classes, &batch.scored, result)?;
    let count = selected.len();
    result.decisions = Some(decided(selected, count, &[], &batch.filtered));
    Ok(())
}

/// PickN: the best `N` clusters.
pub(super) fn number(
    input: &Input<'_>,
    classes: &Classes<'_>,
    result: &mut SchedulingResult,
    mut trace: Recorder<'_, Trace>,
) -> Result<(), Problem> {
    let wanted = input
        .number_of_clusters
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| {
            Problem::user("A policy of type PickN must say in numberOfClusters how many clusters to pick, 0 or more.")
        })?;
    trace.record(|trace| trace.wanted = Some(wanted));
    let present = classes.scheduled.len() + classes.bound.len();
    if wanted > present {
        return pick_more(input, classes, wanted, result, trace);
    }
    let surplus = present - wanted;
    let kept = if surplus == 0 && classes.obsolete.is_empty() {
        decisions_of(classes.bound.iter().chain(&classes.scheduled))
    } else {
        drop_lowest(classes, surplus, result)
    };
    result.decisions = Some(decided(kept, wanted, &[], &[]));
    Ok(())
}

/// Gives up what an older policy holds and the `surplus` lowest bindings. Returns the decisions of those that stay.
fn drop_lowest(classes: &Classes<'_>, surplus: usize, result: &mut SchedulingResult) -> Vec<ClusterDecision> {
    unschedule(&classes.obsolete, result);
    let mut scheduled = classes.scheduled.clone();
    let mut bound = classes.bound.clone();
    for class in [&mut scheduled, &mut bound] {
        class.sort_by_key(|binding| standing(binding));
    }
    let from_scheduled = surplus.min(scheduled.len());
    let leaving: Vec<&Binding> = scheduled
        .drain(..from_scheduled)
        .chain(bound.drain(..surplus - from_scheduled))
        .collect();
    unschedule(&leaving, result);
    let mut kept: Vec<&Binding> = scheduled;
    kept.extend(bound);
    decisions_of(&kept)
}

fn decisions_of<'b>(bindings: impl IntoIterator<Item = &'b &'b Binding>) -> Vec<ClusterDecision> {
    let decisions = bindings
        .into_iter()
        .map(|binding| binding.spec.cluster_decision.clone());
    decisions.collect()
}

/// Lowest first: without score, then by topology spread and affinity score, then by cluster name.
fn standing(binding: &Binding) -> (Option<(i32, i32)>, String) {
    let score = binding.spec.cluster_decision.cluster_score.as_ref();
    let score = score.map(|s| {
        (
            s.topology_spread_score.unwrap_or_default(),
            s.affinity_score.unwrap_or_default(),
        )
    });
    (score, binding.cluster().to_owned())
}

fn unschedule(bindings: &[&Binding], result: &mut SchedulingResult) {
    result.actions.extend(bindings.iter().map(|b| Action::Unschedule {
        binding: b.meta.name.clone(),
    }));
}

/// Picks until `wanted` clusters are held. With topology spread constraints one cluster at a time, because each pick
/// changes the scores of the next; all batches run here, so that bindings change once.
fn pick_more(
    input: &Input<'_>,
    classes: &Classes<'_>,
    wanted: usize,
    result: &mut SchedulingResult,
    mut trace: Recorder<'_, Trace>,
) -> Result<(), Problem> {
    let one_by_one = input
        .policy
        .is_some_and(|policy| !policy.topology_spread_constraints.is_empty());
    let fleet = Fleet::new(input, Scoring::Yes, &mut result.bad_properties)?;
    let mut held = classes.picked();
    let mut missing = wanted - held.len().min(wanted);
    let mut obsolete = classes.obsolete_clusters();
    let mut picked = Vec::new();
    let last = loop {
        let mut batch = fleet.batch(&held, &obsolete);
        let limit = if one_by_one { 1 } else { missing };
        let best: Vec<Scored> = batch.scored.drain(..limit.min(batch.scored.len())).collect();
        explain::picked(&fleet, &best, &held, &mut trace);
        missing -= best.len();
        let done = missing == 0 || best.len() < limit || !one_by_one;
        if done {
            explain::left(input, &fleet, (&batch.scored, &batch.filtered), &held, &mut trace);
        }
        held.extend(best.iter().map(|scored| scored.cluster.clone()));
        picked.extend(best);
        if done {
            break batch;
        }
        // Only the first batch prefers what an older policy holds.
        obsolete.clear();
    };
    let selected = assign(classes, &picked, result)?;
    result.decisions = Some(decided(selected, wanted, &last.scored, &last.filtered));
    Ok(())
}

/// Gives the picked clusters to the placement.
/// Returns the decisions of all selected clusters: created, adopted, scheduled, bound.
fn assign(
    classes: &Classes<'_>,
    picked: &[Scored],
    result: &mut SchedulingResult,
) -> Result<Vec<ClusterDecision>, Problem> {
    let mut assignment = Assignment::new(classes);
    for scored in picked {
        assignment.pick(&scored.cluster, decisions::picked_by_score(scored))?;
    }
    let mut selected = assignment.decisions();
    let held = classes.scheduled.iter().chain(&classes.bound);
    selected.extend(held.map(|binding| binding.spec.cluster_decision.clone()));
    assignment.finish(classes, result);
    Ok(selected)
}

fn decided(selected: Vec<ClusterDecision>, wanted: usize, lower: &[Scored], filtered: &[Filtered]) -> PolicyDecisions {
    let count = selected.len();
    PolicyDecisions {
        decisions: decisions::list(selected, lower, filtered),
        selected: count,
        fulfilled: count >= wanted,
    }
}
