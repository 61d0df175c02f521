//! Group `networking.fleet.azure.com`, one module per version.

pub mod synthetic_address;
pub mod v1alpha1;
pub mod v1beta1;
