//! Networking kinds that have reached `v1beta1`.

mod service_export;

pub use service_export::*;
