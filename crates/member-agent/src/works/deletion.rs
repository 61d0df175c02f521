//! A Work that is being deleted: what it placed goes first (member-behaviour 4.13).

use std::collections::BTreeSet;
use std::time::Duration;

use api::placement::v1beta1::{WorkResourceIdentifier, WorkStatus};
use fairway_core::apply::deletion::{self, Step};
use fairway_core::apply::{self, AppliedWork, Identity, Owner, Work};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use kit::queue::Action;
use kit::{Error, ObjectKey};
use serde_json::Value;

use super::{Applier, MANIFESTS_AT_ONCE};
use crate::member::ObjectRef;

/// When a deletion is first looked at again: most are over by then.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How soon a deletion is looked at after that; the end of the AppliedWork queues it earlier.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How far such looks are apart at most.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

impl Applier {
    pub(super) async fn clean_up(&self, key: &ObjectKey, work: &Work) -> Result<Action, Error> {
        let applied_work = self.applied_works.get(&ObjectKey::cluster(&work.name));
        let longest = self.settings.deletion_wait;
        match (
            deletion::next(work, applied_work.as_deref(), self.clock.now(), longest),
            applied_work,
        ) {
            (Step::Done, _) => {}
            (Step::RemoveFinalizer, _) | (_, None) => self.remove_finalizer(key, Some(&work.uid)).await?,
            (Step::DeleteOwner, Some(owner)) if self.waits_for_takers(key, work, &owner).await? => {
                return Ok(Action::After(self.next_look(work.deleted)));
            }
            (Step::DeleteOwner, Some(owner)) => return self.delete_owner(key, work, &owner, "Foreground").await,
            (Step::Abandon, Some(owner)) => {
                self.change_each(work, &owner, deletion::abandoned).await?;
                return self.delete_owner(key, work, &owner, "Orphan").await;
            }
            (Step::Wait, Some(owner)) => {
                self.report_holders(key, work, &owner).await?;
                return Ok(Action::After(self.next_look(owner.deleted)));
            }
            (Step::Unblock, Some(owner)) => {
                self.change_each(work, &owner, deletion::unblocked).await?;
                self.report_holders(key, work, &owner).await?;
                return Ok(Action::After(self.next_look(owner.deleted)));
            }
        }
        self.work_states.forget(&work.name);
        self.placed.forget(&work.name);
        Ok(Action::Done)
    }

    /// Has events of the recorded objects bring the next look forward, where this process has made no pass over the Work.
    pub(super) async fn follow_recorded(&self, work: &Work, owner: &AppliedWork) -> Result<(), Error> {
        if self.placed.is_registered(&work.name) {
            return Ok(());
        }
        let mut object_refs = BTreeSet::new();
        for identifier in apply::recorded(work, owner) {
            object_refs.extend(self.object_ref_of(identifier).await?);
        }
        self.work_states.follow_deletion(&work.name);
        self.placed.register(&work.name, object_refs, false);
        Ok(())
    }

    /// Says in the Work's status which objects hold its deletion up, once and when that changes.
    async fn report_holders(&self, key: &ObjectKey, work: &Work, owner: &AppliedWork) -> Result<(), Error> {
        self.follow_recorded(work, owner).await?;
        let mut seen = BTreeSet::new();
        let objects = apply::recorded(work, owner).filter(|identifier| seen.insert(Identity::of(identifier)));
        let reads: Vec<_> = objects.map(|identifier| self.holder(identifier).boxed()).collect();
        let holders: Vec<Result<_, Error>> = stream::iter(reads).buffered(MANIFESTS_AT_ONCE).collect().await;
        let holders: Vec<_> = holders
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        self.report_blocked(key, work, apply::blocked(work, &holders, &self.now()))
            .await
    }

    /// Writes what holds up a deletion, if it is new.
    pub(super) async fn report_blocked(
        &self,
        key: &ObjectKey,
        work: &Work,
        status: Option<WorkStatus>,
    ) -> Result<(), Error> {
        let Some(status) = status else { return Ok(()) };
        match self.write_status(key, work, &status).await {
            Err(err) if err.is_not_found() => Ok(()),
            written => written,
        }
    }

    async fn holder(&self, identifier: &WorkResourceIdentifier) -> Result<Option<String>, Error> {
        let Some(object_ref) = self.object_ref_of(identifier).await? else {
            return Ok(None);
        };
        match self.member.read(&object_ref).await {
            Ok(live) => Ok(apply::holder(identifier, &live)),
            Err(err) if err.is_not_found() => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// When to check again what was deleted then; the longer it takes the later.
    fn next_look(&self, since: Option<Timestamp>) -> Duration {
        deletion::waited(since, self.clock.now()).clamp(LOOK_AGAIN, LONGEST_LOOK)
    }

    async fn delete_owner(
        &self,
        key: &ObjectKey,
        work: &Work,
        owner: &AppliedWork,
        how: &str,
    ) -> Result<Action, Error> {
        self.delete_applied_work(owner, how).await?;
        if self.applied_works.get(&ObjectKey::cluster(&work.name)).is_some() {
            return Ok(Action::After(FIRST_LOOK));
        }
        self.remove_finalizer(key, Some(&work.uid)).await?;
        self.work_states.forget(&work.name);
        self.placed.forget(&work.name);
        Ok(Action::Done)
    }

    /// Replaces each placed object that `change` has something to say about. One failure does not keep the others from it.
    async fn change_each(
        &self,
        work: &Work,
        owner: &AppliedWork,
        change: fn(&Value, &Owner) -> Option<Value>,
    ) -> Result<(), Error> {
        let reference = Owner {
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        };
        let mut result = Ok(());
        let mut done = BTreeSet::new();
        for identifier in apply::recorded(work, owner) {
            if !done.insert(Identity::of(identifier)) {
                continue;
            }
            let ended = match self.object_ref_of(identifier).await {
                Ok(None) => continue,
                Ok(Some(object_ref)) => self.change_one(&object_ref, &reference, change).await,
                Err(err) => Err(err),
            };
            if let Err(err) = ended {
                tracing::warn!(work = work.name, error = %err, "A placed object could not be released; trying again.");
                result = Err(err);
            }
        }
        result
    }

    pub(super) async fn change_one(
        &self,
        object_ref: &ObjectRef,
        owner: &Owner,
        change: fn(&Value, &Owner) -> Option<Value>,
    ) -> Result<(), Error> {
        let live = match self.member.read(object_ref).await {
            Ok(live) => live,
            Err(err) if err.is_not_found() => return Ok(()),
            Err(err) => return Err(err),
        };
        match change(&live, owner) {
            Some(object) => match self.member.replace(object_ref, &object).await {
                Err(err) if err.is_not_found() => Ok(()),
                changed => changed.map(|_| ()),
            },
            None => Ok(()),
        }
    }
}
