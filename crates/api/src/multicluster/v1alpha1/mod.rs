//! MultiCluster in its only version.

mod failover;
mod multi_cluster;
mod status;

pub use failover::*;
pub use multi_cluster::*;
pub use status::*;

#[cfg(test)]
mod tests;
