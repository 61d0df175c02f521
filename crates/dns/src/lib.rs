//! An authoritative DNS server whose answers are chosen per query.
//!
//! A caller publishes [`Zone`]s, immutable snapshots, through [`Zones`]; [`Server`] answers from the latest one over
//! UDP and TCP. Which endpoint of a name is answered depends on its [`Routing`], the client and a random draw.
//! The decision and the encoding of the answer are pure: [`respond`] and [`answer::answer`] take the packet, the
//! client's address and the draw as arguments.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dns::{Catalog, Config, Metrics, Server, Zone, Zones};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn serve(first: Zone, next: Zone) -> Result<(), Box<dyn std::error::Error>> {
//! let zones = Arc::new(Zones::new(Catalog::new(&[first])?));
//! let metrics = Arc::new(Metrics::default());
//! let server = Server::bind(&Config::default(), zones.clone(), metrics.clone())?;
//! let stop = CancellationToken::new();
//! let serving = tokio::spawn(server.run(stop.clone()));
//! // Any time later, as often as needed:
//! zones.publish(Catalog::new(&[next])?);
//! stop.cancel();
//! serving.await??;
//! # Ok(())
//! # }
//! ```
//!
//! The library knows nothing of health: who publishes a zone leaves out the endpoints that must not be answered.
//!
//! Each address family is a set of its own, as A and AAAA records are: an endpoint that has no address of the family
//! that is asked for takes no part in the choice, so that clients with one family always get an answer where there is
//! one.

pub mod answer;
mod catalog;
mod choice;
pub mod metrics;
mod networks;
pub mod rate_limit;
mod respond;
mod server;
pub mod wire;
mod zone;

pub use catalog::{Catalog, CatalogError, Zones};
pub use hickory_proto::rr::Name;
pub use metrics::Metrics;
pub use networks::{NetworkTable, NetworkTableError};
pub use rate_limit::{RateLimit, RateLimiter};
pub use respond::{Context, Dropped, Outcome, Transport, respond};
pub use server::{Config, Server, TcpLimits};
pub use zone::{Endpoint, NameEntry, NameServer, Routing, Soa, Target, Zone, ZoneError};
