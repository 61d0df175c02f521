//! Group `kube-vip.io`: one payload, several clusters, at most one of which runs it (multicluster-failover A.1 to A.3).

pub mod names;
pub mod v1alpha1;
