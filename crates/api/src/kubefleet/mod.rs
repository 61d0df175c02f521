//! Group `placement.kubefleet.dev`: declared types without controllers (placement-api 11.1).

pub mod v1alpha1;
