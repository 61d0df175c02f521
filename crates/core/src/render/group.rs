//! Groups of resource snapshots, made ready for rendering once and used for every cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::names;

use crate::content;
use crate::envelope::{self, Envelope};
use crate::objects::{Digest, Manifest, PlacementKey, ResourceSnapshot};
use crate::problem::Problem;
use crate::snapshot;

/// The content of a complete group: one part per snapshot, the master's first.
#[derive(Debug, Clone)]
pub struct Group {
    /// Index of the group, as in labels.
    pub index: String,
    /// The parts.
    pub parts: Vec<Part>,
}

/// What one snapshot of a group holds.
#[derive(Debug, Clone)]
pub struct Part {
    /// Name of the Work for the ordinary objects.
    pub work: String,
    /// The ordinary objects, in stored order.
    pub plain: Vec<Arc<Manifest>>,
    /// Hash over them.
    pub digest: Digest,
    /// The envelopes, in stored order, each with the hash over its content.
    pub envelopes: Vec<(Envelope, Digest)>,
}

/// The groups of a placement by the name of their master, each opened when it is first used.
pub struct Groups<'a> {
    key: &'a PlacementKey,
    snapshots: Vec<&'a ResourceSnapshot>,
    opened: BTreeMap<String, Found>,
}

/// What there is under the name of a master snapshot.
#[derive(Debug, Clone)]
pub enum Found {
    /// The complete group.
    Complete(Arc<Group>),
    /// No snapshot of this name.
    Missing,
    /// The master is there but others of its group are not, or it is not a proper master.
    Incomplete(Problem),
}

impl<'a> Groups<'a> {
    /// `snapshots` are all resource snapshots of the placement, as the earlier stages leave them.
    pub fn new(key: &'a PlacementKey, snapshots: impl IntoIterator<Item = &'a ResourceSnapshot>) -> Self {
        let snapshots = snapshots.into_iter().filter(|s| !s.meta.is_deleting()).collect();
        Self {
            key,
            snapshots,
            opened: BTreeMap::new(),
        }
    }

    /// The group of a master snapshot.
    pub fn find(&mut self, master: &str) -> Found {
        if let Some(found) = self.opened.get(master) {
            return found.clone();
        }
        let found = self.open(master);
        self.opened.insert(master.to_owned(), found.clone());
        found
    }

    fn open(&self, name: &str) -> Found {
        let Some(master) = self.snapshots.iter().find(|s| s.meta.name == name) else {
            return Found::Missing;
        };
        match snapshot::members(master, &self.snapshots) {
            Ok((index, snapshots)) => {
                let parts = snapshots.into_iter().map(|snapshot| part(self.key, snapshot)).collect();
                Found::Complete(Arc::new(Group {
                    index: index.to_string(),
                    parts,
                }))
            }
            Err(problem) => Found::Incomplete(problem),
        }
    }
}

fn part(key: &PlacementKey, snapshot: &ResourceSnapshot) -> Part {
    let namespace = key.namespace.as_deref();
    let work = match snapshot.sub_index() {
        Some(sub) => names::sub_work(namespace, &key.name, sub),
        None => names::master_work(namespace, &key.name),
    };
    let mut plain = Vec::new();
    let mut envelopes = Vec::new();
    for manifest in &snapshot.manifests {
        match envelope::open(manifest) {
            Some(envelope) => {
                let digest = content::digest(&envelope.content);
                envelopes.push((envelope, digest));
            }
            None => plain.push(Arc::clone(manifest)),
        }
    }
    Part {
        work,
        digest: content::digest(&plain),
        plain,
        envelopes,
    }
}
