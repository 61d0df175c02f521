//! Topology spread of PickN (hub-behaviour 4.11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::placement::v1beta1::{TopologySpreadConstraint, UnsatisfiableConstraintAction};

use super::trace::SpreadScore;
use crate::objects::Member;
use crate::trace::Bounded;

/// How the clusters that are picked so far spread over the domains of every constraint.
pub(super) struct Spread<'a> {
    /// `DoNotSchedule` constraints first, each group in declared order.
    constraints: Vec<Domains<'a>>,
}

struct Domains<'a> {
    key: &'a str,
    max_skew: i64,
    hard: bool,
    counts: BTreeMap<&'a str, i64>,
    smallest: i64,
    second: i64,
    largest: i64,
}

/// The constraint that keeps a cluster out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) key: String,
    pub(super) max_skew: i64,
}

/// Score of a violated `ScheduleAnyway` constraint.
const VIOLATED: i64 = -1000;

impl<'a> Spread<'a> {
    /// Counts `picked` clusters (names) over the domains of all members, ineligible ones included.
    pub(super) fn new(
        constraints: &'a [TopologySpreadConstraint],
        members: &'a [Arc<Member>],
        picked: &BTreeSet<String>,
    ) -> Self {
        let mut all: Vec<Domains<'a>> = constraints.iter().map(|c| Domains::new(c, members, picked)).collect();
        all.sort_by_key(|domains| !domains.hard);
        Self { constraints: all }
    }

    /// What each constraint adds to the score of one more pick on this member.
    pub(super) fn parts(&self, member: &Member) -> Bounded<SpreadScore> {
        let part = |domains: &Domains<'a>| {
            let change = domains.change(member)?;
            let domain = member.meta.label(domains.key)?;
            let skew = domains.largest - domains.smallest;
            Some(SpreadScore {
                key: domains.key.to_owned(),
                domain: domain.to_owned(),
                count: domains.counts.get(domain).copied().unwrap_or_default(),
                skew,
                change,
                max_skew: domains.max_skew,
                score: domains.score(change),
            })
        };
        self.constraints.iter().filter_map(part).collect()
    }

    /// The spread score of one more pick on this member, or what forbids it.
    pub(super) fn judge(&self, member: &Member) -> Result<i64, Violation> {
        let mut score = 0;
        for domains in &self.constraints {
            let Some(change) = domains.change(member) else { continue };
            if domains.is_violated(change) && domains.hard {
                return Err(Violation {
                    key: domains.key.to_owned(),
                    max_skew: domains.max_skew,
                });
            }
            score += domains.score(change);
        }
        Ok(score)
    }
}

impl<'a> Domains<'a> {
    fn new(constraint: &'a TopologySpreadConstraint, members: &'a [Arc<Member>], picked: &BTreeSet<String>) -> Self {
        let key = constraint.topology_key.as_str();
        let mut counts = BTreeMap::new();
        for member in members {
            if let Some(domain) = member.meta.label(key) {
                *counts.entry(domain).or_insert(0) += i64::from(picked.contains(&member.meta.name));
            }
        }
        let mut sorted: Vec<i64> = counts.values().copied().collect();
        sorted.sort_unstable();
        let smallest = sorted.first().copied().unwrap_or_default();
        Self {
            key,
            max_skew: i64::from(constraint.max_skew.unwrap_or(1)),
            hard: constraint
                .when_unsatisfiable
                .unwrap_or(UnsatisfiableConstraintAction::DoNotSchedule)
                == UnsatisfiableConstraintAction::DoNotSchedule,
            smallest,
            second: sorted.get(1).copied().unwrap_or(smallest),
            largest: sorted.last().copied().unwrap_or_default(),
            counts,
        }
    }

    fn is_violated(&self, change: i64) -> bool {
        self.largest - self.smallest + change > self.max_skew
    }

    fn score(&self, change: i64) -> i64 {
        if self.is_violated(change) { VIOLATED } else { -change }
    }

    /// How the skew changes with one more pick on the member; `None` when it lies in no domain.
    fn change(&self, member: &Member) -> Option<i64> {
        let count = *self.counts.get(member.meta.label(self.key)?)?;
        Some(if self.smallest == self.largest {
            1
        } else if count == self.smallest && self.smallest != self.second {
            -1
        } else {
            i64::from(count == self.largest)
        })
    }
}
