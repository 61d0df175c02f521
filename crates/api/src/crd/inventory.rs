//! Kinds of `multicluster.x-k8s.io`.

use super::Crd;
use crate::inventory::v1alpha1::ClusterProfile;

pub(super) fn kinds() -> Vec<Crd> {
    vec![Crd::new::<ClusterProfile>(&[], &[]).with_status()]
}
