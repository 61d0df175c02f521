//! The planner against a tiny model of the hub: whole lives, counted writes, and properties of every pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod back;
mod chaos;
mod ends;
mod hub;
mod life;
mod mistakes;
mod properties;
mod repair;
mod replay;
mod rollout;
