//! Exported Services on the hub: what a member reports of one, the InternalServiceExport that records it, and which
//! exports of one service agree with one another (networking 3.6, 4, 9.3 and 16.3).

mod export;
mod facts;
mod plan;
pub(crate) mod read;
mod record;
mod resolve;
mod settings;
mod topic;
mod validate;
mod write;

pub use export::{
    Conflict, ExportKey, ExportReport, LookupError, PublicIp, PublicIpState, ServicePort, ServiceRef, TargetPort,
    Verdict, WithdrawReason, Withdrawal,
};
pub use facts::Facts;
pub use plan::{Judged, Plan, plan};
pub use record::{HUB_MANAGER, MEMBER_MANAGER, Record, is_recorded, manifest, record_name};
pub use resolve::{Judgement, resolve};
pub use settings::EndpointSettings;
pub use topic::{ExportChange, Exports};
pub use validate::validate;
pub use write::{Scope, Step, address_of, report, still_going, surplus, withdraw};
