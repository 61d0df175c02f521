//! Members that reach each other over loopback TCP with real TLS, and strangers that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

mod certificates;
mod eavesdropper;
mod fixture;
mod misuse;
mod pairs;
mod raw;
mod strangers;
