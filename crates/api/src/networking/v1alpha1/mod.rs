//! Networking kinds of version `v1alpha1`.

mod internal_service_export;
mod service_export;

pub use internal_service_export::*;
pub use service_export::*;
