//! The planner: one pass decides everything about one placement.
//!
//! [`plan`] runs the stages select, snapshot, schedule, roll out, render and report over a [`Slice`] of the indexes
//! and returns a [`Pass`]. It does no IO, reads no clock and draws no random numbers: equal inputs give equal passes.

mod cleanup;
mod pass;
mod plan;
mod slice;
mod stages;
mod tracked;
mod works;
mod world;
mod writes;

pub use pass::{BackReport, Event, Facts, Kind, Pass, PlacementFact, SchedulingFact, Target, Write};
pub use plan::plan;
pub use slice::{Api, ApiKey, Exclusion, ResourceView, Selectable, Settings, Slice, Stages};
pub use tracked::{Tracked, Versioned};
