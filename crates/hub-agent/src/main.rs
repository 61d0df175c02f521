//! Entry point of the hub agent.
fn main() {}
