//! Group `multicluster.x-k8s.io`: the cluster inventory (placement-api 11.2).

pub mod v1alpha1;
