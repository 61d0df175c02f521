//! Topology spread of PickN (hub-behaviour 4.11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::placement::v1beta1::{TopologySpreadConstraint, UnsatisfiableConstraintAction};

use crate::objects::Member;

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

    /// The spread score of one more pick on this member, or what forbids it.
    pub(super) fn judge(&self, member: &Member) -> Result<i64, Violation> {
        let mut score = 0;
        for domains in &self.constraints {
            let Some(change) = domains.change(member) else { continue };
            let violated = domains.largest - domains.smallest + change > domains.max_skew;
            if violated && domains.hard {
                return Err(Violation {
                    key: domains.key.to_owned(),
                    max_skew: domains.max_skew,
                });
            }
            score += if violated { VIOLATED } else { -change };
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
