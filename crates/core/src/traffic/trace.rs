//! Why a plan is as it is.

use jiff::Timestamp;
use serde::Serialize;

use crate::trace::Bounded;

/// The explanation of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// How far the profile is.
    pub profile: String,
    /// Properties in which the traffic manager's profile differs from what is wanted.
    pub differences: Vec<&'static str>,
    /// The backends, in the order in which they were created.
    pub backends: Bounded<BackendTrace>,
    /// Endpoints that are degraded without waiting for a probe.
    pub hints: Bounded<HintTrace>,
}

/// An endpoint that is known to serve nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HintTrace {
    /// Name of its backend.
    pub backend: String,
    /// The exporting cluster.
    pub cluster: String,
    /// Why, as a sentence.
    pub cause: &'static str,
    /// Until when the traffic manager degrades it, if the hint is not repeated before; none while it has not taken the hint.
    pub until: Option<Timestamp>,
}

/// How a backend was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTrace {
    /// Name of the backend.
    pub name: String,
    /// The status that was decided; none while answers are outstanding.
    pub outcome: Option<String>,
    /// What became of each export.
    pub exports: Bounded<ExportTrace>,
    /// Endpoints to delete, as the traffic manager spells them.
    pub stale: Bounded<String>,
}

/// What became of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportTrace {
    /// The exporting cluster.
    pub cluster: String,
    /// Weight of the export.
    pub weight: i64,
    /// Weight of its endpoint; none without an endpoint.
    pub endpoint_weight: Option<i64>,
    /// Why it is no endpoint.
    pub rejected: Option<String>,
    /// Properties in which the traffic manager's endpoint differs from what is wanted.
    pub differences: Vec<&'static str>,
}
