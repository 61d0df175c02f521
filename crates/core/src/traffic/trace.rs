//! Why a plan is as it is.

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
