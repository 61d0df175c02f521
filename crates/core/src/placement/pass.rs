//! What a pass results in: data that the shell executes without knowing its meaning.

use std::time::Duration;

use api::text::groups;
use serde_json::Value;

use super::ApiKey;
use crate::objects::Digest;
use crate::problem::Problem;

/// The outcome of planning one placement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pass {
    /// Steps in order; the writes of one step in any order, side by side.
    /// When a write of a step fails, the shell executes no later step and repeats the pass with back-off.
    pub steps: Vec<Vec<Write>>,
    /// Statuses of what the placement is made of (bindings, policy snapshot), to write once the steps are done, side by
    /// side. The placement's own status tells users the same, so while users wait for other placements the shell may leave
    /// these to a later pass, which plans them again. A last step that failed does not stop them.
    pub details: Vec<Write>,
    /// Statuses of originals to write once all steps are done, side by side. They concern objects of users, so that one
    /// that fails holds nothing of the fleet's up.
    pub back_reports: Vec<BackReport>,
    /// Events to record once all steps are done.
    pub events: Vec<Event>,
    /// When to look again if nothing happens before; `None` means never.
    pub requeue: Option<Duration>,
    /// A status that only says "waiting for members" was held back to be overtaken by their answer.
    /// The shell hands the time at which this was first so to the next pass as [`super::Slice::withheld_since`].
    pub withheld: bool,
    /// What went wrong. A problem of class expected or unexpected makes the shell repeat the pass with back-off,
    /// after it has executed the steps that were planned nevertheless.
    pub problems: Vec<Problem>,
    /// Facts for metrics.
    pub facts: Facts,
    /// Remarks for the log and for `explain`.
    pub notes: Vec<String>,
}

/// One request to the API server.
#[derive(Debug, Clone, PartialEq)]
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
    /// Deletes an object. That it is gone already is success.
    Delete {
        /// What is deleted.
        target: Target,
        /// Precondition: this incarnation of the object only.
        uid: Option<String>,
    },
}

/// Writes the status of an object on the hub, as its copy on a member has it (hub-behaviour 7.7). The status is replaced
/// as a whole. That the object is gone, or has no status to write, is success.
#[derive(Debug, Clone, PartialEq)]
pub struct BackReport {
    /// Its API.
    pub api: ApiKey,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The status.
    pub status: Value,
}

/// Names one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// The kinds that decisions write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of the kinds")]
pub enum Kind {
    ClusterResourcePlacement,
    ResourcePlacement,
    ClusterSchedulingPolicySnapshot,
    SchedulingPolicySnapshot,
    ClusterResourceSnapshot,
    ResourceSnapshot,
    ClusterResourceBinding,
    ResourceBinding,
    ClusterResourcePlacementStatus,
    ClusterResourceOverride,
    ResourceOverride,
    ClusterResourceOverrideSnapshot,
    ResourceOverrideSnapshot,
    Work,
    MemberCluster,
    InternalMemberCluster,
    Namespace,
    Role,
    RoleBinding,
}

/// A core/v1 Event to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The object it is about.
    pub about: Target,
    /// That object's uid.
    pub uid: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// Its reason.
    pub reason: &'static str,
    /// Its text.
    pub note: String,
}

/// Facts that the shell turns into metrics (hub-behaviour 11.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The series of `fleet_workload_placement_status_last_timestamp_seconds` to set to now.
    pub placement: Option<PlacementFact>,
    /// The placement is going away: remove its series.
    pub forget_placement: bool,
    /// Whether a scheduling cycle ran, and whether it failed.
    pub scheduling: Option<SchedulingFact>,
}

/// Labels of the placement status series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementFact {
    /// Generation of the placement.
    pub generation: i64,
    /// The first condition that is not fresh True, or `Completed`.
    pub condition: String,
    /// Its status, or `nil`.
    pub status: String,
    /// Its reason, or `nil`.
    pub reason: String,
}

/// Labels of the scheduling cycle series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulingFact {
    /// Whether the cycle ended in an error.
    pub failed: bool,
}

impl Pass {
    /// Adds a step unless it is empty.
    pub fn step(&mut self, writes: Vec<Write>) {
        if !writes.is_empty() {
            self.steps.push(writes);
        }
    }

    /// All writes in order.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.steps.iter().flatten().chain(&self.details)
    }

    /// Asks for another look after `wait` at the latest.
    pub fn look_again(&mut self, wait: Duration) {
        self.requeue = Some(self.requeue.map_or(wait, |known| known.min(wait)));
    }
}

impl Write {
    /// The object that is written.
    pub fn target(&self) -> &Target {
        match self {
            Self::Create { target, .. } | Self::MergePatch { target, .. } | Self::Delete { target, .. } => target,
        }
    }
}

impl Write {
    /// Tells this write from others to the same object, so that one that was refused is recognised when it comes again.
    pub fn fingerprint(&self) -> Digest {
        let text = match self {
            Self::Create { object, .. } => format!("create {object}"),
            Self::MergePatch { body, status, .. } => format!("patch {status} {body}"),
            Self::Delete { uid, .. } => format!("delete {}", uid.as_deref().unwrap_or_default()),
        };
        Digest::of(&text)
    }
}

impl Target {
    /// Names an object.
    pub fn new(kind: Kind, namespace: Option<&str>, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }
}

impl Kind {
    /// API group; empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::MemberCluster | Self::InternalMemberCluster => groups::CLUSTER,
            Self::Namespace => "",
            Self::Role | Self::RoleBinding => "rbac.authorization.k8s.io",
            _ => groups::PLACEMENT,
        }
    }

    /// The version in which objects of the kind are written.
    pub fn version(self) -> &'static str {
        match self {
            Self::Namespace | Self::Role | Self::RoleBinding => "v1",
            _ => "v1beta1",
        }
    }

    /// Group and version, as written in `apiVersion`.
    pub fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// Name of the kind.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// Name of the resource in request paths.
    pub fn plural(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ClusterResourcePlacement => ("ClusterResourcePlacement", "clusterresourceplacements"),
            Self::ResourcePlacement => ("ResourcePlacement", "resourceplacements"),
            Self::ClusterSchedulingPolicySnapshot => {
                ("ClusterSchedulingPolicySnapshot", "clusterschedulingpolicysnapshots")
            }
            Self::SchedulingPolicySnapshot => ("SchedulingPolicySnapshot", "schedulingpolicysnapshots"),
            Self::ClusterResourceSnapshot => ("ClusterResourceSnapshot", "clusterresourcesnapshots"),
            Self::ResourceSnapshot => ("ResourceSnapshot", "resourcesnapshots"),
            Self::ClusterResourceBinding => ("ClusterResourceBinding", "clusterresourcebindings"),
            Self::ResourceBinding => ("ResourceBinding", "resourcebindings"),
            Self::ClusterResourcePlacementStatus => {
                ("ClusterResourcePlacementStatus", "clusterresourceplacementstatuses")
            }
            Self::ClusterResourceOverride => ("ClusterResourceOverride", "clusterresourceoverrides"),
            Self::ResourceOverride => ("ResourceOverride", "resourceoverrides"),
            Self::ClusterResourceOverrideSnapshot => {
                ("ClusterResourceOverrideSnapshot", "clusterresourceoverridesnapshots")
            }
            Self::ResourceOverrideSnapshot => ("ResourceOverrideSnapshot", "resourceoverridesnapshots"),
            Self::Work => ("Work", "works"),
            Self::MemberCluster => ("MemberCluster", "memberclusters"),
            Self::InternalMemberCluster => ("InternalMemberCluster", "internalmemberclusters"),
            Self::Namespace => ("Namespace", "namespaces"),
            Self::Role => ("Role", "roles"),
            Self::RoleBinding => ("RoleBinding", "rolebindings"),
        }
    }

    /// Whether objects of the kind live in a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::ClusterResourcePlacement
                | Self::ClusterSchedulingPolicySnapshot
                | Self::ClusterResourceSnapshot
                | Self::ClusterResourceBinding
                | Self::ClusterResourceOverride
                | Self::ClusterResourceOverrideSnapshot
                | Self::MemberCluster
                | Self::Namespace
        )
    }
}
