//! Overrides: which of them concern a placement, which of those a cluster, and what they do to a manifest
//! (hub-behaviour 6). Overrides are read as snapshots; [`snapshots`] plans how those are kept.
//!
//! Nothing here writes an object of its own accord: the rollout stage records what was picked in bindings,
//! and the render stage applies what bindings name.

mod apply;
mod matching;
mod pick;
mod reading;
pub mod references;
pub mod snapshots;
mod trace;
mod variables;

#[cfg(test)]
mod tests;

pub use apply::{Applicable, Cluster};
pub use matching::{Matched, matched};
pub use pick::{Picked, pick};
pub use trace::{Effect, RuleTrace};
