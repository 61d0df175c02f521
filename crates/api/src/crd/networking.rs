//! Kinds of `networking.fleet.azure.com` (networking 3).

use super::Crd;
use super::columns::Column;
use crate::networking::{v1alpha1, v1beta1};

const NETWORKING: &[&str] = &["fleet-networking"];

pub(super) fn kinds() -> Vec<Crd> {
    let export = [
        Column::text("Is-Valid", ".status.conditions[?(@.type=='Valid')].status"),
        Column::text("Is-Conflicted", ".status.conditions[?(@.type=='Conflict')].status"),
        Column::age(),
    ];
    vec![
        Crd::new::<v1beta1::ServiceExport>(&["svcexport"], NETWORKING)
            .served::<v1alpha1::ServiceExport>()
            .columns(&export)
            .with_status(),
        Crd::new::<v1alpha1::InternalServiceExport>(&["internalsvcexport"], NETWORKING).with_status(),
    ]
}
