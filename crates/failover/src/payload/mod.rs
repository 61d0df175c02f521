//! What is to be applied in the leader's cluster and removed from the old leader's (multicluster-failover B.9).
//!
//! An executor repeats: observe what [`wanted`] names, plan ([`plan_apply`] or [`plan_remove`]), carry out the steps in
//! their order and note each answer in the [`Round`], until a plan is `done`. Nothing else has to survive a crash but the
//! stored [`Inventory`]: it names every object before that object is written.
//! - [`Payload`] is what users wrote, [`Resolved`] the same with the API of each object, in the order of application.
//! - [`Owner`] is the MultiCluster on whose behalf objects are written.

mod apply;
mod contents;
mod decode;
mod inventory;
mod object;
mod observed;
mod order;
mod pods;
mod readiness;
mod remove;
mod resolve;
mod retire;
mod stamp;
mod step;
#[cfg(test)]
mod tests;

pub use apply::{ApplyInput, dry_run, foreign_workloads, plan_apply};
pub use decode::{Invalid, MAX_BYTES, MAX_OBJECTS, Manifest, Payload, Problem};
pub use inventory::{Damaged, Entry, Inventory, ShardWrite, State, writes};
pub use object::ObjectId;
pub use observed::{Observed, Outcome, Round, wanted};
pub use order::Wave;
pub use readiness::unavailable;
pub use remove::{Removal, RemoveInput, plan_remove};
pub use resolve::{Kind, Mapping, Object, Resolved, Unresolved};
pub use stamp::Owner;
pub use step::{Findings, Plan, Propagation, Step};
