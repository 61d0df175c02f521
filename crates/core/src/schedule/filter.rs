//! One batch of the scheduling cycle: filters in order, then scores (hub-behaviour 4.8).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::placement::v1beta1::{ClusterSelectorTerm, PreferredClusterSelector};

use super::Input;
use super::affinity::{self, BadProperty, Preferences};
use super::eligible::eligible;
use super::taints;
use super::topology::Spread;
use crate::objects::Member;
use crate::problem::Problem;

/// A member that passed all filters, with its scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scored {
    pub(super) cluster: String,
    pub(super) affinity: i64,
    pub(super) topology: i64,
    /// 1 when a binding of an older policy holds the cluster; prefers what runs already, never reported.
    pub(super) obsolete: i64,
}

/// A member that a filter keeps out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filtered {
    pub(super) cluster: String,
    pub(super) reason: String,
}

/// The outcome of one batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Best first.
    pub(super) scored: Vec<Scored>,
    /// By name.
    pub(super) filtered: Vec<Filtered>,
}

/// Whether a batch scores, as PickN does, or only filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoring {
    Yes,
    No,
}

/// Filters and scores all members. `picked` are the clusters that are scheduled or bound already.
pub(super) fn batch(
    input: &Input<'_>,
    scoring: Scoring,
    picked: &BTreeSet<String>,
    obsolete: &BTreeSet<String>,
    bad: &mut Vec<BadProperty>,
) -> Result<Batch, Problem> {
    let terms = Terms::of(input);
    let names: Vec<&str> = picked.iter().map(String::as_str).collect();
    let constraints = match (scoring, input.policy) {
        (Scoring::Yes, Some(policy)) => policy.topology_spread_constraints.as_slice(),
        _ => &[],
    };
    let spread = Spread::new(constraints, input.members, &names);
    let preferences = match scoring {
        Scoring::Yes => Some(Preferences::new(terms.preferred, input.members, bad)?),
        Scoring::No => None,
    };
    let mut result = Batch::default();
    for member in input.members {
        let cluster = &member.meta.name;
        match judge(input, &terms, member, picked, &spread, bad)? {
            Judgement::Picked => {}
            Judgement::Out(reason) => result.filtered.push(Filtered {
                cluster: cluster.clone(),
                reason,
            }),
            Judgement::In { topology } => {
                let affinity = preferences.as_ref().map_or(Ok(0), |p| p.score(member, bad))?;
                let obsolete = i64::from(scoring == Scoring::Yes && obsolete.contains(cluster));
                result.scored.push(Scored {
                    cluster: cluster.clone(),
                    affinity,
                    topology,
                    obsolete,
                });
            }
        }
    }
    if scoring == Scoring::Yes {
        // Equal scores: the larger name wins.
        let rank = |s: &Scored| (s.topology, s.affinity, s.obsolete, s.cluster.clone());
        result.scored.sort_by_key(|s| std::cmp::Reverse(rank(s)));
    }
    Ok(result)
}

enum Judgement {
    Picked,
    In { topology: i64 },
    Out(String),
}

fn judge(
    input: &Input<'_>,
    terms: &Terms<'_>,
    member: &Arc<Member>,
    picked: &BTreeSet<String>,
    spread: &Spread<'_>,
    bad: &mut Vec<BadProperty>,
) -> Result<Judgement, Problem> {
    let out = |reason: String| Ok(Judgement::Out(format!("ClusterUnschedulable, {reason}")));
    if !affinity::required(terms.required, member, bad)? {
        return out("cluster does not match with any of the required cluster affinity terms".to_owned());
    }
    if let Err(reason) = eligible(member, input.now) {
        return out(format!("cluster is not eligible for resource placement yet: {reason}"));
    }
    if let Some(reason) = namespace_missing(input, member) {
        return out(reason);
    }
    let tolerations = input.policy.map_or(&[][..], |policy| &policy.tolerations);
    if let Some(taint) = taints::untolerated(&member.taints, tolerations) {
        return out(format!(
            "taint {}={}:{} cannot be tolerated",
            taint.key, taint.value, taint.effect
        ));
    }
    if picked.contains(&member.meta.name) {
        return Ok(Judgement::Picked);
    }
    match spread.judge(member) {
        Ok(topology) => Ok(Judgement::In { topology }),
        Err(violation) => out(format!(
            "violates the topology spread constraint on key {:?} (max skew {})",
            violation.key, violation.max_skew
        )),
    }
}

/// Namespace affinity of ResourcePlacements (hub-behaviour 4.12).
fn namespace_missing(input: &Input<'_>, member: &Member) -> Option<String> {
    let namespace = input.key.namespace.as_deref()?;
    if !member.collects_namespaces {
        // An agent of an older release reports none; nothing can be said.
        return None;
    }
    match &member.namespaces {
        None => Some("the cluster has not reported its namespaces yet".to_owned()),
        Some(known) if !known.contains(namespace) => {
            Some(format!("namespace {namespace:?} does not exist on the cluster"))
        }
        Some(_) => None,
    }
}

struct Terms<'a> {
    required: &'a [ClusterSelectorTerm],
    preferred: &'a [PreferredClusterSelector],
}

impl<'a> Terms<'a> {
    fn of(input: &Input<'a>) -> Self {
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
