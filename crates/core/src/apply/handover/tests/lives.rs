//! Lives of a placement whose objects move among its Works at random, on a hub that may be interrupted after each write and
//! a member that sees the hub's writes late, processes Works in any order, and may crash before each of its own writes.
//!
//! An object that stays selected keeps its uid all the time, and in the end exactly what is selected is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use crate::apply::identity::{Record, Resource};
use crate::apply::owners::{self, Claim, Owner};
use crate::apply::work::AppliedWork;
use crate::apply::{
    Announcement, Entry, ManifestResult, Release, ResultType, announcement, left_overs, record, recorded, release,
};
use api::text::{annotations, labels};

const OBJECTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const WORKS: [&str; 4] = ["master", "second", "third", "envelope"];

/// The objects of each Work.
type Layout = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// Random numbers that a failing case can be made smaller with.
struct Choices<'a>(std::slice::Iter<'a, u16>);

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or_default()) % limit
    }

    fn layout(&mut self) -> Layout {
        let mut layout = Layout::from([(WORKS[0], BTreeSet::new())]);
        for object in OBJECTS {
            let place = self.below(WORKS.len() + 1);
            if let Some(work) = WORKS.get(place) {
                layout.entry(work).or_default().insert(object);
            }
        }
        layout
    }
}

/// The member's agent is gone; its write was not made.
struct Crash;

#[derive(Default)]
struct World {
    /// What is stored on the hub, and every state that was written, in order.
    hub: BTreeMap<String, Value>,
    log: VecDeque<(String, Option<Value>)>,
    wanted: Layout,
    revision: u32,
    /// Steps of the hub's pass; the writes of a step in any order.
    steps: VecDeque<Vec<&'static str>>,
    /// What the agent has seen.
    seen: BTreeMap<String, Work>,
    applied_works: BTreeMap<String, AppliedWork>,
    /// Names of AppliedWorks that are being deleted in the foreground.
    going: BTreeSet<String>,
    objects: BTreeMap<String, Value>,
    uids: u32,
    /// How long every Work has waited.
    waited: Duration,
    /// Writes until the agent crashes.
    fuel: Option<usize>,
    /// Objects that have to keep this uid.
    pinned: BTreeMap<&'static str, String>,
}

impl World {
    fn uid(&mut self) -> String {
        self.uids += 1;
        format!("uid-{}", self.uids)
    }

    /// The hub wants other objects in other places.
    fn want(&mut self, layout: Layout) {
        self.revision += 1;
        let selected: BTreeSet<_> = layout.values().flatten().copied().collect();
        self.pinned.retain(|object, _| selected.contains(object));
        self.wanted = layout;
        self.steps.clear();
    }

    fn is_current(&self, name: &str) -> bool {
        let index = self.revision.to_string();
        self.hub
            .get(name)
            .is_some_and(|work| work["metadata"]["labels"][labels::PARENT_SNAPSHOT_INDEX] == index)
    }

    fn is_deleting(&self, name: &str) -> bool {
        self.hub
            .get(name)
            .is_some_and(|work| !work["metadata"]["deletionTimestamp"].is_null())
    }

    /// Plans as the hub does: creations, changes, deletions. While an old Work still has a name that is needed, nothing is
    /// deleted.
    fn plan(&mut self) {
        let (mut new, mut changed, mut gone) = (vec![], vec![], vec![]);
        for name in WORKS {
            match (self.wanted.contains_key(name), self.hub.contains_key(name)) {
                (true, false) => new.push(name),
                (true, true) if !self.is_current(name) && !self.is_deleting(name) => changed.push(name),
                (false, true) if !self.is_deleting(name) => gone.push(name),
                _ => {}
            }
        }
        if self.wanted.keys().any(|name| self.is_deleting(name)) {
            gone.clear();
        }
        self.steps = [new, changed, gone]
            .into_iter()
            .filter(|step| !step.is_empty())
            .collect();
    }

    /// One write of the hub. Answers whether there was one to make.
    fn hub_writes(&mut self, choice: usize) -> bool {
        if self.steps.is_empty() {
            self.plan();
        }
        let Some(step) = self.steps.front_mut() else {
            return false;
        };
        let name = step.swap_remove(choice % step.len());
        if step.is_empty() {
            self.steps.pop_front();
        }
        let Some(objects) = self.wanted.get(name) else {
            let mut work = self.hub[name].clone();
            work["metadata"]["deletionTimestamp"] = json!("2025-01-01T00:00:00Z");
            work["metadata"]["generation"] = json!(work["metadata"]["generation"].as_i64().unwrap() + 1);
            self.store(name, work);
            return true;
        };
        let manifest = |name: &&str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}});
        let manifests: Vec<_> = objects.iter().map(manifest).collect();
        let uid = self.uid();
        let mut work = self.hub.get(name).cloned().unwrap_or_else(|| {
            json!({"metadata": {"name": name, "uid": uid, "generation": 0, "finalizers": ["kubernetes-fleet.io/work-cleanup"]}})
        });
        work["metadata"]["labels"] = json!({
            labels::PARENT_PLACEMENT: "p", labels::PARENT_BINDING: "b",
            labels::PARENT_SNAPSHOT_INDEX: self.revision.to_string(),
        });
        work["metadata"]["annotations"] = json!({annotations::NUMBER_OF_WORKS: self.wanted.len().to_string()});
        if work["spec"]["workload"]["manifests"] != json!(manifests) {
            work["metadata"]["generation"] = json!(work["metadata"]["generation"].as_i64().unwrap() + 1);
            work["spec"] = json!({"workload": {"manifests": manifests}});
        }
        self.store(name, work);
        true
    }

    fn store(&mut self, name: &str, work: Value) {
        self.log.push_back((name.to_owned(), Some(work.clone())));
        self.hub.insert(name.to_owned(), work);
    }

    /// The agent sees the next write of the hub. Answers whether there was one.
    fn deliver(&mut self) -> bool {
        match self.log.pop_front() {
            Some((name, Some(work))) => {
                self.seen.insert(name, Work::decode(work).unwrap());
                true
            }
            Some((name, None)) => {
                self.seen.remove(&name);
                true
            }
            None => false,
        }
    }

    /// The agent makes a write, unless it crashes before.
    fn write(&mut self) -> Result<(), Crash> {
        match &mut self.fuel {
            Some(0) => Err(Crash),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn turn(&mut self, name: &str) {
        let Some(work) = self.seen.get(name).cloned() else {
            return;
        };
        let ended = match work.is_deleting {
            true => self.clean_up(&work),
            false => self.pass(&work),
        };
        if ended.is_err() {
            // After a restart it sees everything at once.
            while self.deliver() {}
        }
        self.fuel = None;
    }

    fn pass(&mut self, work: &Work) -> Result<(), Crash> {
        let seen = self.seen.clone();
        let siblings = Siblings::of(work, seen.values());
        if self.going.contains(&work.name) || siblings.is_early(self.waited) {
            return Ok(());
        }
        let mut records: Vec<_> = work
            .manifests
            .iter()
            .cloned()
            .enumerate()
            .map(|(n, m)| Record::decode(n, m))
            .collect();
        for record in &mut records {
            record.found(Resource {
                group: String::new(),
                version: "v1".to_owned(),
                kind: "ConfigMap".to_owned(),
                plural: "configmaps".to_owned(),
                namespaced: true,
            });
        }
        let known = self.applied_works.get(&work.name).cloned().unwrap_or_default();
        let owner = |applied_work: &AppliedWork| Owner {
            name: work.name.clone(),
            uid: applied_work.uid.clone(),
        };
        let mut kept = Vec::new();
        for left_over in left_overs(work, &known, &records) {
            let Some(live) = self.objects.get(&left_over.name) else {
                continue;
            };
            let release = release(live, &owner(&known));
            if release == Release::Leave {
                continue;
            }
            if siblings.fate(&Identity::of(&left_over).unwrap(), self.waited) == Fate::Keep {
                kept.push(left_over);
                continue;
            }
            self.write()?;
            match release {
                Release::Disown(object) => drop(self.objects.insert(left_over.name, object)),
                _ => drop(self.objects.remove(&left_over.name)),
            }
        }
        let now = serde_json::from_value(json!("2025-01-01T00:00:00Z")).unwrap();
        let planned = announcement(work, &known, &records, &kept, &now);
        if known.uid.is_empty() || planned != Announcement::Known {
            self.write()?;
            let uid = self.uid();
            let applied_work = self
                .applied_works
                .entry(work.name.clone())
                .or_insert_with(|| AppliedWork {
                    name: work.name.clone(),
                    uid,
                    ..AppliedWork::default()
                });
            if let Announcement::Held(list) = planned {
                applied_work.held = list;
            }
        }
        let owner = owner(&self.applied_works[&work.name]);
        let mut entries = Vec::new();
        for record in &records {
            let result = self.apply(record, &owner, &siblings)?;
            let mut outcome = ManifestResult::new(result, "");
            outcome.live = Some(crate::apply::Live::default());
            entries.push(Entry {
                identifier: record.identifier(),
                outcome,
            });
        }
        self.write()?;
        self.report(work, &records);
        self.write()?;
        let applied_work = &self.applied_works[&work.name];
        if let Some(applied) = record(applied_work, false, &entries, &kept).applied {
            self.applied_works.get_mut(&work.name).unwrap().applied = applied;
        }
        Ok(())
    }

    fn apply(&mut self, record: &Record, owner: &Owner, siblings: &Siblings<'_>) -> Result<ResultType, Crash> {
        let identity = record.identity.clone().unwrap();
        let Some(live) = self.objects.get(&identity.name).cloned() else {
            self.write()?;
            let uid = self.uid();
            let object = json!({"metadata": {"uid": uid, "ownerReferences": [owner.reference()]}});
            self.objects.insert(identity.name, object);
            return Ok(ResultType::Applied);
        };
        let claims: BTreeMap<_, _> = owners::other_works(&live, owner)
            .into_iter()
            .filter(|name| self.hub.contains_key(name))
            .map(|name| {
                let claim = siblings.claim(&name, &identity);
                (name, claim.unwrap_or(WorkClaim::Keeps))
            })
            .collect();
        let references = match owners::handed_over(&live, owner, &claims) {
            Some(references) => references,
            None if owner.owns(&live) => return Ok(ResultType::Applied),
            None => match owners::claim(&live, owner, false, |name| claims.contains_key(name)) {
                Claim::Free(references) => references,
                Claim::Taken(_) => return Ok(ResultType::FailedToTakeOver),
            },
        };
        self.write()?;
        self.objects
            .insert(identity.name, owners::with_references(&live, references));
        Ok(ResultType::Applied)
    }

    /// Writes the status of a Work.
    fn report(&mut self, work: &Work, records: &[Record]) {
        let stored = self
            .hub
            .get(&work.name)
            .filter(|stored| stored["metadata"]["uid"] == work.uid);
        let Some(mut stored) = stored.cloned() else { return };
        let entries: Vec<_> = records
            .iter()
            .map(|record| json!({"identifier": record.identifier(), "conditions": []}))
            .collect();
        stored["status"] = json!({"manifestConditions": entries, "conditions": [{"type": "Applied", "status": "True",
            "reason": "R", "message": "", "observedGeneration": work.generation, "lastTransitionTime": "2025-01-01T00:00:00Z"}]});
        self.store(&work.name, stored);
    }

    fn clean_up(&mut self, work: &Work) -> Result<(), Crash> {
        let Some(applied_work) = self.applied_works.get(&work.name).cloned() else {
            self.write()?;
            if self
                .hub
                .get(&work.name)
                .is_some_and(|stored| stored["metadata"]["uid"] == work.uid)
            {
                self.hub.remove(&work.name);
                self.log.push_back((work.name.clone(), None));
            }
            return Ok(());
        };
        if self.going.contains(&work.name) {
            return Ok(());
        }
        let owner = Owner {
            name: work.name.clone(),
            uid: applied_work.uid.clone(),
        };
        let seen = self.seen.clone();
        let siblings = Siblings::of(work, seen.values());
        for identifier in recorded(work, &applied_work) {
            let is_ours = self.objects.get(&identifier.name).is_some_and(|live| owner.owns(live));
            if is_ours && siblings.fate(&Identity::of(identifier).unwrap(), self.waited) == Fate::Keep {
                return Ok(());
            }
        }
        self.write()?;
        self.going.insert(work.name.clone());
        Ok(())
    }

    /// The garbage collector deletes what only AppliedWorks own that are going, and then those.
    fn collect_garbage(&mut self) {
        for name in std::mem::take(&mut self.going) {
            let gone = self.applied_works.remove(&name).unwrap();
            let owner = Owner { name, uid: gone.uid };
            self.objects.retain(|_, object| {
                if !owner.owns(object) {
                    return true;
                }
                let others = owner.others(object);
                let stays = !others.is_empty();
                *object = owners::with_references(object, others);
                stays
            });
        }
    }

    fn is_at_rest(&self) -> bool {
        self.hub.len() == self.wanted.len()
            && self
                .wanted
                .keys()
                .all(|name| self.is_current(name) && !self.is_deleting(name))
    }

    fn settle(&mut self) {
        // Longer than for a Work that is about to change, and not as long as for one that never comes.
        self.waited = EARLY_WAIT;
        let mut round = 0;
        loop {
            let before = (self.hub.clone(), self.objects.clone(), self.applied_works.clone());
            while self.hub_writes(0) {}
            while self.deliver() {}
            for name in WORKS {
                self.turn(name);
            }
            self.collect_garbage();
            if before == (self.hub.clone(), self.objects.clone(), self.applied_works.clone()) {
                if self.waited >= LONGEST_WAIT || self.is_at_rest() {
                    break;
                }
                // What nobody lists so long is given up.
                self.waited = LONGEST_WAIT;
                let listed: BTreeSet<_> = self
                    .seen
                    .values()
                    .filter(|work| !work.is_deleting)
                    .flat_map(names)
                    .collect();
                self.pinned.retain(|object, _| listed.contains(*object));
            }
            round += 1;
            assert!(round < 40, "it comes to rest");
        }
        self.waited = Duration::ZERO;
        let selected: BTreeSet<_> = self.wanted.values().flatten().copied().collect();
        let there: BTreeSet<_> = self.objects.keys().map(String::as_str).collect();
        assert_eq!(
            there,
            selected,
            "exactly what is selected is there: {:?} {}",
            self.wanted,
            self.words()
        );
        assert_eq!(
            self.applied_works.len(),
            self.wanted.len(),
            "one AppliedWork for each Work: {:?} {}",
            self.wanted,
            self.words()
        );
        for (work, objects) in &self.wanted {
            for object in objects {
                let uid = &self.applied_works[*work].uid;
                let references = owners::references(&self.objects[*object]);
                assert!(
                    references.len() == 1 && references[0]["uid"] == **uid,
                    "{object} belongs to {work}"
                );
            }
            // What an earlier pass recorded as applied needs no announcement, so either list may name an object.
            let applied_work = &self.applied_works[*work];
            let recorded = applied_work.applied.iter().chain(&applied_work.held);
            let recorded: BTreeSet<_> = recorded.map(|item| item.identifier.name.as_str()).collect();
            assert_eq!(
                recorded,
                *objects,
                "what is listed is on record, and nothing else: {:?} {} {applied_work:?}",
                self.wanted,
                self.words()
            );
        }
        for object in selected {
            let uid = self.objects[object]["metadata"]["uid"].as_str().unwrap().to_owned();
            self.pinned.insert(object, uid);
        }
    }

    /// Works and owners, to understand a failure.
    fn words(&self) -> String {
        let mut words = String::new();
        for (name, work) in &self.hub {
            let meta = &work["metadata"];
            let names: Vec<_> = work["spec"]["workload"]["manifests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| &m["metadata"]["name"])
                .collect();
            let (index, number) = (
                &meta["labels"][labels::PARENT_SNAPSHOT_INDEX],
                &meta["annotations"][annotations::NUMBER_OF_WORKS],
            );
            words += &format!(
                "\n{name} {names:?} revision {index} of {number}, deleted {}",
                meta["deletionTimestamp"]
            );
        }
        for (name, object) in &self.objects {
            let owners: Vec<_> = owners::references(object)
                .iter()
                .map(|r| owners::field(r, "name"))
                .collect();
            words += &format!("\n{name} owned by {owners:?}");
        }
        words
    }

    fn check(&self) {
        for (object, uid) in &self.pinned {
            let live = self.objects.get(*object);
            assert_eq!(
                live.and_then(|live| live["metadata"]["uid"].as_str()),
                Some(uid.as_str()),
                "{object} stays the same"
            );
        }
    }
}

/// The names of the objects that a Work lists.
fn names(work: &Work) -> impl Iterator<Item = String> {
    work.manifests
        .iter()
        .filter_map(|manifest| Some(manifest["metadata"]["name"].as_str()?.to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn objects_that_stay_selected_keep_their_uid(numbers in proptest::collection::vec(any::<u16>(), 40..300)) {
        let mut choices = Choices(numbers.iter());
        let mut world = World::default();
        world.want(choices.layout());
        world.settle();
        while !choices.0.as_slice().is_empty() {
            match choices.below(12) {
                0..3 => drop(world.hub_writes(choices.below(8))),
                3..6 => drop(world.deliver()),
                6..9 => {
                    let name = WORKS[choices.below(WORKS.len())];
                    world.fuel = Some(choices.below(12)).filter(|fuel| *fuel < 6);
                    world.turn(name);
                }
                9 => world.collect_garbage(),
                10 => world.want(choices.layout()),
                _ => world.settle(),
            }
            world.check();
        }
        world.settle();
        world.check();
    }
}
