//! What a plan is made from beside the payload: the cluster, and the answers of the current round.

use std::collections::{BTreeMap, BTreeSet};

use api::resource::Resource;
use serde_json::Value;

use super::inventory::Inventory;
use super::object::ObjectId;
use super::resolve::Resolved;

/// The cluster as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The objects that [`wanted`] names, whole; those that do not exist are absent.
    pub objects: BTreeMap<ObjectId, Value>,
    /// Those of them whose kind the cluster does not serve.
    pub unmapped: BTreeSet<ObjectId>,
    /// Pods and what lies between them and workloads (ReplicaSets, Jobs), with kind and metadata, in the namespaces of
    /// workloads.
    pub dependents: Vec<Value>,
    /// What is in namespaces, and objects of defined kinds, as [`Step::Inspect`](super::Step::Inspect) requested: kind and
    /// metadata of everything that can be listed and deleted. To be dropped after the next plan, because it ages.
    pub contents: BTreeMap<ObjectId, Vec<Value>>,
}

/// What has to be read before a plan is made.
pub fn wanted(payload: Option<&Resolved>, inventory: &Inventory) -> BTreeMap<ObjectId, Resource> {
    let entries = inventory
        .entries()
        .map(|(id, entry)| (id.clone(), entry.resource.clone()));
    let objects = payload.into_iter().flat_map(|payload| &payload.objects);
    let objects = objects.map(|object| (object.id.clone(), object.resource.clone()));
    entries.chain(objects).collect()
}

/// The answers to the steps since the payload was last applied or removed as a whole.
///
/// A fresh one applies everything again; the executor begins one when the payload or the term changes and every ten
/// minutes, and forgets single answers when their object changes or a failed step is due again. It need not survive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// By object.
    answers: BTreeMap<ObjectId, Outcome>,
}

/// The answer to one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The apply created the object (status 201).
    Created {
        /// Its UID.
        uid: String,
    },
    /// The apply met an object (status 200).
    Updated {
        /// Its UID.
        uid: String,
    },
    /// Others own fields.
    Conflict {
        /// The fields.
        fields: Vec<String>,
    },
    /// The deletion was accepted.
    Deleted {
        /// UID of what is being deleted.
        uid: String,
    },
    /// The API server refused or did not answer. The step comes again once this is forgotten.
    Failed {
        /// What it said.
        message: String,
    },
}

impl Round {
    /// Notes an answer. One about a precondition on the UID is not to be noted: the next observation decides.
    pub fn note(&mut self, id: ObjectId, outcome: Outcome) {
        self.answers.insert(id, outcome);
    }

    /// Lets an object be looked at again.
    pub fn forget(&mut self, id: &ObjectId) {
        self.answers.remove(id);
    }

    /// The answer about an object.
    pub fn get(&self, id: &ObjectId) -> Option<&Outcome> {
        self.answers.get(id)
    }
}
