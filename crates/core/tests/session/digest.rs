//! The digest of a full sync, which agents of other versions compute as well.

use std::collections::BTreeMap;

use fairway_core::link::digest::digest;
use fairway_core::services::{
    ExportKey, ExportReport, Exports, PublicIp, PublicIpState, ServicePort, ServiceRef, TargetPort,
};

#[test]
fn the_digest_of_exports_stays_what_other_versions_compute() {
    let key = ExportKey {
        namespace: "app".into(),
        name: "web".into(),
    };
    let report = ExportReport {
        service: ServiceRef {
            uid: "u".into(),
            resource_version: "7".into(),
            api_version: "v1".into(),
            kind: "Service".into(),
        },
        exported_since: None,
        ports: vec![
            ServicePort {
                name: "web".into(),
                protocol: "TCP".into(),
                app_protocol: Some("h2c".into()),
                port: 80,
                target_port: Some(TargetPort::Number(8080)),
            },
            ServicePort {
                name: String::new(),
                protocol: "UDP".into(),
                app_protocol: None,
                port: 53,
                target_port: Some(TargetPort::Name("dns".into())),
            },
        ],
        service_type: "LoadBalancer".into(),
        weight: Some(5),
        internal_load_balancer: true,
        public_ip: PublicIp {
            state: PublicIpState::Found,
            ip: "1.2.3.4".into(),
            resource_id: "/id".into(),
            dns_label_configured: true,
            fqdn: "f".into(),
            error: None,
        },
        // Older versions do not know it.
        is_ready: Some(true),
        endpoint: fairway_core::services::EndpointSettings::default(),
    };
    let digest = digest::<Exports>(&BTreeMap::from([(key, report)]));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "5063f17b1fe2f9b6d3fd3916bfd065fe285a6d0fa36e5ea2bd4142832bbf1a84");
}
