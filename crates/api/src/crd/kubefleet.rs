//! Kinds of `placement.kubefleet.dev`.

use super::Crd;
use crate::kubefleet::v1alpha1::*;

const KUBEFLEET: &[&str] = &["kubefleet", "kubefleet-placement"];

pub(super) fn kinds() -> Vec<Crd> {
    vec![
        Crd::new::<PlacementPolicy>(&[], KUBEFLEET).with_status(),
        Crd::new::<ClusterPlacementPolicy>(&[], KUBEFLEET).with_status(),
        Crd::new::<PlacementBinding>(&[], KUBEFLEET).with_status(),
        Crd::new::<ClusterPlacementBinding>(&[], KUBEFLEET).with_status(),
        Crd::new::<PlacementResourceSnapshot>(&[], KUBEFLEET),
        Crd::new::<ClusterPlacementResourceSnapshot>(&[], KUBEFLEET),
        Crd::new::<ClusterRequest>(&[], KUBEFLEET).with_status(),
        Crd::new::<Work>(&[], KUBEFLEET).with_status(),
    ]
}
