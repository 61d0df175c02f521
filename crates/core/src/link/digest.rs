//! The digest that closes a full sync: both sides compute it over the same sorted keys and payloads.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{ExportKey, ExportReport, TargetPort};

/// SHA-256 over all exports of a cluster, in key order. Times are left out: they decide nothing.
pub fn digest(exports: &BTreeMap<ExportKey, ExportReport>) -> [u8; 32] {
    let mut sum = Sha256::new();
    for (key, report) in exports {
        feed(&mut sum, &key.namespace);
        feed(&mut sum, &key.name);
        feed_report(&mut sum, report);
    }
    sum.finalize().into()
}

fn feed_report(sum: &mut Sha256, report: &ExportReport) {
    for text in [
        &report.service.uid,
        &report.service.resource_version,
        &report.service.api_version,
        &report.service.kind,
        &report.service_type,
    ] {
        feed(sum, text);
    }
    sum.update(report.weight.unwrap_or(1).to_be_bytes());
    sum.update([u8::from(report.internal_load_balancer)]);
    sum.update((report.ports.len() as u64).to_be_bytes());
    for port in &report.ports {
        feed(sum, &port.name);
        feed(sum, &port.protocol);
        feed(sum, port.app_protocol.as_deref().unwrap_or_default());
        sum.update(port.port.to_be_bytes());
        match &port.target_port {
            None => sum.update([0]),
            Some(TargetPort::Number(number)) => {
                sum.update([1]);
                sum.update(number.to_be_bytes());
            }
            Some(TargetPort::Name(name)) => {
                sum.update([2]);
                feed(sum, name);
            }
        }
    }
    let ip = &report.public_ip;
    sum.update([ip.state as u8, u8::from(ip.dns_label_configured)]);
    feed(sum, &ip.ip);
    feed(sum, &ip.resource_id);
    feed(sum, &ip.fqdn);
}

/// Length first, so that neighbouring texts cannot be shifted into one another.
fn feed(sum: &mut Sha256, text: &str) {
    sum.update((text.len() as u64).to_be_bytes());
    sum.update(text.as_bytes());
}
