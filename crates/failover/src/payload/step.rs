//! What plans consist of.

use std::collections::BTreeMap;

use api::resource::{ObjectKey, Resource};
use serde_json::Value;

use super::inventory::Inventory;
use super::object::ObjectId;

/// What is to be done next. Steps are carried out in their order; after the first that fails to *store*, none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps; none while something has to be waited for.
    pub steps: Vec<Step>,
    /// What there is to report.
    pub findings: Findings,
    /// Whether nothing is left to do or to wait for.
    pub done: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Store the inventory; see [`writes`](super::writes). Nothing after it may be done before it is stored.
    Store(Inventory),
    /// Apply an object server-side. The executor verifies right before that the lease covers the request.
    Apply {
        /// Which object.
        id: ObjectId,
        /// Where it is served.
        resource: Resource,
        /// Namespace and name.
        key: ObjectKey,
        /// The body. A UID in it is a precondition.
        body: Value,
        /// Whether fields are taken from others.
        force: bool,
    },
    /// Apply a body that claims nothing, so that our fields go and those of others stay.
    Release {
        /// Which object.
        id: ObjectId,
        /// Where it is served.
        resource: Resource,
        /// Namespace and name.
        key: ObjectKey,
        /// The body.
        body: Value,
    },
    /// Delete an object, with its UID as precondition. A missing object is success.
    Delete {
        /// Which object.
        id: ObjectId,
        /// Where it is served.
        resource: Resource,
        /// Namespace and name.
        key: ObjectKey,
        /// Its UID.
        uid: String,
        /// What happens to what it owns.
        propagation: Propagation,
        /// Whether a pod gets no time to end.
        at_once: bool,
    },
    /// List what is in a namespace, or the objects of a kind that a definition defines.
    Inspect {
        /// The namespace or definition.
        id: ObjectId,
    },
}

/// What happens to what a deleted object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// It is deleted first.
    Foreground,
    /// It is deleted afterwards.
    Background,
}

/// What there is to report, for conditions and events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Objects of which others own fields, with up to ten of the fields.
    pub conflicts: BTreeMap<ObjectId, Vec<String>>,
    /// Workloads that exist and are not ours.
    pub foreign: Vec<ObjectId>,
    /// Objects about which a step failed, with what the API server said.
    pub failed: BTreeMap<ObjectId, String>,
    /// Objects that are being deleted, are not established yet, or have pods left.
    pub waiting: Vec<ObjectId>,
    /// Objects that were applied in a newer term, which are left alone.
    pub outranked: Vec<ObjectId>,
    /// Namespaces and definitions that stay, with an example of what is in them.
    pub kept: BTreeMap<ObjectId, String>,
    /// Objects whose kind is no longer served, which counts as removed.
    pub unmapped: Vec<ObjectId>,
    /// Names of pods that are left.
    pub pods: Vec<String>,
    /// Whether something is left although the time for removal is over.
    pub forced: bool,
}
