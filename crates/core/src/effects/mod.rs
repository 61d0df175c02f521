//! What decisions result in: data that a shell executes without knowing its meaning.
//!
//! Every planner of the fleet returns a [`Plan`]; what is particular to one goes into its facts. Objects are addressed
//! by an open descriptor of their API ([`Resource`]), so that no place has to know all kinds.

mod plan;
mod tracked;
mod write;

pub use api::resource::Resource;
pub use plan::{Event, Plan, Standing};
pub use tracked::{Tracked, Versioned};
pub use write::{Target, Write};
