//! Placements and everything made from them, in the storage version.
//!
//! Fields stand in the declared order of the API, because hashes depend on it (placement-api 16.3).

mod applied_work;
mod apply_strategy;
mod approval;
mod binding;
mod details;
mod envelope;
mod eviction;
mod override_snapshot;
mod overrides;
mod placement;
mod policy;
mod policy_snapshot;
mod resource_snapshot;
pub(crate) mod rules;
mod selector_term;
mod staged_run;
mod staged_strategy;
mod status;
mod strategy;
mod work;

pub use applied_work::*;
pub use apply_strategy::*;
pub use approval::*;
pub use binding::*;
pub use details::*;
pub use envelope::*;
pub use eviction::*;
pub use override_snapshot::*;
pub use overrides::*;
pub use placement::*;
pub use policy::*;
pub use policy_snapshot::*;
pub use resource_snapshot::*;
pub use selector_term::*;
pub use staged_run::*;
pub use staged_strategy::*;
pub use status::*;
pub use strategy::*;
pub use work::*;

#[cfg(test)]
mod tests;
