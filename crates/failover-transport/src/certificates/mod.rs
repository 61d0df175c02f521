//! Certificates of members: where they come from, and when one of somebody else is accepted (multicluster-failover B.4).

mod authority;
mod chain;
mod credentials;
pub mod derived;
mod error;
pub mod hub;
mod hub_authority;
mod leaf;
pub mod provided;
mod refusal;

pub use authority::{Authority, Source};
pub(crate) use chain::algorithms;
pub use chain::{ACCEPTED_AFTER_EXPIRY, Peer, Role, check};
pub use credentials::{Credentials, Identity};
pub use error::CertificateError;
pub use hub_authority::{HubAuthority, Issued, RequestError};
pub use leaf::BACK_DATED;
pub use refusal::Refusal;

#[cfg(test)]
mod tests;
