//! The hub agent: decides which member cluster gets which resources, and writes it down as Works.
//!
//! It is a shell around the pure planner of `fairway-core`: watches fill indexes, changes wake keys, a worker gathers
//! the slice of a key, lets the planner decide and executes the result. It decides nothing itself, reads nothing from the
//! API server outside of watches, and never depends on the member agent.

mod app;
pub mod args;
mod controllers;
mod execute;
pub mod link;
mod metrics;
mod required;
mod resources;
pub mod services;
mod store;
mod wake;

pub use app::{Clients, Failure, run};
pub use args::Config;
pub use required::Missing;
