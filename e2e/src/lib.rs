//! Whole fleets on one machine: the demo, the end-to-end scenarios and the benchmarks run the real agent binaries
//! over real or embedded control planes. No agent ever uses this crate.

pub mod agents;
pub mod bare;
pub mod bench;
pub mod cases;
pub mod client;
pub mod demo;
pub mod follow;
pub mod manifests;
pub mod plot;
pub mod requests;
pub mod scenarios;
pub mod simulated_members;
pub mod table;
pub mod traffic_manager;
pub mod world;
