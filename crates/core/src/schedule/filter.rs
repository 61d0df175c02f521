//! Filters in order, then scores (hub-behaviour 4.8).
//!
//! What does not depend on the clusters picked so far is judged once per cycle; a batch checks only the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::placement::v1beta1::TopologySpreadConstraint;

use super::Input;
use super::affinity::{self, BadProperty, Preferences};
use super::eligible::eligible;
use super::taints;
use super::terms::Terms;
use super::topology::Spread;
use super::trace::Filter;
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
    pub(super) filter: Filter,
    pub(super) reason: String,
}

/// The result of one batch.
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
    preferences: Option<Preferences<'a>>,
    /// Affinity score, or why the member is out.
    results: Vec<Result<i64, Refusal>>,
}

/// Why a member is out, whatever else is picked.
struct Refusal {
    filter: Filter,
    reason: String,
}

impl Refusal {
    fn new(filter: Filter, reason: impl Into<String>) -> Self {
        Self {
            filter,
            reason: reason.into(),
        }
    }
}

impl<'a> Fleet<'a> {
    /// Judges the members.
    ///
    /// # Errors
    /// When the policy cannot be evaluated.
    pub(super) fn new(input: &Input<'a>, scoring: Scoring, bad: &mut Vec<BadProperty>) -> Result<Self, Problem> {
        let terms = Terms::of(input.policy);
        let (constraints, preferences) = match scoring {
            Scoring::Yes => (
                input
                    .policy
                    .map_or(&[][..], |policy| &policy.topology_spread_constraints),
                Some(Preferences::new(terms.preferred, input.members, bad)?),
            ),
            Scoring::No => (&[][..], None),
        };
        let mut results = Vec::with_capacity(input.members.len());
        for member in input.members {
            results.push(match refusal(input, &terms, member, bad)? {
                Some(Refusal { filter, reason }) => {
                    Err(Refusal::new(filter, format!("ClusterUnschedulable, {reason}")))
                }
                None => Ok(preferences.as_ref().map_or(Ok(0), |p| p.score(member, bad))?),
            });
        }
        Ok(Self {
            members: input.members,
            scoring,
            constraints,
            preferences,
            results,
        })
    }

    /// A member by its name.
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members
            .iter()
            .map(|member| &**member)
            .find(|member| member.name() == name)
    }

    /// The preferred terms, where batches score.
    pub(super) fn preferences(&self) -> Option<&Preferences<'a>> {
        self.preferences.as_ref()
    }

    /// How the clusters that are picked so far spread.
    pub(super) fn spread(&self, picked: &BTreeSet<String>) -> Spread<'a> {
        Spread::new(self.constraints, self.members, picked)
    }

    /// Filters and scores what is left. `picked` are the clusters that are scheduled or bound already.
    pub(super) fn batch(&self, picked: &BTreeSet<String>, obsolete: &BTreeSet<String>) -> Batch {
        let spread = self.spread(picked);
        let mut batch = Batch::default();
        for (member, result) in self.members.iter().zip(&self.results) {
            let cluster = member.meta.name.clone();
            let affinity = match result {
                Ok(affinity) => *affinity,
                Err(refusal) => {
                    batch.filtered.push(Filtered {
                        cluster,
                        filter: refusal.filter,
                        reason: refusal.reason.clone(),
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
                    batch.filtered.push(Filtered {
                        cluster,
                        filter: Filter::TopologySpread,
                        reason,
                    });
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
) -> Result<Option<Refusal>, Problem> {
    if !affinity::required(terms.required, member, bad)? {
        return Ok(Some(Refusal::new(
            Filter::ClusterAffinity,
            "cluster does not match with any of the required cluster affinity terms",
        )));
    }
    if let Err(reason) = eligible(member, input.now) {
        return Ok(Some(Refusal::new(
            Filter::Eligibility,
            format!("cluster is not eligible for resource placement yet: {reason}"),
        )));
    }
    if let Some(reason) = namespace_missing(input, member) {
        return Ok(Some(Refusal::new(Filter::NamespaceAffinity, reason)));
    }
    let tolerations = input.policy.map_or(&[][..], |policy| &policy.tolerations);
    let taint = taints::untolerated(&member.taints, tolerations);
    Ok(taint.map(|taint| {
        let reason = format!(
            "taint {}={}:{} cannot be tolerated",
            taint.key, taint.value, taint.effect
        );
        Refusal::new(Filter::Taints, reason)
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
