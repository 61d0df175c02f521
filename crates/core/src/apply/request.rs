//! The requests that the processing of a manifest needs, and their answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::outcome::ManifestResult;
use super::owners::WorkClaim;

/// One request to the member's API server (or, for [`Request::Works`], to what is known of the hub).
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Read the object.
    Read,
    /// What these Works, whose AppliedWorks own the object, say about it; answered by [`Answer::Works`].
    Works(Vec<String>),
    /// Replace the object by this one; its resource version guards the write.
    Replace(Value),
    /// Server-side apply without effect, with force.
    DryRun(Value),
    /// Create the object.
    Create(Value),
    /// Patch the object.
    Patch {
        /// Kind of patch.
        format: PatchFormat,
        /// The patch.
        body: Value,
    },
    /// Server-side apply.
    Apply {
        /// What to apply.
        body: Value,
        /// Whether to take fields from other managers.
        force: bool,
    },
}

/// Kind of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchFormat {
    /// Lists of built-in kinds are merged by their keys.
    Strategic,
    /// Lists are replaced.
    Merge,
}

/// Answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The object as the server returned it.
    Object(Value),
    /// The Works that exist in the member's namespace on the hub.
    Works(BTreeMap<String, WorkClaim>),
    /// The request failed.
    Failed(Failure),
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What decisions need to know of it.
    pub kind: FailureKind,
    /// The server's words.
    pub message: String,
}

/// Kinds of failures that decisions distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no such object.
    NotFound,
    /// There is no namespace for the object.
    NamespaceNotFound,
    /// There is such an object already.
    AlreadyExists,
    /// A precondition or field ownership forbids it.
    Conflict,
    /// The server finds the object invalid.
    Invalid,
    /// Anything else.
    Other,
}

/// What comes next for a manifest.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Do this and answer.
    Send(Request),
    /// Processing is over.
    Done(ManifestResult),
}
