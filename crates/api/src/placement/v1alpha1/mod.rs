//! Version `v1alpha1`: the first form of overrides, evictions and staged updates (placement-api 2.2).
//!
//! Types stand here only where the schema differs. An update through this version loses the fields that it lacks.

mod kinds;
mod staged_run;

pub use kinds::*;
pub use staged_run::*;
