//! Every decision of the fleet as a pure function: no IO, no clock, no randomness.

pub mod link;
