//! What the traffic manager keeps: profiles with their endpoints, and public IP addresses. Plain data without any rule
//! about requests; the JSON form of these types is the form in the store.

mod address;
mod endpoint;
mod header;
mod id;
mod profile;

pub use address::PublicAddress;
pub use endpoint::{Endpoint, EndpointKind, Health, Hint, Target};
pub use header::Header;
pub use id::{Group, ResourceId, ResourceKey};
pub use profile::{Monitor, Profile, Protocol, Routing, StatusRange};
