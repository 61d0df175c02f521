//! The planner of public traffic against a small model of a traffic manager: whole lives, the tables of the contract,
//! and properties under random faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod atm;
mod bursts;
mod deletion;
mod drift;
mod hints;
mod life;
mod priorities;
mod properties;
mod tables;
mod world;
