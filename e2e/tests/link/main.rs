//! The session between member and hub: the real halves, over real TLS and with real tokens, against embedded API
//! servers; and each half alone against a scripted other side that breaks off wherever it hurts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod breaks;
mod drain;
mod ends;
mod facts;
mod fake;
mod fleet;
mod leave;
mod life;
mod listener;
mod liveness;
mod objects;
mod raw;
mod stub;
mod thousand;
mod topics;
mod world;
