//! Which cluster of a MultiCluster fleet runs the payload, decided as pure functions.
//!
//! Several clusters hold a `MultiCluster` object with the same callsign; at most one of them, the leader, runs the
//! payload (`docs/contract/multicluster-failover.md`). Nothing here does IO, reads a clock or draws a random number:
//! callers hand in the time of a monotonic clock that counts suspend, and carry out the actions that come back.

pub mod configuration;
pub mod defect;
pub mod lease;
pub mod machine;
pub mod member;
pub mod message;
pub mod payload;
pub mod record;
pub mod time;
pub mod voter;
pub mod witness;
