//! Group `cluster.kubernetes-fleet.io`, one module per version. Agents use [`v1beta1`] only.

pub mod v1;
pub mod v1beta1;
