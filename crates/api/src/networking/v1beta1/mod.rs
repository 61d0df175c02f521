//! Networking kinds that have reached `v1beta1`.

mod service_export;
mod traffic_manager_backend;
mod traffic_manager_profile;

pub use service_export::*;
pub use traffic_manager_backend::*;
pub use traffic_manager_profile::*;
