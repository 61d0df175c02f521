//! End-to-end scenarios, demo and benchmarks over real agents and control planes.
