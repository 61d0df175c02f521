//! What a member has written into its cluster: stored before it is written, in ConfigMaps.

use std::collections::BTreeMap;

use api::resource::{ObjectKey, Resource};
use serde::{Deserialize, Serialize};

use super::object::ObjectId;
use super::resolve::Object;

/// Most bytes of a part. ConfigMaps may have a mebibyte; entries grow a little after they were put into a part.
const PART_BYTES: usize = 400 * 1024;
const VERSION: u32 = 1;

/// What is known about an object that was written or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Where it is served.
    #[serde(flatten)]
    pub resource: Resource,
    /// Its namespace; `None` for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its UID, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What is to become of it.
    pub state: State,
    /// Whether it is a pod or makes pods.
    #[serde(default)]
    pub owns_pods: bool,
}

/// What is to become of an object when the payload is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// It is about to be created; if it exists with our marks it is ours.
    Intended,
    /// It is ours and is deleted.
    Applied,
    /// It existed before; our fields are given up.
    Shared,
    /// It existed before and others own fields of the payload; it was not changed.
    Conflict,
    /// It is ours and stays, because it holds objects of others.
    Kept,
}

/// All entries of a MultiCluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By object, each with the part that it is in. Entries never move between parts, which are written one by one: a
    /// crash in between neither loses an entry nor doubles it.
    entries: BTreeMap<ObjectId, (usize, Entry)>,
}

/// A part to be written (with its text) or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardWrite {
    /// Number of the part, from 0.
    pub shard: usize,
    /// Its text; `None`: it is deleted.
    pub text: Option<String>,
}

/// A stored inventory that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("part {shard} of the inventory cannot be used: {why}")]
pub struct Damaged {
    /// Number of the part.
    pub shard: usize,
    /// What is wrong with it.
    pub why: String,
}

#[derive(Serialize, Deserialize)]
struct Part {
    version: u32,
    /// Number of parts; written in the first one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<usize>,
    entries: Vec<Entry>,
}

impl Entry {
    pub(super) fn of(object: &Object, state: State, uid: Option<&str>) -> Self {
        Self {
            resource: object.resource.clone(),
            namespace: object.id.namespace.clone(),
            name: object.id.name.clone(),
            uid: uid.map(str::to_owned),
            state,
            owns_pods: object.owns_pods,
        }
    }

    /// Which object it is about.
    pub fn id(&self) -> ObjectId {
        ObjectId {
            group: self.resource.group.to_string(),
            kind: self.resource.kind.to_string(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_deref(), &self.name)
    }

    fn size(&self) -> usize {
        // What stands around the texts, a UID among it, is shorter than this.
        let texts = [
            &*self.resource.group,
            &self.resource.version,
            &self.resource.kind,
            &self.resource.plural,
            &self.name,
        ];
        256 + texts.map(str::len).iter().sum::<usize>() + self.namespace.as_deref().map_or(0, str::len)
    }
}

impl Inventory {
    /// The entry of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.entries.get(id).map(|(_, entry)| entry)
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = (&ObjectId, &Entry)> {
        self.entries.iter().map(|(id, (_, entry))| (id, entry))
    }

    /// Whether no object of the payload may be in the cluster, but for those that stay for the sake of others.
    pub fn is_clear(&self) -> bool {
        self.entries().all(|(_, entry)| entry.state == State::Kept)
    }

    /// Adds an entry or replaces that of the same object.
    pub fn set(&mut self, entry: Entry) {
        let id = entry.id();
        let part = match self.entries.get(&id) {
            Some((part, _)) => *part,
            None => self.part_with_room(entry.size()),
        };
        self.entries.insert(id, (part, entry));
    }

    /// Drops an entry.
    pub fn remove(&mut self, id: &ObjectId) {
        self.entries.remove(id);
    }

    fn part_with_room(&self, size: usize) -> usize {
        let mut sizes = vec![0; self.parts()];
        for (part, entry) in self.entries.values() {
            sizes[*part] += entry.size();
        }
        sizes
            .iter()
            .position(|used| used + size <= PART_BYTES)
            .unwrap_or(sizes.len())
    }

    fn parts(&self) -> usize {
        1 + self.entries.values().map(|(part, _)| *part).max().unwrap_or(0)
    }

    fn texts(&self) -> Vec<String> {
        let parts = self.parts();
        let text = |number: usize| {
            let part = Part {
                version: VERSION,
                parts: (number == 0).then_some(parts),
                entries: self
                    .entries
                    .values()
                    .filter(|(p, _)| *p == number)
                    .map(|(_, e)| e.clone())
                    .collect(),
            };
            // Texts and numbers can always be written as JSON.
            serde_json::to_string(&part).unwrap_or_default()
        };
        (0..parts).map(text).collect()
    }

    /// Reads the parts that are stored, by number. None at all: nothing was ever written.
    ///
    /// # Errors
    /// A part that is missing, is not of our form, or names an object that another one names as well. Nothing may be
    /// applied or deleted then, because it is not known what is ours.
    pub fn read(parts: &BTreeMap<usize, String>) -> Result<Self, Damaged> {
        let mut inventory = Self::default();
        let mut expected = usize::from(!parts.is_empty());
        for (number, text) in parts {
            let damaged = |why: String| Damaged { shard: *number, why };
            let part: Part = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
            if part.version != VERSION {
                return Err(damaged(format!("it has version {}, not {VERSION}", part.version)));
            }
            if *number == 0 {
                expected = part
                    .parts
                    .ok_or_else(|| damaged("it does not say how many parts there are".to_owned()))?;
            }
            for entry in part.entries {
                let id = entry.id();
                if inventory.entries.insert(id.clone(), (*number, entry)).is_some() {
                    return Err(damaged(format!("{id} is in it, and in another place as well")));
                }
            }
        }
        match (0..expected).find(|number| !parts.contains_key(number)) {
            Some(shard) => Err(Damaged {
                shard,
                why: "it is missing".to_owned(),
            }),
            None => Ok(inventory),
        }
    }
}

/// What turns one stored inventory into another, in the order of writing: the first part, which says how many there are,
/// after those that it counts and before the deletion of those that it no longer counts. `None`: nothing is stored.
pub fn writes(stored: Option<&Inventory>, wanted: &Inventory) -> Vec<ShardWrite> {
    let (old, new) = (stored.map(Inventory::texts).unwrap_or_default(), wanted.texts());
    let changed = (0..new.len()).rev().filter(|shard| old.get(*shard) != new.get(*shard));
    let changed = changed.map(|shard| ShardWrite {
        shard,
        text: new.get(shard).cloned(),
    });
    let gone = (new.len()..old.len()).map(|shard| ShardWrite { shard, text: None });
    changed.chain(gone).collect()
}
