//! Messages of TrafficManagerProfiles and TrafficManagerBackends.

use crate::text::messages::{backend, profile};

#[test]
fn messages_of_profiles_are_pinned() {
    let table = [
        (
            profile::PROGRAMMED.to_owned(),
            "Successfully configured the Azure Traffic Manager profile",
        ),
        (
            profile::DNS_NAME_NOT_AVAILABLE.to_owned(),
            "Domain name is not available. Please choose a different profile name or namespace",
        ),
        (profile::invalid("why"), "Invalid profile: why"),
        (profile::pending("why"), "Failed to configure profile and retrying: why"),
    ];
    for (message, text) in table {
        assert_eq!(message, text);
    }
}

#[test]
fn messages_of_backends_are_pinned() {
    let table = [
        (
            backend::EXPORTING.to_owned(),
            "In the process of exporting the services",
        ),
        (
            backend::INTERNAL_LOAD_BALANCER.to_owned(),
            "internal load balancer is not supported",
        ),
        (
            backend::PUBLIC_IP_PENDING.to_owned(),
            "in the processing of configuring public IP",
        ),
        (
            backend::NO_DNS_LABEL.to_owned(),
            "DNS label is not configured to the public IP",
        ),
        (
            backend::unsupported_type("ClusterIP"),
            "unsupported service type \"ClusterIP\"",
        ),
        (
            backend::profile_not_found("p"),
            "TrafficManagerProfile \"p\" is not found",
        ),
        (backend::invalid("because"), "Invalid backend: because"),
        (
            backend::invalid_profile("p"),
            "Invalid trafficManagerProfile \"p\", please check the trafficManagerProfile status",
        ),
        (
            backend::profile_in_process("p"),
            "In the processing of trafficManagerProfile \"p\"",
        ),
        (
            backend::azure_profile_not_found("p", "rg"),
            "Azure Traffic Manager profile \"p\" under \"rg\" is not found",
        ),
        (
            backend::azure_profile_unreadable("p", "rg", "why"),
            "Failed to get the Azure Traffic Manager profile \"p\" under \"rg\": why",
        ),
        (backend::service_not_found("s"), "ServiceImport \"s\" is not found"),
        (
            backend::export_not_found("ns", "s", "c"),
            "Failed to find the exported service \"ns/s\" for \"c\": its InternalServiceExport does not exist",
        ),
        (
            backend::accepted(2),
            "2 service(s) exported from clusters have been accepted as Traffic Manager endpoints",
        ),
        (
            backend::not_cleaned_up("e", "p", "why"),
            "Failed to cleanup the existing \"e\" for \"p\": why",
        ),
        (
            backend::not_written("e", "p", "why"),
            "Failed to create or update \"e\" for \"p\": why",
        ),
        (
            backend::refused(2, "why"),
            "2 endpoint(s) failed to be created/updated in the Azure Traffic Manager, for example, why; ",
        ),
        (
            backend::not_exposed(2, "c", "why"),
            "2 service(s) exported from clusters cannot be exposed as the Azure Traffic Manager, for example, service exported from c is invalid: why",
        ),
    ];
    for (message, text) in table {
        assert_eq!(message, text);
    }
}
