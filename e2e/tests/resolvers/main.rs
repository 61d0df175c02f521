//! The traffic manager's DNS server as programs of others see it: `dig` and `kdig`, and `unbound` as a resolver in front.
//!
//! The real binary runs with a zone that is written through the client of crate `azure`. `cargo xtask test` installs
//! the programs where it may. A test whose program is missing says so and counts as passed, except in CI (environment
//! variable `CI`), where it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod answer;
mod manager;
mod programs;
mod queries;
mod unbound;
