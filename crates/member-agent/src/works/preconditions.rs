//! What must be true before anything is applied: finalizer, AppliedWork, all manifests on record, no left-overs.
//!
//! What does not depend on each other is requested side by side. Nothing is applied until all of it has succeeded.

use std::time::Duration;

use api::kinds;
use api::placement::v1beta1::{AppliedResourceMeta, WorkResourceIdentifier, WorkStatus};
use api::text::finalizers;
use fairway_core::apply::{self, Announcement, AppliedWork, Fate, Identity, Owner, Record, Release, Work};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use kit::writer::{Deletion, Patch};
use kit::{Error, ObjectKey};
use serde_json::{Value, json};

use super::handover::PlacementWorks;
use super::{Applier, MANIFESTS_AT_ONCE};
use crate::member::{NotServed, ObjectRef};

/// Whether a pass may apply anything.
pub(super) enum Preconditions {
    /// It may.
    Met {
        /// Owner of what is placed.
        applied_work: AppliedWork,
        /// The status as it is now.
        status: WorkStatus,
        /// Objects that the Work no longer lists and keeps until another Work of its placement has taken them.
        kept: Vec<WorkResourceIdentifier>,
    },
    /// Not yet. An event queues the Work again; otherwise it is looked at after this time.
    Wait(Duration),
}

/// How soon a Work is looked at again whose former AppliedWork is still being deleted, should its end be missed.
const FORMER_APPLIED_WORK: Duration = Duration::from_secs(5);

/// How often a left-over is read again when somebody else writes it before it can be deleted.
const RELEASE_TRIES: usize = 4;

impl Applier {
    /// Does what must come before the records are applied.
    pub(super) async fn prepare(
        &self,
        key: &ObjectKey,
        work: &Work,
        records: &[Record],
        placement_works: &PlacementWorks,
    ) -> Result<Preconditions, Error> {
        let known = self.applied_works.get(&ObjectKey::cluster(&work.name));
        if known.as_ref().is_some_and(|known| known.deleted.is_some()) {
            return Ok(Preconditions::Wait(FORMER_APPLIED_WORK));
        }
        if placement_works.siblings(work).is_early(placement_works.waited) {
            let has_changed = self.handovers.wait(work, true, placement_works.changes);
            let wait = apply::EARLY_WAIT.saturating_sub(placement_works.waited);
            return Ok(Preconditions::Wait(if has_changed { Duration::ZERO } else { wait }));
        }
        let nothing = AppliedWork::default();
        let before = known.as_deref().unwrap_or(&nothing);
        let left_overs = apply::left_overs(work, before, records);
        // Left-overs go before the list that names them is replaced.
        let kept = self
            .remove_left_overs((work, placement_works), before, &left_overs)
            .await?;
        let (mut held, mut announcement) = (None, None);
        match apply::announcement(work, before, records, &kept, &self.now()) {
            Announcement::Known => {}
            Announcement::Held(list) => held = Some(list),
            Announcement::Statuses { conditions, applied } => {
                if let Some(applied) = applied {
                    self.write_applied_list(before, &applied).await?;
                }
                announcement = conditions.map(|list| {
                    let mut status = work.status.clone();
                    status.manifest_conditions = list;
                    status
                });
            }
        }
        let finalizer = async {
            match work.has_finalizer() {
                true => Ok(()),
                false => self.add_finalizer(key, work).await,
            }
        };
        let announce = async {
            match &announcement {
                Some(status) => self.write_status(key, work, status).await,
                None => Ok(()),
            }
        };
        let owner = async {
            match (&known, &held) {
                (None, held) => self.create_applied_work(work, held.as_deref()).await,
                (Some(known), None) => Ok((**known).clone()),
                (Some(known), Some(held)) => self.hold(known, held).await,
            }
        };
        let (finalizer, announced, owner) = tokio::join!(finalizer, announce, owner);
        if let Err(err) = finalizer {
            if err.is_not_found()
                && known.is_none()
                && let Ok(owner) = &owner
            {
                // The Work vanished before it had our finalizer: nobody would ever remove what was made for it.
                self.delete_applied_work(owner, "Background").await?;
            }
            return Err(err);
        }
        announced?;
        Ok(Preconditions::Met {
            applied_work: owner?,
            status: announcement.unwrap_or_else(|| work.status.clone()),
            kept,
        })
    }

    async fn add_finalizer(&self, key: &ObjectKey, work: &Work) -> Result<(), Error> {
        let mut patch = vec![json!({"op": "test", "path": "/metadata/uid", "value": work.uid})];
        if work.finalizers.is_empty() {
            // Only if nobody else has begun a list meanwhile.
            patch.push(json!({"op": "test", "path": "/metadata/finalizers", "value": null}));
            patch.push(json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizers::WORK]}));
        } else {
            patch.push(json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizers::WORK}));
        }
        let answer = self
            .hub
            .patch(&kinds::WORK, key, None, Patch::Json, &Value::Array(patch))
            .await?;
        self.fold(answer);
        Ok(())
    }

    /// Removes our finalizer from a Work: from this incarnation only where `uid` is given, because a Work of the same name
    /// that was created since needs its own. That the Work is gone is success.
    pub(super) async fn remove_finalizer(&self, key: &ObjectKey, uid: Option<&str>) -> Result<(), Error> {
        const TRIES: usize = 4;
        let mut last = Ok(());
        for _ in 0..TRIES {
            let object = match self.hub.get(&kinds::WORK, key).await {
                Ok(object) => object,
                Err(err) if err.is_not_found() => return Ok(()),
                Err(err) => return Err(err),
            };
            if uid.is_some_and(|uid| object.pointer("/metadata/uid").is_none_or(|found| found != uid)) {
                return Ok(());
            }
            let all = object
                .pointer("/metadata/finalizers")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let kept: Vec<Value> = all.iter().filter(|name| *name != finalizers::WORK).cloned().collect();
            if kept.len() == all.len() {
                return Ok(());
            }
            let version = object.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
            let body = json!({"metadata": {"resourceVersion": version, "finalizers": kept}});
            match self.hub.patch(&kinds::WORK, key, None, Patch::Merge, &body).await {
                Ok(answer) => {
                    self.fold(answer);
                    return Ok(());
                }
                Err(err) if err.is_not_found() => return Ok(()),
                Err(err) if err.is_conflict() => last = Err(err),
                Err(err) => return Err(err),
            }
        }
        last
    }

    /// Writes the whole status of this incarnation of a Work. Nobody else writes it.
    pub(super) async fn write_status(&self, key: &ObjectKey, work: &Work, status: &WorkStatus) -> Result<(), Error> {
        let body = json!({"metadata": {"uid": work.uid}, "status": status});
        let answer = self
            .hub
            .patch(&kinds::WORK, key, Some("status"), Patch::Merge, &body)
            .await?;
        self.fold(answer);
        Ok(())
    }

    /// Creates the AppliedWork, with what it is about to own.
    async fn create_applied_work(
        &self,
        work: &Work,
        held: Option<&[AppliedResourceMeta]>,
    ) -> Result<AppliedWork, Error> {
        let mut object = json!({
            "apiVersion": kinds::APPLIED_WORK.api_version(),
            "kind": kinds::APPLIED_WORK.kind,
            "metadata": {"name": work.name},
            "spec": {"workName": work.name, "workNamespace": work.namespace},
        });
        if let Some(held) = held {
            object["metadata"]["annotations"] = json!({(apply::HELD_ANNOTATION): json!(held).to_string()});
        }
        let writer = self.member.writer();
        match writer.create(&kinds::APPLIED_WORK, None, &object).await {
            Err(err) if err.is_already_exists() => {
                // The index has not seen it yet. What it holds must be looked through before it is replaced.
                let found = writer
                    .get(&kinds::APPLIED_WORK, &ObjectKey::cluster(&work.name))
                    .await?;
                self.fold_applied_work(found)?;
                Err(err)
            }
            created => self.fold_applied_work(created?),
        }
    }

    /// Replaces the record of what an AppliedWork holds.
    pub(super) async fn hold(&self, known: &AppliedWork, held: &[AppliedResourceMeta]) -> Result<AppliedWork, Error> {
        let text = match held {
            [] => Value::Null,
            held => json!(json!(held).to_string()),
        };
        let body = json!({"metadata": {"uid": known.uid, "annotations": {(apply::HELD_ANNOTATION): text}}});
        let key = ObjectKey::cluster(&known.name);
        let answer = self
            .member
            .writer()
            .patch(&kinds::APPLIED_WORK, &key, None, Patch::Merge, &body)
            .await?;
        self.fold_applied_work(answer)
    }

    /// Takes in an AppliedWork as the server answered it.
    pub(super) fn fold_applied_work(&self, object: Value) -> Result<AppliedWork, Error> {
        let read = AppliedWork::decode(&object).map_err(|err| Error::Answer {
            what: format!("write AppliedWork {}", err.name),
            cause: err.to_string(),
        })?;
        // What cannot be read has been refused above.
        let _ = self.applied_works.fold(object);
        Ok(read)
    }

    pub(super) async fn delete_applied_work(&self, owner: &AppliedWork, propagation: &str) -> Result<(), Error> {
        let key = ObjectKey::cluster(&owner.name);
        let how = Deletion {
            uid: Some(&owner.uid),
            propagation: Some(propagation),
            ..Deletion::default()
        };
        match self.member.writer().delete(&kinds::APPLIED_WORK, &key, how).await? {
            kit::writer::Answer::Object(object) => {
                self.fold_applied_work(object)?;
            }
            kit::writer::Answer::Gone(_) => self.applied_works.fold_deleted(&key, Some(&owner.uid)),
        }
        Ok(())
    }

    /// Releases or deletes objects of manifests that are gone. The first failure is reported after all were tried.
    /// Answers which of them are kept for another Work.
    async fn remove_left_overs(
        &self,
        (work, placement_works): (&Work, &PlacementWorks),
        owner: &AppliedWork,
        left_overs: &[WorkResourceIdentifier],
    ) -> Result<Vec<WorkResourceIdentifier>, Error> {
        let owner = Owner {
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        };
        let siblings = placement_works.siblings(work);
        let fate = |left_over: &WorkResourceIdentifier| {
            Identity::of(left_over).map_or(Fate::Release, |object| siblings.fate(&object, placement_works.waited))
        };
        let removals: Vec<_> = left_overs
            .iter()
            .map(|left_over| {
                let (owner, fate) = (&owner, fate(left_over));
                async move {
                    Ok(self
                        .remove_left_over(owner, left_over, fate)
                        .await?
                        .then(|| left_over.clone()))
                }
                .boxed()
            })
            .collect();
        let ended: Vec<Result<_, Error>> = stream::iter(removals).buffered(MANIFESTS_AT_ONCE).collect().await;
        let kept = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(kept.into_iter().flatten().collect())
    }

    /// Lets one left-over go. Answers whether it is kept instead.
    async fn remove_left_over(
        &self,
        owner: &Owner,
        left_over: &WorkResourceIdentifier,
        fate: Fate,
    ) -> Result<bool, Error> {
        let Some(object_ref) = self.object_ref_of(left_over).await? else {
            return Ok(false);
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let live = match self.member.read(&object_ref).await {
                Ok(live) => live,
                Err(err) if err.is_not_found() => return Ok(false),
                Err(err) => return Err(err),
            };
            let ended = match apply::release(&live, owner) {
                Release::Leave => Ok(()),
                Release::Disown(_) | Release::Delete { .. } if fate == Fate::Keep => return Ok(true),
                Release::Disown(object) => self.member.replace(&object_ref, &object).await.map(|_| ()),
                Release::Delete { uid, resource_version } => {
                    self.member.delete(&object_ref, &uid, &resource_version).await
                }
            };
            match ended {
                Err(err) if err.is_not_found() => return Ok(false),
                // Somebody has written it since: perhaps another Work has taken it.
                Err(err) if err.is_conflict() && tries < RELEASE_TRIES => {}
                ended => return ended.map(|()| false),
            }
        }
    }

    /// Where the object of a status entry is. `None` when the member does not serve its kind (any more), so there is none.
    pub(super) async fn object_ref_of(&self, identifier: &WorkResourceIdentifier) -> Result<Option<ObjectRef>, Error> {
        let Some(identity) = Identity::of(identifier).filter(|identity| !identity.name.is_empty()) else {
            return Ok(None);
        };
        if let Some(object_ref) = ObjectRef::of(identifier) {
            return Ok(Some(object_ref));
        }
        match self.mapper.find(&identity).await {
            Ok(resource) => Ok(Some(ObjectRef::new(&resource, &identity))),
            Err(NotServed::NoMatch { .. }) => Ok(None),
            Err(NotServed::Failed(cause)) => Err(Error::Transport {
                what: format!("find the resource of {}", identity.kind),
                cause,
            }),
        }
    }
}
