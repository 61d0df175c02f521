//! Kinds of `networking.fleet.azure.com` (networking 3).

use super::Crd;
use super::columns::Column;
use crate::networking::{v1alpha1, v1beta1};
use crate::text::conditions::networking::{ACCEPTED, CONFLICT, PROGRAMMED, VALID};

const NETWORKING: &[&str] = &["fleet-networking"];

fn condition(name: &str, type_: &str) -> Column {
    Column::text(name, &format!(".status.conditions[?(@.type=='{type_}')].status"))
}

pub(super) fn kinds() -> Vec<Crd> {
    let mut kinds = services();
    kinds.extend(traffic());
    kinds
}

fn services() -> Vec<Crd> {
    let export = [
        condition("Is-Valid", VALID),
        condition("Is-Conflicted", CONFLICT),
        Column::age(),
    ];
    let service = [
        Column::text("Service-Import", ".spec.serviceImport.name"),
        Column::text("External-IP", ".status.loadBalancer.ingress[0].ip"),
        condition("Is-Valid", VALID),
        Column::age(),
    ];
    vec![
        Crd::new::<v1beta1::ServiceExport>(&["svcexport"], NETWORKING)
            .served::<v1alpha1::ServiceExport>()
            .columns(&export)
            .with_status(),
        Crd::new::<v1alpha1::ServiceImport>(&["svcimport"], NETWORKING).with_status(),
        Crd::new::<v1alpha1::MultiClusterService>(&["mcs"], NETWORKING)
            .columns(&service)
            .with_status(),
        Crd::new::<v1alpha1::InternalServiceExport>(&["internalsvcexport"], NETWORKING).with_status(),
        Crd::new::<v1alpha1::InternalServiceImport>(&["internalsvcimport"], NETWORKING).with_status(),
        // The status is declared and has no field.
        Crd::new::<v1alpha1::EndpointSliceExport>(&[], NETWORKING).with_status(),
        Crd::new::<v1alpha1::EndpointSliceImport>(&[], NETWORKING),
    ]
}

fn traffic() -> Vec<Crd> {
    let profile = [
        Column::text("DNS-Name", ".status.dnsName"),
        condition("Is-Programmed", PROGRAMMED),
        Column::age(),
    ];
    let backend = [
        Column::text("Profile", ".spec.profile.name"),
        Column::text("Backend", ".spec.backend.name"),
        condition("Is-Accepted", ACCEPTED),
        Column::age(),
    ];
    vec![
        Crd::new::<v1beta1::TrafficManagerProfile>(&["tmp"], NETWORKING)
            .served::<v1alpha1::TrafficManagerProfile>()
            .columns(&profile)
            .with_status(),
        Crd::new::<v1beta1::TrafficManagerBackend>(&["tmb"], NETWORKING)
            .served::<v1alpha1::TrafficManagerBackend>()
            .columns(&backend)
            .with_status(),
    ]
}
