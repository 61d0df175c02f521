//! The hub agent against the embedded API server, while the test plays the members.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod back;
mod crash;
mod details;
mod history;
mod leader;
mod life;
mod members;
mod metrics;
mod mistakes;
mod storm;
mod traffic;
mod unreadable;
mod world;
