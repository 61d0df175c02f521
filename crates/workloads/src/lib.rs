//! Makes workloads report what a healthy cluster would, where no kubelet runs.
//!
//! [`Simulator`] stands in for scheduler, kubelet and load balancer for one cluster: it keeps Node objects ready, binds and
//! runs Pods, and gives load balancer Services an address, at which it answers HTTP requests in the place of their ready
//! Pods where that is asked for ([`Options::serve_as`]). Where no controller manager runs either it plays the
//! workload controllers as well ([`Options::controllers`]): Deployment, ReplicaSet, StatefulSet, DaemonSet, Job and
//! the EndpointSlices of Services.
//!
//! Everything is driven by watches; a cluster in which nothing happens sees no request. No container runs, no time
//! passes between states unless [`Options::start_delay`] says so, and `minReadySeconds` and rolling update limits are
//! not honoured: a new revision comes up beside the old one, which goes when the new one is ready. It must never run
//! in production, and it decides nothing about placements.
//!
//! Failures on demand: a container image that begins with [`FAILING_IMAGE`] never becomes ready, and a node with the
//! annotation [`NODE_READY_ANNOTATION`]` = "false"` is not ready, nor is any Pod on it.

mod balancers;
mod conditions;
mod context;
mod controllers;
mod key;
mod nodes;
mod options;
mod pod_state;
mod pods;
mod schedule;
mod services;
mod simulator;

pub use options::{NodeSize, Options};
pub use simulator::Simulator;

/// Container images that begin with this never become ready.
pub const FAILING_IMAGE: &str = "fail:";

/// On a Node: `"false"` makes it not ready.
pub const NODE_READY_ANNOTATION: &str = "workloads.fairway.invalid/node-ready";
