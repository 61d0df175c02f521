//! A DNS-based global load balancer that anyone can run, with the API of Azure Traffic Manager.
//!
//! Hub agents write profiles and endpoints over the HTTP surface ([`http`]), in the language of Azure Resource Manager
//! ([`arm`]). Decisions are pure ([`decide`]); one engine ([`engine`]) makes them one after the other and stores what
//! changes ([`store`]) before it answers. Endpoints are watched ([`probe`]), and what is healthy is published as a zone
//! ([`zone`]) to the DNS server of the crate `dns`.
//!
//! It knows nothing of Kubernetes, and holds nothing that two instances fed by the same hub agent would answer differently.

pub mod app;
pub mod args;
pub mod arm;
pub mod auth;
pub mod decide;
pub mod dns_metrics;
pub mod engine;
pub mod error;
pub mod faults;
pub mod health;
pub mod http;
pub mod metrics;
pub mod model;
pub mod probe;
pub mod recovery;
pub mod state;
pub mod store;
pub mod throttle;
pub mod transitions;
pub mod zone;
