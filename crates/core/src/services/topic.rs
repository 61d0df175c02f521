//! Exports as a topic of the session.

use super::{ExportKey, ExportReport, TargetPort, Withdrawal};
use crate::link::digester::Digester;
use crate::link::{Change, Topic};

/// The exports of a member: it reports each Service that it exports, and withdraws those that it no longer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exports;

/// A report or a withdrawal of an export.
pub type ExportChange = Change<Exports>;

impl Topic for Exports {
    const NAME: &'static str = "exports";

    type Key = ExportKey;
    type State = ExportReport;
    type Removal = Withdrawal;

    /// Times are left out: they decide nothing. So is what reports did not have at first: readiness and lookup errors, which
    /// older versions do not know.
    fn digest(key: &ExportKey, report: &ExportReport, digester: &mut Digester) {
        digester.text(&key.namespace);
        digester.text(&key.name);
        for text in [
            &report.service.uid,
            &report.service.resource_version,
            &report.service.api_version,
            &report.service.kind,
            &report.service_type,
        ] {
            digester.text(text);
        }
        digester.bytes(&report.weight.unwrap_or(1).to_be_bytes());
        digester.bytes(&[u8::from(report.internal_load_balancer)]);
        digester.bytes(&(report.ports.len() as u64).to_be_bytes());
        for port in &report.ports {
            digester.text(&port.name);
            digester.text(&port.protocol);
            digester.text(port.app_protocol.as_deref().unwrap_or_default());
            digester.bytes(&port.port.to_be_bytes());
            match &port.target_port {
                None => digester.bytes(&[0]),
                Some(TargetPort::Number(number)) => {
                    digester.bytes(&[1]);
                    digester.bytes(&number.to_be_bytes());
                }
                Some(TargetPort::Name(name)) => {
                    digester.bytes(&[2]);
                    digester.text(name);
                }
            }
        }
        let ip = &report.public_ip;
        digester.bytes(&[ip.state as u8, u8::from(ip.dns_label_configured)]);
        for text in [&ip.ip, &ip.resource_id, &ip.fqdn] {
            digester.text(text);
        }
    }
}
