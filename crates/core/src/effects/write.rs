//! Requests to the API server, as data.

use api::resource::{ObjectKey, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;

/// One request to the API server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "write", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Write {
    /// Creates an object. That it exists already is a conflict: the next pass sees it and decides anew.
    Create {
        /// What is created; namespace and name are in the object.
        target: Target,
        /// The complete object.
        object: Value,
    },
    /// Applies a JSON merge patch (RFC 7396). That the object is gone is success for a patch without precondition.
    MergePatch {
        /// What is patched.
        target: Target,
        /// The patch.
        body: Value,
        /// Whether the patch goes to the status subresource.
        status: bool,
        /// Precondition: the version of the object that the decision was based on.
        resource_version: Option<String>,
    },
    /// Replaces the status as a whole; a merge patch would leave fields behind that are no longer in it. That the object
    /// is gone, or has no status of its own, is success.
    ReplaceStatus {
        /// Whose status.
        target: Target,
        /// The status.
        status: Value,
    },
    /// Deletes an object. That it is gone already is success.
    Delete {
        /// What is deleted.
        target: Target,
        /// Precondition: this incarnation of the object only.
        uid: Option<String>,
    },
}

/// Names one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its API.
    pub resource: Resource,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Write {
    /// The object that is written.
    pub fn target(&self) -> &Target {
        match self {
            Self::Create { target, .. }
            | Self::MergePatch { target, .. }
            | Self::ReplaceStatus { target, .. }
            | Self::Delete { target, .. } => target,
        }
    }

    /// Distinguishes this write from others to the same object, so that one that was refused is recognised when it comes again.
    pub fn fingerprint(&self) -> Digest {
        let text = match self {
            Self::Create { object, .. } => format!("create {object}"),
            Self::MergePatch { body, status, .. } => format!("patch {status} {body}"),
            Self::ReplaceStatus { status, .. } => format!("replace status {status}"),
            Self::Delete { uid, .. } => format!("delete {}", uid.as_deref().unwrap_or_default()),
        };
        Digest::of(&text)
    }
}

impl Target {
    /// Names an object.
    pub fn new(resource: Resource, namespace: Option<&str>, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// Its name within its API.
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_deref(), &self.name)
    }
}
