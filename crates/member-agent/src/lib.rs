//! The member agent: applies Works on its cluster and reports back.
//!
//! A thin shell around `fairway_core::apply` and `fairway_core::heartbeat`: it watches, sends the requests that decisions need
//! for, and writes what they say. It reads nothing on the hub but its own namespace, never decides what belongs where, and
//! withdraws nothing because the hub is silent.

// What a task holds for as long as it runs is memory of the agent; what it holds for a moment is boxed.
#![warn(clippy::large_futures)]

mod app;
pub mod args;
pub mod link;
mod member;
mod membership;
mod metrics;
pub mod refresh_token;
mod watch;
mod works;

pub use app::{Clients, run, run_with};
pub use args::Config;
pub use membership::Address;
