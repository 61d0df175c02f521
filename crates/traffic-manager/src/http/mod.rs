//! The HTTP surface: ARM, tokens, the description of the cloud, and hints.

mod metadata;
mod operation;
mod serve;
mod surface;

pub use serve::{Arm, Listen, ServeError};
pub use surface::{Effect, Interceptor, Seen, Surface};
