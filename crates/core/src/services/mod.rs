//! The InternalServiceExport that records a member's report, and which exports of one service agree with one another
//! (networking 3.6, 4, 9.3 and 16.3).

mod record;
mod resolve;
mod write;

pub use record::{HUB_MANAGER, MEMBER_MANAGER, Record, is_recorded, manifest, record_name};
pub use resolve::{Judgement, resolve};
pub use write::{Scope, Step, address_of, report, still_going, surplus, withdraw};
