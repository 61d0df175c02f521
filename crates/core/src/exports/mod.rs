//! The member's half of service export: which Service a ServiceExport stands for, whether it may be exported, what
//! is reported to the hub, and which conditions its users see (networking section 9).

mod address;
mod decide;
mod feedback;
mod readiness;
mod view;
mod weight;

pub use address::{Address, Listing, PublicAddress, address};
pub use decide::{Decision, Finalizer, LinkStep, decide};
pub use feedback::{refused, verdict};
pub use readiness::{SliceView, readiness};
pub use view::{ExportView, ServiceView};
pub use weight::weight;

/// An event to record on a ServiceExport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportEvent {
    /// Who it is from.
    pub source: &'static str,
    /// Whether it is a warning.
    pub warning: bool,
    /// Its reason.
    pub reason: &'static str,
    /// Its text.
    pub note: String,
}

#[cfg(test)]
mod tests;
