//! The agent against two API servers in memory: a hub and a member.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod faults;
mod lifecycle;
mod members;
mod moves;
mod outage;
mod ownership;
mod statuses;
mod values;
mod watches;
mod world;
