//! Networking kinds of version `v1alpha1`.

mod endpoint_slice;
mod internal_service_export;
mod multi_cluster_service;
mod service_export;
mod service_import;
mod traffic_manager;

pub use endpoint_slice::*;
pub use internal_service_export::*;
pub use multi_cluster_service::*;
pub use service_export::*;
pub use service_import::*;
pub use traffic_manager::*;
