//! Patches and merges of Kubernetes objects: JSON patch, merge patch, strategic merge, three-way apply, server-side apply, diffs.
//!
//! Everything works on `serde_json::Value` and returns new values. The crate knows the built-in kinds of Kubernetes (their merge
//! keys) and nothing of the fleet's kinds; it does no IO, reads no clock and keeps no state.

pub mod diff;
mod equal;
mod json_patch;
mod merge_patch;
pub mod ssa;
pub mod strategic;
mod types;
mod unions;
pub mod values;

pub use json_patch::{PatchError, json_patch, json_patch_request};
pub use merge_patch::{merge_patch, three_way_json};
pub use types::{ListKind, TypeInfo};
pub use unions::branches_in_the_way;
