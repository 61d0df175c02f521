//! How a Work becomes objects on the member: every decision of the member agent's applier (member-behaviour 4 to 7).
//!
//! A pass goes through these steps; the shell does the requests in between:
//! 1. [`Work::decode`], then one [`Record`] per manifest; [`refuse_nameless_and_duplicates`];
//! 2. [`left_overs`]: what must go first ([`release`]), unless another Work takes it ([`Siblings`]); then
//!    [`announcement`]: what must be on record before anything is applied;
//! 3. per manifest, ordered by [`wave`], a [`Pipeline`] that returns requests until it has an [`ManifestResult`];
//! 4. [`report`] and [`record`]: the status of the Work and of the AppliedWork;
//! 5. [`Backoff`]: when the next pass is due.
//!
//! [`deletion`] decides about a Work that is going. Nothing here does IO or reads a clock.

mod applied;
mod availability;
mod blocked;
mod canonical;
mod comparable;
pub mod deletion;
mod details;
mod handover;
mod history;
mod identity;
mod outcome;
mod owners;
mod ownership;
mod patch;
mod pipeline;
mod prepare;
mod print;
mod report;
mod request;
mod requeue;
mod secrets;
mod strategy;
mod trim;
mod waves;
mod work;
mod work_group;
mod write_ahead;

pub use applied::{Record as AppliedRecord, record};
pub use availability::{Availability, availability, depends_on_content};
pub use blocked::{blocked, holder, untaken, waits_for_takers};
pub use canonical::canonical;
pub use comparable::{is_reserved, manifest_hash};
pub use details::{MAX_DETAILS, differences};
pub use handover::{Arrival, EARLY_WAIT, Fate, Siblings};
pub use history::{Contest, WriteHistory};
pub use identity::{Identity, Record, Refusal, Resource, refuse_nameless_and_duplicates};
pub use outcome::{Live, ManifestResult, ResultType};
pub use owners::{Owner, WorkClaim, has_owner};
pub use pipeline::{Pipeline, Terms};
pub use prepare::{ANNOTATION_BUDGET, sanitize};
pub use print::Print;
pub use report::{Entry, Report, Subject, report};
pub use request::{Answer, Failure, FailureKind, Next, PatchFormat, Request};
pub use requeue::{Backoff, Finding, Settings, aged_priority};
pub use strategy::{ApplyType, Comparison, Strategy, TakeOver};
pub use trim::SIZE_LIMIT;
pub use waves::{LAST_WAVE, wave};
pub use work::{AppliedWork, HELD_ANNOTATION, Unreadable, Work};
pub use work_group::{ObjectSet, WorkGroup};
pub use write_ahead::{Announcement, Release, announcement, left_overs, recorded, release};
