//! Between passes: reports what the watches over placed objects say, without asking the member again.

use std::collections::BTreeMap;

use fairway_core::apply::{self, Finding, ResultType, Subject, Work};
use kit::queue::Action;
use kit::{Error, ObjectKey};

use super::pass::{digest, is_fine};
use super::placed::ObjectChange;
use super::{Applier, Item};
use crate::member::ObjectRef;

impl Applier {
    /// Whether a periodic pass would find everything as it was: the Work is fine, and the watches show each of its objects
    /// as the last pass left it. Differences have observation times, and statuses that are reported back may be anything,
    /// so such Works are looked at in any case.
    pub(super) fn is_unchanged(&self, work: &Work) -> bool {
        let Some(settled) = self.work_states.last_pass(&work.name) else {
            return false;
        };
        let Subject { generation, mirror, .. } = settled.subject;
        if mirror || !settled.kept.is_empty() || generation != work.generation || !is_fine(&work.status, generation) {
            return false;
        }
        settled.entries.iter().all(|entry| {
            let outcome = &entry.outcome;
            let is_same = outcome.drifts.is_empty() && outcome.diffs.is_empty() && outcome.look_again.is_none();
            let object_ref = ObjectRef::of(&entry.identifier);
            is_same && object_ref.is_some_and(|object_ref| self.placed.shows_unchanged(entry, &object_ref, mirror))
        })
    }

    /// Takes in what has changed since the last turn. Requests a pass when that is not enough.
    pub(super) async fn refresh(&self, key: &ObjectKey, item: &Item) -> Result<Action, Error> {
        let work = &item.work;
        let Some(mut settled) = self.work_states.last_pass(&work.name) else {
            return self.pass(key, item).await;
        };
        if settled.subject.generation != work.generation {
            return self.pass(key, item).await;
        }
        let mut changes = BTreeMap::new();
        for (ordinal, entry) in settled.entries.iter_mut().enumerate() {
            if let Some(object_ref) = self.object_ref_of(&entry.identifier).await? {
                changes.insert(
                    ordinal,
                    self.placed.refresh_entry(entry, &object_ref, settled.subject.mirror),
                );
            }
        }
        if changes
            .values()
            .any(|object_change| *object_change == ObjectChange::Moved)
        {
            let waits_for_definition = settled
                .entries
                .iter()
                .any(|entry| entry.outcome.result == ResultType::DecodingErred);
            let report = apply::report(&settled.subject, &work.status, &settled.entries, &self.now());
            if report.must_write {
                self.write_status(key, work, &report.status).await?;
            }
            let fine = is_fine(&report.status, work.generation);
            let finding = Finding {
                generation: work.generation,
                results: digest(&settled.entries),
                fine,
            };
            if fine && let Some(current) = self.works.get(key) {
                *current.manifests.lock() = None;
            }
            self.work_states
                .record_refresh(&work.name, settled, &self.settings.requeue, &finding);
            if waits_for_definition {
                // A definition may just have become available.
                self.work_states.need(&work.name, super::work_state::Need::Pass);
                return Ok(Action::After(std::time::Duration::from_millis(1)));
            }
        }
        for object_change in [ObjectChange::Marked, ObjectChange::Drifted] {
            if changes.values().any(|found| *found == object_change) {
                self.enqueue_changed(&work.name, object_change);
            }
        }
        Ok(Action::After(self.work_states.until_due(&work.name)))
    }
}
