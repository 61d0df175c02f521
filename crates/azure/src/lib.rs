//! Azure for the agents: Traffic Manager's profiles and endpoints, public IP addresses, and what is needed to be somebody
//! there.
//!
//! The port is [`TrafficManager`], [`PublicIpAddresses`] and [`EndpointHints`]; [`Azure`] implements all of them. No type of an `azure_*` crate is
//! part of the public surface, so that nobody else names them. The crate must never decide what a profile or an endpoint
//! should be, repeat a call by itself, or show a credential.

mod arm;
mod cache;
mod config;
mod credential;
mod error;
mod limit;
mod model;
mod port;
mod secret;
mod throttle;
mod transport;

pub use arm::{Azure, Options, next_page};
pub use config::{Cloud, CloudConfig, ConfigError, DEFAULT_PATH, Endpoints, Environment, Identity};
pub use error::{Class, Error};
pub use limit::{CallKind, Limits};
pub use model::{Degraded, Endpoint, EndpointHint, Profile, ProfileRef, PublicIp};
pub use port::{EndpointHints, PublicIpAddresses, TrafficManager, Turn};
pub use secret::Secret;
pub use transport::{DEADLINE, Transport, TransportOptions};

pub use azure_core::Url;

/// Readers of what others send, for fuzzing.
#[doc(hidden)]
pub mod readers {
    pub use crate::config::{environment_file, metadata};
    pub use crate::credential::reads_managed_token;
    pub use crate::error::read_refusal;
}
