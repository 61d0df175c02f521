//! What a pass over a placement results in beyond what every plan has.

use serde::Serialize;

use crate::effects::Plan;
use crate::report::PlacementFact;

/// What planning one placement comes to.
pub type Pass = Plan<Facts>;

/// What only the shell of placements understands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The series of `fleet_workload_placement_status_last_timestamp_seconds` to set to now (hub-behaviour 11.1).
    pub placement: Option<PlacementFact>,
    /// The placement is going away: remove its series.
    pub forget_placement: bool,
    /// Whether a scheduling cycle ran, and whether it failed.
    pub scheduling: Option<SchedulingFact>,
    /// A status that only says "waiting for members" was held back to be overtaken by their answer.
    /// The shell hands the time at which this was first so to the next pass as [`super::Slice::withheld_since`].
    pub withheld: bool,
}

/// Labels of the scheduling cycle series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchedulingFact {
    /// Whether the cycle ended in an error.
    pub failed: bool,
}
