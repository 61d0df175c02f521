//! The hub agent: places resources on member clusters.

pub mod link;
