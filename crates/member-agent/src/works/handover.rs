//! Which Works of this member belong to the same placement, and which of them wait for each other
//! (docs/decisions/0009).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use fairway_core::apply::{Identity, Siblings, Work, WorkClaim, WorkGroup};
use kit::index::Change;
use kit::{Error, ObjectKey};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::work_state::Need;
use super::{Applier, Item};

/// How soon a Work that waits gets a pass, should the event that it waits for be missed.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The Works of all placements that have any on this member.
#[derive(Default)]
pub(super) struct Handovers {
    placements: Mutex<BTreeMap<(String, String), Group>>,
}

#[derive(Default)]
struct Group {
    works: BTreeSet<String>,
    /// Those that wait for a change of another one.
    waiting: BTreeSet<String>,
    /// Counts changes of any of them.
    changes: u64,
}

impl Handovers {
    /// Takes in a change of a Work. Answers which others wait for one.
    pub(super) fn observe(&self, change: &Change<Item>) -> Vec<String> {
        let facts = |item: &Arc<Item>| {
            let Work {
                uid,
                generation,
                is_deleting,
                group,
                ..
            } = &item.work;
            (uid.clone(), *generation, *is_deleting, group.clone())
        };
        let (old, new) = (change.old.as_ref().map(facts), change.new.as_ref().map(facts));
        if old == new && self.is_known(&change.key.name, new.as_ref().and_then(|(.., group)| group.as_ref())) {
            return Vec::new();
        }
        let name = &change.key.name;
        let placement = |item: &Option<Arc<Item>>| Some(item.as_ref()?.work.group.as_ref()?.placement.clone());
        let (before, now) = (placement(&change.old), placement(&change.new));
        let mut placements = self.placements.lock();
        let mut waiting = Vec::new();
        for placement in BTreeSet::from([&before, &now]).into_iter().flatten() {
            let group = placements.entry(placement.clone()).or_default();
            group.changes += 1;
            if now.as_ref() == Some(placement) {
                group.works.insert(name.clone());
            } else {
                group.works.remove(name);
                group.waiting.remove(name);
            }
            waiting.extend(group.waiting.iter().filter(|other| *other != name).cloned());
            if group.works.is_empty() {
                placements.remove(placement);
            }
        }
        waiting
    }

    fn is_known(&self, name: &str, group: Option<&WorkGroup>) -> bool {
        group.is_none_or(|group| {
            let placements = self.placements.lock();
            placements
                .get(&group.placement)
                .is_some_and(|known| known.works.contains(name))
        })
    }

    /// The other Works of the same placement, and the number of changes so far.
    fn others(&self, work: &Work) -> (Vec<String>, u64) {
        let Some(group) = &work.group else {
            return (Vec::new(), 0);
        };
        let placements = self.placements.lock();
        let Some(known) = placements.get(&group.placement) else {
            return (Vec::new(), 0);
        };
        let others = known.works.iter().filter(|name| **name != work.name);
        (others.cloned().collect(), known.changes)
    }

    /// Notes whether a Work waits for a change of another one. Answers whether one has come since `changes`.
    pub(super) fn wait(&self, work: &Work, waits: bool, changes: u64) -> bool {
        let Some(group) = &work.group else { return false };
        let mut placements = self.placements.lock();
        let Some(known) = placements.get_mut(&group.placement) else {
            return false;
        };
        if waits && known.works.contains(&work.name) {
            known.waiting.insert(work.name.clone());
        } else {
            known.waiting.remove(&work.name);
        }
        waits && known.changes != changes
    }

    /// Which of these Works of a placement wait.
    fn waiting(&self, work: &Work, names: &BTreeSet<String>) -> Vec<String> {
        let Some(group) = &work.group else { return Vec::new() };
        let placements = self.placements.lock();
        let known = placements.get(&group.placement);
        known.map_or_else(Vec::new, |known| known.waiting.intersection(names).cloned().collect())
    }
}

/// A Work and the others of its placement, as they are while it is processed.
pub(super) struct PlacementWorks {
    others: Vec<Arc<Item>>,
    /// How many changes there had been.
    pub(super) changes: u64,
    /// How long the Work has waited for others.
    pub(super) waited: Duration,
    /// What AppliedWorks of others said to requests for their objects.
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    /// Works that yielded an object, by the position of the manifest.
    yielded: BTreeMap<usize, BTreeSet<String>>,
    /// Whether one of the same placement keeps an object.
    is_refused: bool,
}

impl PlacementWorks {
    /// The Work among the others.
    pub(super) fn siblings<'a>(&'a self, work: &'a Work) -> Siblings<'a> {
        Siblings::of(work, self.others.iter().map(|item| &item.work))
    }

    fn note(&self, ordinal: usize, name: &str, claim: WorkClaim) {
        let mut answers = self.answers.lock();
        match claim {
            WorkClaim::Yields => {
                answers.yielded.entry(ordinal).or_default().insert(name.to_owned());
            }
            WorkClaim::Keeps => answers.is_refused = true,
        }
    }

    /// Whether another Work of the placement keeps an object that this one lists, too.
    pub(super) fn is_refused(&self) -> bool {
        self.answers.lock().is_refused
    }

    /// The Works that yielded objects of these manifests.
    pub(super) fn yielded(&self, ordinals: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
        let answers = self.answers.lock();
        let works = ordinals.into_iter().filter_map(|ordinal| answers.yielded.get(&ordinal));
        works.flatten().cloned().collect()
    }
}

impl Applier {
    /// The other Works of a Work's placement as they are now.
    pub(super) fn placement_works(&self, work: &Work) -> PlacementWorks {
        let (names, changes) = self.handovers.others(work);
        let others: Vec<_> = names
            .iter()
            .filter_map(|name| self.works.get(&ObjectKey::namespaced(&self.namespace, name)))
            .collect();
        let mut placement_works = PlacementWorks {
            others,
            changes,
            waited: Duration::ZERO,
            answers: Mutex::default(),
        };
        let arrival = placement_works.siblings(work).arrival();
        placement_works.waited = self
            .work_states
            .waited(&work.name, work.generation, arrival, Instant::now());
        placement_works
    }

    /// What these Works say about an object that their AppliedWorks own. Those that are on the hub no more are left out.
    pub(super) async fn claims(
        &self,
        work: &Work,
        placement_works: &PlacementWorks,
        (ordinal, object): (usize, &Identity),
        names: Vec<String>,
    ) -> Result<BTreeMap<String, WorkClaim>, Error> {
        let mut claims = BTreeMap::new();
        let siblings = placement_works.siblings(work);
        for name in names {
            if let Some(claim) = siblings.claim(&name, object) {
                placement_works.note(ordinal, &name, claim);
                claims.insert(name, claim);
            } else if self.exists(&name).await? {
                claims.insert(name, WorkClaim::Keeps);
            }
        }
        Ok(claims)
    }

    /// Whether a Work is on the hub. The index knows the ones it holds; the others are read from the hub.
    async fn exists(&self, name: &str) -> Result<bool, Error> {
        let key = ObjectKey::namespaced(&self.namespace, name);
        if self.works.get(&key).is_some() {
            return Ok(true);
        }
        match self.hub.get(&kinds::WORK, &key).await {
            Ok(_) => Ok(true),
            Err(err) if err.is_not_found() => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// Queues those of these Works again that wait for their objects to be taken.
    pub(super) fn enqueue_waiting(&self, work: &Work, names: &BTreeSet<String>) {
        for name in self.handovers.waiting(work, names) {
            self.work_states.need(&name, Need::Pass);
            self.queue.add(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::index::Origin;
    use serde_json::json;

    fn item(name: &str, placement: &str, revision: &str) -> Arc<Item> {
        let object = json!({"metadata": {"name": name, "uid": name, "labels": {
            "kubernetes-fleet.io/parent-CRP": placement,
            "kubernetes-fleet.io/parent-resource-snapshot-index": revision}}});
        Arc::new(Item::decode(object).unwrap())
    }

    fn change(name: &str, old: Option<Arc<Item>>, new: Option<Arc<Item>>) -> Change<Item> {
        Change {
            key: ObjectKey::namespaced("n", name),
            old,
            new,
            version: String::new(),
            origin: Origin::Watch,
        }
    }

    #[test]
    fn those_that_wait_are_told_of_changes_of_the_same_placement_only() {
        let handovers = Handovers::default();
        let (a, b, c) = (item("a", "p", "1"), item("b", "p", "1"), item("c", "q", "1"));
        for (name, item) in [("a", &a), ("b", &b), ("c", &c)] {
            assert_eq!(
                handovers.observe(&change(name, None, Some(Arc::clone(item)))),
                Vec::<String>::new()
            );
        }
        let (others, changes) = handovers.others(&a.work);
        assert_eq!(others, ["b"]);
        assert!(!handovers.wait(&a.work, true, changes), "nothing has happened since");
        let newer = item("b", "p", "2");
        assert_eq!(
            handovers.observe(&change("b", Some(b), Some(Arc::clone(&newer)))),
            ["a"],
            "labels count"
        );
        assert_eq!(
            handovers.observe(&change("b", Some(Arc::clone(&newer)), Some(Arc::clone(&newer)))),
            Vec::<String>::new()
        );
        assert!(handovers.wait(&a.work, true, changes), "one has changed since");
        assert_eq!(
            handovers.observe(&change("c", Some(Arc::clone(&c)), Some(item("c", "q", "2")))),
            Vec::<String>::new()
        );
        assert_eq!(
            handovers.waiting(&newer.work, &BTreeSet::from(["a".to_owned(), "c".to_owned()])),
            ["a"]
        );
        assert_eq!(handovers.observe(&change("b", Some(newer), None)), ["a"]);
        handovers.wait(&a.work, false, changes);
        assert_eq!(handovers.observe(&change("a", Some(a), None)), Vec::<String>::new());
        assert_eq!(
            handovers.placements.lock().len(),
            1,
            "placements without Works are forgotten"
        );
    }
}
