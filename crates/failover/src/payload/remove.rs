//! The way to a cluster without the payload.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use api::resource::{ObjectKey, Resource};
use serde_json::Value;

use super::inventory::{Inventory, State};
use super::object::{ObjectId, is_terminating, text, uid};
use super::observed::{Observed, Outcome, Round};
use super::order;
use super::pods::family;
use super::retire::{Fate, Retiring};
use super::stamp::Owner;
use super::step::{Plan, Propagation, Step};

const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");
/// From when on pods get no more time, in percent of the fence grace.
const IMPATIENT: u32 = 80;

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct RemoveInput<'a> {
    /// The inventory as it is stored.
    pub stored: &'a Inventory,
    /// The cluster.
    pub observed: &'a Observed,
    /// The answers so far.
    pub round: &'a Round,
    /// On whose behalf.
    pub owner: &'a Owner,
    /// The newest term that the member knows.
    pub term: u64,
    /// How much of the fence grace is over, in percent; 0 while nothing forces the removal.
    pub elapsed: u32,
    /// What the last plan of this removal returned as `family`; empty at first.
    pub family: &'a BTreeSet<String>,
}

/// A plan, and what the next one needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removal {
    /// The plan.
    pub plan: Plan,
    /// UIDs of the workloads and of everything that they own: their pods are known even when what lies between is gone.
    pub family: BTreeSet<String>,
}

/// Plans the removal of everything in the inventory: all deletions at once, workloads first, then waiting until every
/// object and every pod of the workloads is gone.
pub fn plan_remove(input: RemoveInput<'_>) -> Removal {
    let mut plan = Plan::default();
    let mut next = input.stored.clone();
    let mut entries: Vec<_> = input.stored.entries().collect();
    entries.sort_by_key(|(_, entry)| Reverse(order::key(&entry.resource, entry.owns_pods)));
    let retiring = Retiring {
        stored: input.stored,
        observed: input.observed,
        round: input.round,
        owner: input.owner,
        term: input.term,
    };
    let (mut steps, mut gone) = (Vec::new(), Vec::new());
    for (id, entry) in &entries {
        match retiring.fate(id, entry, &mut plan.findings) {
            Fate::Gone => gone.push(*id),
            Fate::Kept(entry) => next.set(entry),
            Fate::Wait => {}
            Fate::Do(step, entry) => {
                entry.into_iter().for_each(|entry| next.set(entry));
                steps.push(*step);
            }
        }
    }
    let roots = next
        .entries()
        .filter(|(_, entry)| entry.owns_pods && entry.state == State::Applied);
    let roots: BTreeSet<String> = roots.filter_map(|(_, entry)| entry.uid.clone()).collect();
    let family = family(roots.union(input.family).cloned().collect(), &input.observed.dependents);
    let pods = input.pods(&family);
    plan.findings.pods = pods.iter().map(|pod| ObjectKey::of(pod).to_string()).collect();
    // Where a newer term was at work, this member leads again, and what runs is not ours to end.
    if input.elapsed >= IMPATIENT && plan.findings.outranked.is_empty() {
        let ending: BTreeSet<&str> = pods.iter().map(|pod| uid(pod)).collect();
        steps.retain(|step| !matches!(step, Step::Delete { uid, .. } if ending.contains(uid.as_str())));
        steps.extend(pods.iter().filter_map(|pod| input.end_at_once(pod)));
    }
    let left = pods.len()
        + next
            .entries()
            .filter(|(id, e)| e.state != State::Kept && !gone.contains(id))
            .count();
    plan.findings.forced = input.elapsed >= 100 && left > 0;
    // Until everything is gone all entries stay: after a restart they say whose pods are waited for.
    if left == 0 {
        gone.into_iter().for_each(|id| next.remove(id));
    }
    if next != *input.stored {
        plan.steps.push(Step::Store(next));
    }
    plan.steps.append(&mut steps);
    plan.done = left == 0 && plan.steps.is_empty();
    Removal { plan, family }
}

impl<'a> RemoveInput<'a> {
    /// The pods that are left.
    fn pods(&self, family: &BTreeSet<String>) -> Vec<&'a Value> {
        let is_pod = |object: &&Value| text(object, "/kind") == "Pod" && family.contains(uid(object));
        let mut pods: Vec<&Value> = self.observed.dependents.iter().filter(is_pod).collect();
        let seen: BTreeSet<&str> = pods.iter().map(|pod| uid(pod)).collect();
        let own = self
            .observed
            .objects
            .values()
            .filter(is_pod)
            .filter(|pod| !seen.contains(uid(pod)));
        let own: Vec<&Value> = own.collect();
        pods.extend(own);
        pods
    }

    /// The deletion of a pod without any time to end, unless that was requested already.
    fn end_at_once(&self, pod: &Value) -> Option<Step> {
        let id = ObjectId {
            group: String::new(),
            kind: "Pod".to_owned(),
            ..ObjectId::of(pod)
        };
        let grace = pod
            .pointer("/metadata/deletionGracePeriodSeconds")
            .and_then(Value::as_i64);
        if is_terminating(pod) && grace == Some(0) {
            return None;
        }
        if matches!(self.round.get(&id), Some(Outcome::Failed { .. })) {
            return None;
        }
        Some(Step::Delete {
            key: ObjectKey::of(pod),
            id,
            resource: PODS,
            uid: uid(pod).to_owned(),
            propagation: Propagation::Background,
            at_once: true,
        })
    }
}
