//! Connections between the members of a MultiCluster fleet (multicluster-failover B.4): keys from the callsign,
//! certificates, TLS, framing and messages.
//!
//! Decides nothing about who leads: that does crate `failover`. This crate never uses a Kubernetes client; callers bring
//! key material as bytes and store it themselves.

pub mod certificates;
mod connection;
mod deriver;
mod dialling;
mod endpoint;
mod event;
mod failure;
pub mod frame;
mod handshake;
mod keys;
mod limits;
mod listener;
mod names;
mod pairs;
mod registry;
mod shared;
mod tls;
pub mod wire;

pub use deriver::Deriver;
pub use endpoint::{Endpoint, SendError, Transport};
pub use event::Event;
pub use failure::{DialFailure, Rejection, Rejections};
pub use keys::{CallsignId, CallsignKeys, KeyError, WEAK_BELOW};
pub use limits::Limits;
pub use listener::{ListenError, Listening};
pub use names::{Named, member_id};
