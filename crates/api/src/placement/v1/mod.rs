//! Version `v1`: what [`super::v1beta1`] was before delete and report-back strategies (placement-api 2.2).
//!
//! Types stand here only where the schema differs. An update through this version loses the fields that it lacks.

mod details;
mod kinds;
mod placement;
mod work;

pub use details::*;
pub use kinds::*;
pub use placement::*;
pub use work::*;
