//! The hub agent: places resources on member clusters.
