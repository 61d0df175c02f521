//! Filters in order, then scores (hub-behaviour 4.8).
//!
//! What does not depend on the clusters picked so far is judged once per cycle; a batch only looks at the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::placement::v1beta1::{ClusterSelectorTerm, PreferredClusterSelector, TopologySpreadConstraint};

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
    /// Best first when scored, else by name.
    pub(super) scored: Vec<Scored>,
    /// By name.
    pub(super) filtered: Vec<Filtered>,
}

/// Whether batches score, as PickN does, or only filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoring {
    Yes,
    No,
}

/// All members, judged by everything but what is picked.
pub(super) struct Fleet<'a> {
    members: &'a [Arc<Member>],
    scoring: Scoring,
    constraints: &'a [TopologySpreadConstraint],
    /// Affinity score, or why the member is out.
    verdicts: Vec<Result<i64, String>>,
}

impl<'a> Fleet<'a> {
    /// Judges the members.
    ///
    /// # Errors
    /// When the policy cannot be evaluated.
    pub(super) fn new(input: &Input<'a>, scoring: Scoring, bad: &mut Vec<BadProperty>) -> Result<Self, Problem> {
        let terms = Terms::of(input);
        let (constraints, preferences) = match scoring {
            Scoring::Yes => (
                input
                    .policy
                    .map_or(&[][..], |policy| &policy.topology_spread_constraints),
                Some(Preferences::new(terms.preferred, input.members, bad)?),
            ),
            Scoring::No => (&[][..], None),
        };
        let mut verdicts = Vec::with_capacity(input.members.len());
        for member in input.members {
            verdicts.push(match refusal(input, &terms, member, bad)? {
                Some(reason) => Err(format!("ClusterUnschedulable, {reason}")),
                None => Ok(preferences.as_ref().map_or(Ok(0), |p| p.score(member, bad))?),
            });
        }
        Ok(Self {
            members: input.members,
            scoring,
            constraints,
            verdicts,
        })
    }

    /// Filters and scores what is left. `picked` are the clusters that are scheduled or bound already.
    pub(super) fn batch(&self, picked: &BTreeSet<String>, obsolete: &BTreeSet<String>) -> Batch {
        let spread = Spread::new(self.constraints, self.members, picked);
        let mut batch = Batch::default();
        for (member, verdict) in self.members.iter().zip(&self.verdicts) {
            let cluster = member.meta.name.clone();
            let affinity = match verdict {
                Ok(affinity) => *affinity,
                Err(reason) => {
                    batch.filtered.push(Filtered {
                        cluster,
                        reason: reason.clone(),
                    });
                    continue;
                }
            };
            if picked.contains(&cluster) {
                continue;
            }
            match spread.judge(member) {
                Ok(topology) => {
                    let obsolete = i64::from(self.scoring == Scoring::Yes && obsolete.contains(&cluster));
                    batch.scored.push(Scored {
                        cluster,
                        affinity,
                        topology,
                        obsolete,
                    });
                }
                Err(violation) => {
                    let reason = format!(
                        "ClusterUnschedulable, violates the topology spread constraint on key {:?} (max skew {})",
                        violation.key, violation.max_skew
                    );
                    batch.filtered.push(Filtered { cluster, reason });
                }
            }
        }
        if self.scoring == Scoring::Yes {
            // Equal scores: the larger name wins.
            let rank = |s: &Scored| (s.topology, s.affinity, s.obsolete);
            batch
                .scored
                .sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| b.cluster.cmp(&a.cluster)));
        }
        batch
    }
}

/// The first filter that keeps the member out, whatever else is picked.
fn refusal(
    input: &Input<'_>,
    terms: &Terms<'_>,
    member: &Member,
    bad: &mut Vec<BadProperty>,
) -> Result<Option<String>, Problem> {
    if !affinity::required(terms.required, member, bad)? {
        return Ok(Some(
            "cluster does not match with any of the required cluster affinity terms".to_owned(),
        ));
    }
    if let Err(reason) = eligible(member, input.now) {
        return Ok(Some(format!(
            "cluster is not eligible for resource placement yet: {reason}"
        )));
    }
    if let Some(reason) = namespace_missing(input, member) {
        return Ok(Some(reason));
    }
    let tolerations = input.policy.map_or(&[][..], |policy| &policy.tolerations);
    let taint = taints::untolerated(&member.taints, tolerations);
    Ok(taint.map(|taint| {
        format!(
            "taint {}={}:{} cannot be tolerated",
            taint.key, taint.value, taint.effect
        )
    }))
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
