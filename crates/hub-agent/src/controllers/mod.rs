//! The hub agent's controllers: each gathers what is known about a key and lets `core` plan.

pub mod deferred;
pub mod member;
pub mod overrides;
pub mod placement;
