//! Agent runtime: clients, watches into indexes, queues, leases, events, logging, probes and metrics.
//!
//! Everything an agent needs between the operating system and its decisions. It knows Kubernetes' protocol but no
//! kind of the fleet: it must never decide anything about placements, and it is the only place that builds a
//! [`kube::Client`].

// What a task holds for as long as it runs is memory of the agent; what it holds for a moment is boxed.
#![warn(clippy::large_futures)]

pub mod activity;
pub mod admin;
pub mod backoff;
pub mod client;
pub mod clock;
pub mod controller;
pub mod error;
pub mod events;
pub mod flags;
mod history;
pub mod index;
pub mod lease;
pub mod link;
pub mod managed;
pub mod metrics;
pub mod queue;
pub mod reachability;
pub mod repair;
pub mod rest;
pub mod runtime;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod trim;
mod version;
pub mod writer;

pub use api::resource::{self, ObjectKey, Resource};
pub use error::{Class, Error};
pub use runtime::install_crypto;
