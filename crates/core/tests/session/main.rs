//! Both sides of the members' sessions against each other, over a network and processes that fail in every way
//! (networking 16.8). What the shells do between the two is modelled here in a few lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod digest;
mod fleet;
mod hub;
mod properties;
