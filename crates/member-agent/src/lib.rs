//! The member agent: applies Works on its cluster and reports back.

pub mod link;
