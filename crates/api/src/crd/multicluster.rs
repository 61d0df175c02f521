//! Kinds of `kube-vip.io` (multicluster-failover A.1, B.2).

use super::Crd;
use super::columns::Column;
use crate::multicluster::v1alpha1::MultiCluster;

pub(super) fn kinds() -> Vec<Crd> {
    let columns = [
        Column::integer("Rank", ".spec.rank"),
        Column::boolean("Leading", ".status.leading"),
        Column::text("Leader", ".status.leaderAddress"),
        Column::integer("Term", ".status.term"),
        Column::age(),
    ];
    vec![Crd::new::<MultiCluster>(&[], &[]).columns(&columns).with_status()]
}
