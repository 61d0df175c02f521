//! PickFixed: the clusters that the policy names (hub-behaviour 4.5).

use std::collections::BTreeSet;

use super::assign::Assignment;
use super::classify::Classes;
use super::{Input, Outcome, Verdict, decisions, eligible};
use crate::problem::Problem;

/// Uses every named cluster that exists and is eligible. Taints and affinity are not consulted.
pub(super) fn fixed(input: &Input<'_>, classes: &Classes<'_>, outcome: &mut Outcome) -> Result<(), Problem> {
    let names: &[String] = input.policy.map_or(&[], |policy| &policy.cluster_names);
    let mut assignment = Assignment::new(classes);
    let (mut valid, mut invalid, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for name in names.iter().filter(|name| seen.insert(name.as_str())) {
        match input.members.iter().find(|member| member.name() == name) {
            None => missing.push(decisions::not_found(name)),
            Some(member) => match eligible(member, input.now) {
                Err(why) => invalid.push(decisions::not_eligible(name, why)),
                Ok(()) => {
                    let decision = decisions::picked_by_name(name);
                    assignment.pick(name, decision.clone())?;
                    valid.push(decision);
                }
            },
        }
    }
    assignment.finish(classes, outcome);
    if names.is_empty() {
        // An empty list decides nothing: the placement stays pending until clusters are named.
        return Ok(());
    }
    let selected = valid.len();
    let fulfilled = invalid.is_empty() && missing.is_empty();
    valid.extend(invalid.into_iter().chain(missing));
    outcome.verdict = Some(Verdict {
        decisions: valid,
        selected,
        fulfilled,
    });
    Ok(())
}
