//! The member agent: applies Works on its cluster and reports back.
