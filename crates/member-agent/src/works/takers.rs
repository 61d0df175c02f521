//! A deletion waits until other Works of the placement have taken over the objects that they list now.

use std::collections::BTreeSet;

use api::placement::v1beta1::WorkResourceIdentifier;
use fairway_core::apply::deletion::{self, Handover};
use fairway_core::apply::{self, AppliedWork, Fate, Identity, Owner, Work};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use kit::{Error, ObjectKey};

use super::handover::PlacementWorks;
use super::{Applier, MANIFESTS_AT_ONCE};

impl Applier {
    /// Whether other Works of the placement have yet to take objects that they list now. Deleting the AppliedWork before
    /// would make the garbage collector delete them. The status names them, and where the others do not get to it in time
    /// the objects are left without an owner, so that they stay.
    pub(super) async fn waits_for_takers(
        &self,
        key: &ObjectKey,
        work: &Work,
        owner: &AppliedWork,
    ) -> Result<bool, Error> {
        let placement_works = self.placement_works(work);
        let mut waits = false;
        if placement_works.siblings(work).any_stays() {
            let reference = Owner {
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            };
            let kept = kept(work, owner, &placement_works);
            let step = deletion::handover(work, self.clock.now(), self.settings.deletion_wait);
            if step != Handover::Wait && !kept.is_empty() {
                self.follow_recorded(work, owner).await?;
            }
            waits = match step {
                Handover::Wait => self.owns_any(&kept, &reference).await?,
                Handover::Report => !self.report_untaken(key, work, &kept, &reference).await?.is_empty(),
                Handover::Release => {
                    let untaken = self.report_untaken(key, work, &kept, &reference).await?;
                    self.release(work, &untaken, &reference).await?
                }
            };
        }
        let has_changed = self.handovers.wait(work, waits, placement_works.changes);
        if has_changed {
            self.queue.add(work.name.clone());
        }
        Ok(waits)
    }

    async fn owns_any(&self, kept: &[Kept<'_>], owner: &Owner) -> Result<bool, Error> {
        for kept in kept {
            if self.is_owned(kept.identifier, owner).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says in the Work's status which objects are still to be taken, and by whom. Answers them.
    async fn report_untaken<'a>(
        &self,
        key: &ObjectKey,
        work: &Work,
        kept: &'a [Kept<'a>],
        owner: &Owner,
    ) -> Result<Vec<&'a Kept<'a>>, Error> {
        let reads: Vec<_> = kept
            .iter()
            .map(|kept| async move { Ok(self.is_owned(kept.identifier, owner).await?.then_some(kept)) }.boxed())
            .collect();
        let untaken: Vec<Result<_, Error>> = stream::iter(reads).buffered(MANIFESTS_AT_ONCE).collect().await;
        let untaken: Vec<_> = untaken
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        let parts: Vec<_> = untaken.iter().map(|kept| kept.part()).collect();
        self.report_blocked(key, work, apply::waits_for_takers(work, &parts, &self.now()))
            .await?;
        Ok(untaken)
    }

    /// Lets go of objects that other Works list. Answers whether some are left: those that nobody lists yet are kept for the
    /// Works that the hub has yet to write, which has a limit of its own.
    async fn release(&self, work: &Work, untaken: &[&Kept<'_>], owner: &Owner) -> Result<bool, Error> {
        let mut is_waiting = false;
        for kept in untaken {
            if kept.taker.is_none() {
                is_waiting = true;
                continue;
            }
            let Some(object_ref) = self.object_ref_of(kept.identifier).await? else {
                continue;
            };
            self.change_one(&object_ref, owner, deletion::released).await?;
            tracing::warn!(
                work = work.name,
                object = kept.part(),
                "An object was not taken over in time; it was left without an owner, so that it stays."
            );
        }
        Ok(is_waiting)
    }

    async fn is_owned(&self, identifier: &WorkResourceIdentifier, owner: &Owner) -> Result<bool, Error> {
        let Some(object_ref) = self.object_ref_of(identifier).await? else {
            return Ok(false);
        };
        match self.member.read(&object_ref).await {
            Ok(live) => Ok(owner.owns(&live)),
            Err(err) if err.is_not_found() => Ok(false),
            Err(err) => Err(err),
        }
    }
}

/// An object that a deletion keeps for another Work.
struct Kept<'a> {
    identifier: &'a WorkResourceIdentifier,
    /// The Work that lists it, unless that is yet to come.
    taker: Option<String>,
}

impl Kept<'_> {
    fn part(&self) -> String {
        apply::untaken(self.identifier, self.taker.as_deref())
    }
}

fn kept<'a>(work: &'a Work, owner: &'a AppliedWork, placement_works: &PlacementWorks) -> Vec<Kept<'a>> {
    let siblings = placement_works.siblings(work);
    let recorded = apply::recorded(work, owner);
    let mut seen = BTreeSet::new();
    let kept = recorded.filter_map(|identifier| {
        let object = Identity::of(identifier).filter(|object| seen.insert(object.clone()))?;
        (siblings.fate(&object, placement_works.waited) == Fate::Keep).then(|| Kept {
            identifier,
            taker: siblings.taker(&object).map(str::to_owned),
        })
    });
    kept.collect()
}
