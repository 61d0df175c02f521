//! What is to be done about one object that is to go.

use super::contents::foreign;
use super::inventory::{Entry, Inventory, State};
use super::object::{ObjectId, is_terminating, uid};
use super::observed::{Observed, Outcome, Round};
use super::stamp::{Owner, empty_intent, outranks};
use super::step::{Findings, Propagation, Step};

/// What the decision rests upon.
pub(super) struct Retiring<'a> {
    pub stored: &'a Inventory,
    pub observed: &'a Observed,
    pub round: &'a Round,
    pub owner: &'a Owner,
    pub term: u64,
}

/// The decision.
pub(super) enum Fate {
    /// It is gone, or was never ours: the entry can go.
    Gone,
    /// It stays for good, with this entry.
    Kept(Entry),
    /// Something has to happen first.
    Wait,
    /// A step, and the entry that has to be stored before, if it differs.
    Do(Box<Step>, Option<Entry>),
}

impl Retiring<'_> {
    pub fn fate(&self, id: &ObjectId, entry: &Entry, findings: &mut Findings) -> Fate {
        if self.observed.unmapped.contains(id) {
            findings.unmapped.push(id.clone());
            return Fate::Gone;
        }
        let Some(live) = self.observed.objects.get(id) else {
            return Fate::Gone;
        };
        if entry.state == State::Kept {
            return Fate::Kept(entry.clone());
        }
        if outranks(live, self.term) {
            findings.outranked.push(id.clone());
            return Fate::Wait;
        }
        let shared = matches!(entry.state, State::Shared | State::Conflict) || id.is_always_shared();
        let known = entry.state == State::Applied && entry.uid.as_deref() == Some(uid(live));
        if shared {
            if !self.owner.manages(live) {
                return Fate::Gone;
            }
        } else if !known && !self.owner.owns(live) {
            // Somebody made another object of that name.
            if entry.owns_pods {
                findings.foreign.push(id.clone());
            }
            return Fate::Gone;
        }
        match self.round.get(id) {
            Some(Outcome::Failed { message }) => {
                findings.failed.insert(id.clone(), message.clone());
                return Fate::Wait;
            }
            Some(Outcome::Deleted { uid: deleted }) if deleted == uid(live) => {
                findings.waiting.push(id.clone());
                return Fate::Wait;
            }
            _ if is_terminating(live) => {
                findings.waiting.push(id.clone());
                return Fate::Wait;
            }
            _ => {}
        }
        let (id, resource, key) = (id.clone(), entry.resource.clone(), entry.key());
        if shared {
            let body = empty_intent(entry, uid(live));
            return Fate::Do(
                Box::new(Step::Release {
                    id,
                    resource,
                    key,
                    body,
                }),
                None,
            );
        }
        let ours = Entry {
            state: State::Applied,
            uid: Some(uid(live).to_owned()),
            ..entry.clone()
        };
        if id.is_namespace() || id.is_definition() {
            match self.observed.contents.get(&id) {
                None => return Fate::Do(Box::new(Step::Inspect { id }), Some(ours)),
                Some(contents) => {
                    if let Some(other) = foreign(contents, self.stored) {
                        findings.kept.insert(id, other.to_string());
                        return Fate::Kept(Entry {
                            state: State::Kept,
                            ..ours
                        });
                    }
                }
            }
        }
        let propagation = if entry.owns_pods {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        let uid = uid(live).to_owned();
        Fate::Do(
            Box::new(Step::Delete {
                id,
                resource,
                key,
                uid,
                propagation,
                at_once: false,
            }),
            Some(ours),
        )
    }
}
