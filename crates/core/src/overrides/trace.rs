//! Which rules of overrides change which objects.

use serde::Serialize;
use serde_json::Value;

/// A rule that is for a cluster and reaches an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleTrace {
    /// The snapshot of the override, with its namespace where it has one.
    pub snapshot: String,
    /// Position of the rule in the override, from 0.
    pub rule: usize,
    /// The object, as `version, Kind=kind, namespace/name`.
    pub object: String,
    /// What the rule does to it.
    #[serde(flatten)]
    pub effect: Effect,
}

/// What a rule does to an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "effect", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Effect {
    /// The object is not placed on the cluster.
    Delete,
    /// The object is patched.
    Patch {
        /// The JSON patch, variables replaced.
        patches: Vec<Value>,
    },
    /// The rule cannot be applied.
    Invalid {
        /// Why.
        why: String,
    },
}
