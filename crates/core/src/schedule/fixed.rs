//! PickFixed: the clusters that the policy names (hub-behaviour 4.5).

use std::collections::BTreeSet;

use super::assign::Assignment;
use super::classify::Classes;
use super::{Input, PolicyDecisions, SchedulingResult, Trace, decisions, eligible, explain};
use crate::problem::Problem;
use crate::trace::Recorder;

/// Uses every named cluster that exists and is eligible. Taints and affinity are not consulted.
pub(super) fn fixed(
    input: &Input<'_>,
    classes: &Classes<'_>,
    result: &mut SchedulingResult,
    mut trace: Recorder<'_, Trace>,
) -> Result<(), Problem> {
    let names: &[String] = input.policy.map_or(&[], |policy| &policy.cluster_names);
    let mut assignment = Assignment::new(classes);
    let (mut valid, mut invalid, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for name in names.iter().filter(|name| seen.insert(name.as_str())) {
        match input.members.iter().find(|member| member.name() == name) {
            None => {
                let decision = decisions::not_found(name);
                trace.record(|t| {
                    t.clusters
                        .push(explain::refused_by_name(input, name, &decision.reason, None))
                });
                missing.push(decision);
            }
            Some(member) => match eligible(member, input.now) {
                Err(why) => {
                    let decision = decisions::not_eligible(name, why);
                    trace.record(|t| {
                        let refused = explain::refused_by_name(input, name, &decision.reason, Some(member));
                        t.clusters.push(refused);
                    });
                    invalid.push(decision);
                }
                Ok(()) => {
                    let decision = decisions::picked_by_name(name);
                    trace.record(|t| t.clusters.push(explain::taken_by_name(name)));
                    assignment.pick(name, decision.clone())?;
                    valid.push(decision);
                }
            },
        }
    }
    assignment.finish(classes, result);
    if names.is_empty() {
        // An empty list decides nothing: the placement stays pending until clusters are named.
        return Ok(());
    }
    let selected = valid.len();
    let fulfilled = invalid.is_empty() && missing.is_empty();
    valid.extend(invalid.into_iter().chain(missing));
    result.decisions = Some(PolicyDecisions {
        decisions: valid,
        selected,
        fulfilled,
    });
    Ok(())
}
