//! The planner: one pass decides everything about one placement.
//!
//! [`plan`] runs the stages select, snapshot, schedule, roll out, render and report over a [`Slice`] of the indexes
//! and returns a [`Pass`]. It does no IO, reads no clock and draws no random numbers: equal inputs give equal passes.

mod pass;
mod slice;
mod tracked;

pub use pass::{Event, Facts, Kind, Pass, PlacementFact, SchedulingFact, Target, Write};
pub use slice::{Api, ApiKey, Exclusion, ResourceView, Selectable, Settings, Slice, Stages};
pub use tracked::{Tracked, Versioned};
