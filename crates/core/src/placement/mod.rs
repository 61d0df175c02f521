//! The planner: one pass decides everything about one placement.
//!
//! [`plan`] runs the stages select, snapshot, schedule, roll out, render and report over a [`Slice`] of the indexes
//! and returns a [`Pass`]. It does no IO, reads no clock and draws no random numbers: equal inputs give equal passes.

mod cleanup;
mod facts;
mod finish;
mod obstacles;
mod plan;
pub mod recording;
mod slice;
mod stages;
mod status;
mod trace;
mod works;
mod world;
mod writes;

pub use facts::{Facts, Pass, SchedulingFact};
pub use plan::{Moment, explain, plan, plan_observed};
pub use slice::{Settings, Slice, Stages};
pub use trace::Trace;
