//! Entry point of the member agent.
fn main() {}
