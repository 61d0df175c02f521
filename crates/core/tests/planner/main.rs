//! The planner against a tiny model of the hub: whole lives, counted writes, and properties of every pass.

mod hub;
mod life;
mod properties;
mod rollout;
