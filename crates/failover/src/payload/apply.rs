//! The way to a cluster that runs the payload.

use std::collections::BTreeSet;

use fairway_core::apply::{Availability, availability};
use serde_json::Value;

use super::inventory::{Entry, Inventory, State};
use super::object::{ObjectId, is_terminating, uid};
use super::observed::{Observed, Outcome, Round};
use super::order::{self, Wave};
use super::resolve::{Object, Resolved};
use super::retire::{Fate, Retiring};
use super::stamp::{Owner, empty_intent, outranks};
use super::step::{Findings, Plan, Step};

/// Most fields that a conflict names.
const MAX_FIELDS: usize = 10;

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct ApplyInput<'a> {
    /// What the cluster should run.
    pub payload: &'a Resolved,
    /// The inventory as it is stored.
    pub stored: &'a Inventory,
    /// The cluster.
    pub observed: &'a Observed,
    /// The answers so far.
    pub round: &'a Round,
    /// On whose behalf.
    pub owner: &'a Owner,
    /// The term in which the member leads.
    pub term: u64,
    /// Whether objects that exist already are taken over.
    pub adopt_existing: bool,
}

/// What is to be done about one object.
enum Act {
    /// Nothing more in this round.
    Settled,
    /// It has to be waited for, or its back-off has to end.
    Wait,
    Apply {
        force: bool,
        shared: bool,
        uid: Option<String>,
    },
    Release {
        uid: String,
    },
}

/// Plans the next steps towards the payload: new objects in waves, then the removal of those that it no longer lists.
pub fn plan_apply(input: ApplyInput<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut next = input.stored.clone();
    let mut acts = Vec::new();
    for object in &input.payload.objects {
        let (entry, act) = input.judge(object, &mut plan.findings);
        match entry {
            Some(entry) => next.set(entry),
            None => next.remove(&object.id),
        }
        acts.push((object, act));
    }
    let mut steps = Vec::new();
    let settled = input.waves(&acts, &mut steps, &mut plan.findings);
    if settled {
        input.prune(&mut next, &mut steps, &mut plan.findings);
    }
    let listed: BTreeSet<&ObjectId> = input.payload.objects.iter().map(|object| &object.id).collect();
    let left = next
        .entries()
        .any(|(id, entry)| !listed.contains(id) && entry.state != State::Kept);
    if next != *input.stored {
        plan.steps.push(Step::Store(next));
    }
    plan.steps.append(&mut steps);
    plan.done = settled && !left && plan.steps.is_empty();
    plan
}

/// Workloads of the payload that exist and are not ours: while there are any, the member must not lead, because a handover
/// could not stop them.
pub fn foreign_workloads(input: ApplyInput<'_>) -> Vec<ObjectId> {
    let mut findings = Findings::default();
    for object in &input.payload.objects {
        input.judge(object, &mut findings);
    }
    findings.foreign
}

/// The applies with which a dry run tries the payload. Objects that need a namespace or kind which only the payload will
/// bring cannot be tried.
pub fn dry_run(input: ApplyInput<'_>) -> Vec<Step> {
    let missing = |object: &&Object| !input.observed.objects.contains_key(&object.id);
    let objects = &input.payload.objects;
    let namespaces: BTreeSet<&str> = objects
        .iter()
        .filter(|o| o.id.is_namespace())
        .filter(missing)
        .map(|o| o.id.name.as_str())
        .collect();
    let kinds: BTreeSet<String> = objects
        .iter()
        .filter(|o| o.id.is_definition())
        .filter(missing)
        .map(|o| o.id.name.clone())
        .collect();
    let can_be_tried = |object: &&Object| {
        let namespace = object.id.namespace.as_deref();
        !namespace.is_some_and(|namespace| namespaces.contains(namespace))
            && !kinds.contains(&object.resource.qualified())
    };
    objects
        .iter()
        .filter(can_be_tried)
        .map(|object| input.apply(object, true, false, None))
        .collect()
}

impl ApplyInput<'_> {
    /// The entry that an object should have, and what is to be done about it.
    fn judge(&self, object: &Object, findings: &mut Findings) -> (Option<Entry>, Act) {
        let id = &object.id;
        let entry = self.stored.get(id).cloned();
        let live = self.observed.objects.get(id);
        let of = |state, uid: &str| Some(Entry::of(object, state, Some(uid)));
        match self.round.get(id) {
            Some(Outcome::Created { uid }) if id.is_always_shared() => return (of(State::Shared, uid), Act::Settled),
            Some(Outcome::Created { uid }) => return (of(State::Applied, uid), Act::Settled),
            Some(Outcome::Updated { uid }) => {
                if entry.as_ref().is_some_and(|entry| entry.state == State::Applied) {
                    return (of(State::Applied, uid), Act::Settled);
                }
                if !object.owns_pods {
                    return (of(State::Shared, uid), Act::Settled);
                }
                // Somebody created a workload of that name right before us: our part of it has to go again.
                return self.foreign(object, of(State::Shared, uid), findings);
            }
            Some(Outcome::Conflict { fields }) => {
                let some = fields.iter().take(MAX_FIELDS).cloned().collect();
                findings.conflicts.insert(id.clone(), some);
                let entry = match entry {
                    Some(entry) if entry.state == State::Applied => Some(entry),
                    _ if object.owns_pods => {
                        findings.foreign.push(id.clone());
                        None
                    }
                    entry => Some(Entry {
                        state: State::Conflict,
                        ..entry.unwrap_or(Entry::of(object, State::Conflict, None))
                    }),
                };
                return (entry, Act::Settled);
            }
            Some(Outcome::Failed { message }) => {
                findings.failed.insert(id.clone(), message.clone());
                return (entry, Act::Wait);
            }
            Some(Outcome::Deleted { .. }) | None => {}
        }
        let Some(live) = live else {
            let state = if id.is_always_shared() {
                State::Shared
            } else {
                State::Intended
            };
            let act = Act::Apply {
                force: false,
                shared: state == State::Shared,
                uid: None,
            };
            return (Some(Entry::of(object, state, None)), act);
        };
        if outranks(live, self.term) {
            findings.outranked.push(id.clone());
            return (entry, Act::Wait);
        }
        if is_terminating(live) {
            findings.waiting.push(id.clone());
            return (entry, Act::Wait);
        }
        let uid = uid(live);
        let ours = match &entry {
            Some(Entry {
                state: State::Shared | State::Conflict,
                ..
            }) => false,
            Some(Entry {
                state: State::Applied | State::Kept,
                uid: Some(known),
                ..
            }) if known == uid => true,
            _ => self.owner.owns(live),
        };
        if !id.is_always_shared() && (ours || self.adopt_existing) {
            let act = Act::Apply {
                force: true,
                shared: false,
                uid: Some(uid.to_owned()),
            };
            return (of(State::Applied, uid), act);
        }
        if object.owns_pods {
            let part = entry.filter(|entry| entry.state == State::Shared);
            return self.foreign(object, part, findings);
        }
        let state = match entry {
            Some(Entry {
                state: State::Conflict, ..
            }) => State::Conflict,
            _ => State::Shared,
        };
        let act = Act::Apply {
            force: false,
            shared: true,
            uid: Some(uid.to_owned()),
        };
        (of(state, uid), act)
    }

    /// A workload of others. `part` is the entry of one that we have written to nevertheless.
    fn foreign(&self, object: &Object, part: Option<Entry>, findings: &mut Findings) -> (Option<Entry>, Act) {
        findings.foreign.push(object.id.clone());
        let live = self.observed.objects.get(&object.id);
        match (part, live) {
            (Some(entry), Some(live)) if self.owner.manages(live) => {
                let uid = uid(live).to_owned();
                (Some(entry), Act::Release { uid })
            }
            // Our apply is known and its result is not observed yet.
            (Some(entry), _) if matches!(self.round.get(&object.id), Some(Outcome::Updated { .. })) => {
                (Some(entry), Act::Settled)
            }
            _ => (None, Act::Settled),
        }
    }

    /// Adds the steps of the first wave that has any. Returns whether nothing of the payload is left to do.
    fn waves(&self, acts: &[(&Object, Act)], steps: &mut Vec<Step>, findings: &mut Findings) -> bool {
        let mut settled = true;
        for wave in acts.chunk_by(|(one, _), (other, _)| wave_of(one) == wave_of(other)) {
            let mut founded = true;
            for (object, act) in wave {
                match act {
                    Act::Apply { force, shared, uid } => {
                        steps.push(self.apply(object, *force, *shared, uid.as_deref()));
                    }
                    Act::Release { uid } => steps.push(self.release(object, uid)),
                    Act::Wait => founded = false,
                    Act::Settled if object.id.is_definition() && !self.is_established(&object.id) => {
                        findings.waiting.push(object.id.clone());
                        founded = false;
                    }
                    Act::Settled => {}
                }
            }
            settled &= founded;
            let is_foundation = wave.first().is_some_and(|(object, _)| wave_of(object).is_foundation());
            if !steps.is_empty() || (is_foundation && !founded) {
                return false;
            }
        }
        settled
    }

    fn is_established(&self, id: &ObjectId) -> bool {
        let judge = |live: &Value| availability("apiextensions.k8s.io", "v1", "customresourcedefinitions", live);
        self.observed
            .objects
            .get(id)
            .is_some_and(|live| judge(live) == Availability::Available)
    }

    fn apply(&self, object: &Object, force: bool, shared: bool, uid: Option<&str>) -> Step {
        Step::Apply {
            id: object.id.clone(),
            resource: object.resource.clone(),
            key: object.key(),
            body: self.owner.intent(object, &self.payload.hash, self.term, shared, uid),
            force,
        }
    }

    fn release(&self, object: &Object, uid: &str) -> Step {
        Step::Release {
            id: object.id.clone(),
            resource: object.resource.clone(),
            key: object.key(),
            body: empty_intent(&Entry::of(object, State::Shared, Some(uid)), uid),
        }
    }

    /// Removes what the payload no longer lists.
    fn prune(&self, next: &mut Inventory, steps: &mut Vec<Step>, findings: &mut Findings) {
        let listed: BTreeSet<&ObjectId> = self.payload.objects.iter().map(|object| &object.id).collect();
        let retiring = Retiring {
            stored: self.stored,
            observed: self.observed,
            round: self.round,
            owner: self.owner,
            term: self.term,
        };
        let mut stale: Vec<_> = self.stored.entries().filter(|(id, _)| !listed.contains(id)).collect();
        stale.sort_by_key(|(_, entry)| std::cmp::Reverse(order::key(&entry.resource, entry.owns_pods)));
        for (id, entry) in stale {
            match retiring.fate(id, entry, findings) {
                Fate::Gone => next.remove(id),
                Fate::Kept(entry) => next.set(entry),
                Fate::Wait => {}
                Fate::Do(step, entry) => {
                    entry.into_iter().for_each(|entry| next.set(entry));
                    steps.push(*step);
                }
            }
        }
    }
}

fn wave_of(object: &Object) -> Wave {
    Wave::of(&object.resource, object.owns_pods)
}
