//! Watches endpoints: what is probed follows from the state, each endpoint has a task of its own, and what the probes come
//! to goes to the engine when it is a change.

mod http;
mod plan;
mod prober;
mod run;

#[cfg(test)]
mod tests;

pub use plan::{EndpointKey, Plan, Probe, plans};
pub use prober::{Limits, Prober};
