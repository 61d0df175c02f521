//! The traffic manager over real connections: its HTTP surface, its DNS answers, and its store under kill -9.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod client;
mod crash;
mod failover;
mod instances;
mod surface;
mod tls;
mod tools;
