//! Every decision of the fleet as a pure function: no IO, no clock, no randomness.

pub mod apply;
mod content;
mod difference;
pub mod digest;
pub mod effects;
mod envelope;
pub mod exports;
pub mod heartbeat;
pub mod link;
pub mod members;
pub mod meta;
pub mod objects;
pub mod overrides;
pub mod placement;
pub mod problem;
pub mod render;
pub mod report;
pub mod rollout;
pub mod schedule;
pub mod select;
mod serde_arc;
pub mod services;
pub mod snapshot;
mod spread;
pub mod trace;
pub mod traffic;
