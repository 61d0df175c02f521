//! Between passes: reports what the watches over placed objects say, without asking the member again.

use std::collections::BTreeMap;

use fairway_core::apply::{self, Finding, ResultType, Subject, Work};
use kit::queue::Action;
use kit::{Error, ObjectKey};

use super::pass::{digest, is_fine};
use super::placed::ObjectChange;
use super::{Applier, Item};
use crate::member::Place;

impl Applier {
    /// Whether a periodic pass would find everything as it was: the Work is fine, and the watches show each of its objects
    /// as the last pass left it. Differences have observation times, and statuses that are reported back may be anything,
    /// so such Works are looked at in any case.
    pub(super) fn is_calm(&self, work: &Work) -> bool {
        let Some(settled) = self.memories.settled(&work.name) else {
            return false;
        };
        let Subject { generation, mirror, .. } = settled.subject;
        if mirror || !settled.kept.is_empty() || generation != work.generation || !is_fine(&work.status, generation) {
            return false;
        }
        settled.entries.iter().all(|entry| {
            let outcome = &entry.outcome;
            let is_same = outcome.drifts.is_empty() && outcome.diffs.is_empty() && outcome.look_again.is_none();
            let place = Place::of(&entry.identifier);
            is_same && place.is_some_and(|place| self.placed.vouches_for(entry, &place, mirror))
        })
    }

    /// Takes in what has moved since the last turn. Asks for a pass when that is not enough.
    pub(super) async fn refresh(&self, key: &ObjectKey, item: &Item) -> Result<Action, Error> {
        let work = &item.work;
        let Some(mut settled) = self.memories.settled(&work.name) else {
            return self.pass(key, item).await;
        };
        if settled.subject.generation != work.generation {
            return self.pass(key, item).await;
        }
        let mut verdicts = BTreeMap::new();
        for (ordinal, entry) in settled.entries.iter_mut().enumerate() {
            if let Some(place) = self.place_of(&entry.identifier).await? {
                verdicts.insert(ordinal, self.placed.look(entry, &place, settled.subject.mirror));
            }
        }
        if verdicts.values().any(|verdict| *verdict == ObjectChange::Moved) {
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
            self.memories
                .refreshed(&work.name, settled, &self.settings.requeue, &finding);
            if waits_for_definition {
                // A definition may just have become available.
                self.memories.need(&work.name, super::memory::Need::Pass);
                return Ok(Action::After(std::time::Duration::from_millis(1)));
            }
        }
        for verdict in [ObjectChange::Marked, ObjectChange::Drifted] {
            if verdicts.values().any(|found| *found == verdict) {
                self.wake(&work.name, verdict);
            }
        }
        Ok(Action::After(self.memories.until_due(&work.name)))
    }
}
