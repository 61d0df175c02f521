//! The hub agent: decides which member cluster gets which resources, and writes it down as Works.
//!
//! It is a shell around the pure planner of `fairway-core`: watches fill indexes and queues, and controllers
//! gather what is known about a key, let a planner decide and execute the result. It decides nothing itself, reads nothing from the
//! API server outside of watches, and never depends on the member agent.

// What a task holds for as long as it runs is memory of the agent; what it holds for a moment is boxed.
#![warn(clippy::large_futures)]

mod app;
pub mod args;
mod controllers;
pub mod link;
mod metrics;
mod presence;
mod queues;
mod required;
mod resources;
pub mod services;
mod store;
mod traffic;

pub use app::{Clients, Failure, run};
pub use args::Config;
pub use required::Missing;
