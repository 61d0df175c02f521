//! Objects that move from one Work to another of the same placement (docs/decisions/0009).
//!
//! A placement has several Works on a member when its resources do not fit into one snapshot, or hold envelopes. A change
//! can move an object between them. Then it is handed over: the Work that lists it now takes it from the AppliedWork of the
//! other one, and the other one keeps it until that has happened. Every decision about this is here; it is made from
//! what the Works say now, so it is the same in whichever order they arrive, and after a crash.

use std::collections::BTreeSet;
use std::time::Duration;

use super::identity::Identity;
use super::owners::WorkClaim;
use super::work::Work;

/// Longest wait for Works that the hub is known to write. An object that nobody lists is removed after that. The hub writes
/// all Works of a binding in one pass; when some are missing it was interrupted, and continues after a restart or a change of
/// its leader, which takes a minute or two. Keeping an object that long is harmless, removing one that is still wanted is
/// an outage.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Wait for Works that the hub may write, where it does not say how many there are (hub agents of other releases, which
/// write all of them at the same time).
pub const UNKNOWN_WAIT: Duration = Duration::from_secs(2);

/// How long a Work waits, before it applies anything, for another one to give up an object that both list.
pub const EARLY_WAIT: Duration = Duration::from_secs(2);

/// Whether all Works of a binding have been seen in the state that the hub wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// They have.
    Complete,
    /// Some are still to come.
    Expected,
    /// There may be more, because the hub does not say how many there are.
    Unknown,
}

/// What becomes of an object that a Work no longer lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody wants it: the Work lets it go.
    Release,
    /// Another Work lists it, or may soon: the Work keeps it for that one to take.
    Keep,
}

/// A Work among the others of its placement on this member.
#[derive(Debug)]
pub struct Siblings<'a> {
    work: &'a Work,
    others: Vec<&'a Work>,
}

impl<'a> Siblings<'a> {
    /// Picks the others out of any Works.
    pub fn of(work: &'a Work, all: impl IntoIterator<Item = &'a Work>) -> Self {
        let placement = work.group.as_ref().map(|group| &group.placement);
        let others = all.into_iter().filter(|other| {
            let theirs = other.group.as_ref().map(|group| &group.placement);
            theirs.is_some() && theirs == placement && other.name != work.name
        });
        Self {
            work,
            others: others.collect(),
        }
    }

    /// Whether another Work that stays lists the object.
    pub fn list(&self, object: &Identity) -> bool {
        self.taker(object).is_some()
    }

    /// A Work that stays and lists the object.
    pub fn taker(&self, object: &Identity) -> Option<&str> {
        let taker = self.live().find(|other| other.objects.contains(object));
        taker.map(|taker| taker.name.as_str())
    }

    /// Whether all Works of the binding have been seen. One that is being deleted is not waited for, nor is one of an older
    /// revision that the hub has not deleted yet. While nothing but deletions is under way, Works that are being deleted
    /// count as seen for each other: new ones of the same names can come only after them.
    pub fn arrival(&self) -> Arrival {
        let binding = self.work.group.as_ref().map(|group| &group.binding);
        let all: Vec<_> = [self.work]
            .into_iter()
            .chain(self.others.iter().copied())
            .filter_map(|work| Some((work.group.as_ref()?, work.is_deleting)))
            .filter(|(group, _)| Some(&group.binding) == binding)
            .collect();
        let (deleting, live): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, is_deleting)| *is_deleting);
        // What a Work lists now is content of its own revision, so the others of that revision matter.
        let revisions: BTreeSet<_> = match self.work.is_deleting {
            false => self.work.group.iter().map(|group| &group.revision).collect(),
            true => live.iter().map(|(group, _)| &group.revision).collect(),
        };
        let is_uniform = live
            .iter()
            .map(|(group, _)| &group.revision)
            .collect::<BTreeSet<_>>()
            .len()
            < 2;
        let is_complete = |revision: &&[String; 3]| {
            let seen = live.iter().filter(|(group, _)| group.revision == **revision);
            let number = seen.clone().filter_map(|(group, _)| group.works).max();
            let gone = deleting
                .iter()
                .filter(|(group, _)| group.revision == **revision || self.work.is_deleting && is_uniform);
            number.is_some_and(|number| seen.count() + gone.count() >= number)
        };
        if revisions.is_empty() || revisions.iter().any(is_complete) {
            Arrival::Complete
        } else if is_uniform && live.iter().all(|(group, _)| group.works.is_none()) {
            Arrival::Unknown
        } else {
            Arrival::Expected
        }
    }

    /// What becomes of an object that the Work no longer lists, after it has waited for so long.
    pub fn fate(&self, object: &Identity, waited: Duration) -> Fate {
        let longest = match self.arrival() {
            Arrival::Complete => Duration::ZERO,
            Arrival::Expected => LONGEST_WAIT,
            Arrival::Unknown => UNKNOWN_WAIT,
        };
        if self.list(object) || waited < longest {
            Fate::Keep
        } else {
            Fate::Release
        }
    }

    /// Whether the Work should wait before it applies anything: it lists an object that another Work lists as well,
    /// and that one is about to be changed by the hub.
    pub fn is_early(&self, waited: Duration) -> bool {
        let revision = self.work.group.as_ref().map(|group| &group.revision);
        let is_old = |other: &&Work| other.group.as_ref().map(|group| &group.revision) != revision;
        waited < EARLY_WAIT
            && self
                .live()
                .filter(is_old)
                .any(|other| other.objects.overlaps(&self.work.objects))
    }

    /// What another Work says about an object that its AppliedWork owns. `None` for a Work of another placement, or none.
    pub fn claim(&self, name: &str, object: &Identity) -> Option<WorkClaim> {
        let other = self.others.iter().find(|other| other.name == name)?;
        let keeps = !other.is_deleting && other.objects.contains(object);
        Some(if keeps { WorkClaim::Keeps } else { WorkClaim::Yields })
    }

    /// Whether there is another Work that stays.
    pub fn any_stays(&self) -> bool {
        self.live().next().is_some()
    }

    fn live(&self) -> impl Iterator<Item = &Work> {
        self.others.iter().copied().filter(|other| !other.is_deleting)
    }
}

#[cfg(test)]
mod tests;
