//! Every decision of the fleet as a pure function: no IO, no clock, no randomness.

pub mod exports;
pub mod link;
pub mod objects;
pub mod placement;
pub mod problem;
pub mod schedule;
pub mod select;
pub mod services;
pub mod snapshot;
