//! Group `networking.fleet.azure.com`, one module per version, and the rules that belong to no kind of it.

pub mod synthetic_address;
pub mod traffic_names;
pub mod v1alpha1;
pub mod v1beta1;
pub mod weights;
