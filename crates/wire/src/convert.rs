//! Conversions between the generated messages and the link types of `core`. Enum values that this version does not
//! know become the most careful value that it knows; a message without a part that it cannot do without is refused.

use fairway_core::link;
use jiff::Timestamp;

use crate::member as pb;

/// A message lacks a part that it cannot do without.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("The field {0} is missing; send it.")]
pub struct Missing(pub &'static str);

impl From<&link::ExportKey> for pb::ExportKey {
    fn from(key: &link::ExportKey) -> Self {
        Self {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

/// The key of a message.
pub fn key(key: Option<pb::ExportKey>) -> Result<link::ExportKey, Missing> {
    let key = key.ok_or(Missing("key"))?;
    Ok(link::ExportKey {
        namespace: key.namespace,
        name: key.name,
    })
}

/// Seconds and nanoseconds as the wire counts them.
pub fn time_to_wire(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}

/// A time from the wire; none when it lies outside of what a calendar holds.
pub fn time_from_wire(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// A change as the message that carries it.
pub fn change_to_wire(
    seq: u64,
    sync_id: Option<String>,
    key: &link::ExportKey,
    change: &link::Change,
) -> pb::MemberMessage {
    let body = match change {
        link::Change::Report(report) => pb::member_message::Body::Export(report_to_wire(seq, sync_id, key, report)),
        link::Change::Withdraw(withdrawal) => pb::member_message::Body::Withdraw(pb::ExportWithdraw {
            seq,
            key: Some(key.into()),
            service_uid: withdrawal.service_uid.clone(),
            reason: withdraw_reason_to_wire(withdrawal.reason).into(),
        }),
    };
    pb::MemberMessage { body: Some(body) }
}

fn report_to_wire(
    seq: u64,
    sync_id: Option<String>,
    key: &link::ExportKey,
    report: &link::ExportReport,
) -> pb::ExportReport {
    let ip = &report.public_ip;
    pb::ExportReport {
        seq,
        sync_id: sync_id.unwrap_or_default(),
        key: Some(key.into()),
        service: Some(pb::ServiceRef {
            uid: report.service.uid.clone(),
            resource_version: report.service.resource_version.clone(),
            api_version: report.service.api_version.clone(),
            kind: report.service.kind.clone(),
        }),
        exported_since: report.exported_since.map(time_to_wire),
        ports: report.ports.iter().map(port_to_wire).collect(),
        service_type: report.service_type.clone(),
        weight: report.weight,
        internal_load_balancer: report.internal_load_balancer,
        public_ip: Some(pb::PublicIp {
            state: public_ip_state_to_wire(ip.state).into(),
            ip: ip.ip.clone(),
            resource_id: ip.resource_id.clone(),
            dns_label_configured: ip.dns_label_configured,
            fqdn: ip.fqdn.clone(),
            observed_at: None,
            error: None,
        }),
    }
}

/// Bytes that a report takes on the wire.
pub fn size(message: &pb::ExportReport) -> u64 {
    u64::try_from(prost::Message::encoded_len(message)).unwrap_or(u64::MAX)
}

/// A report from the wire, with its key.
pub fn report(message: pb::ExportReport) -> Result<(link::ExportKey, link::ExportReport), Missing> {
    let key = key(message.key)?;
    let service = message.service.ok_or(Missing("service"))?;
    let ip = message.public_ip.unwrap_or_default();
    let state = ip.state();
    let report = link::ExportReport {
        service: link::ServiceRef {
            uid: service.uid,
            resource_version: service.resource_version,
            api_version: service.api_version,
            kind: service.kind,
        },
        exported_since: message.exported_since.and_then(time_from_wire),
        ports: message.ports.into_iter().map(port).collect(),
        service_type: message.service_type,
        weight: message.weight,
        internal_load_balancer: message.internal_load_balancer,
        public_ip: link::PublicIp {
            state: public_ip_state(state),
            ip: ip.ip,
            resource_id: ip.resource_id,
            dns_label_configured: ip.dns_label_configured,
            fqdn: ip.fqdn,
        },
    };
    Ok((key, report))
}

/// A withdrawal from the wire, with its key.
pub fn withdrawal(message: pb::ExportWithdraw) -> Result<(link::ExportKey, link::Withdrawal), Missing> {
    let reason = match message.reason() {
        pb::WithdrawReason::ServiceNotFound => link::WithdrawReason::ServiceNotFound,
        pb::WithdrawReason::ServiceIneligible => link::WithdrawReason::ServiceIneligible,
        pb::WithdrawReason::ZeroWeight => link::WithdrawReason::ZeroWeight,
        pb::WithdrawReason::Leaving => link::WithdrawReason::Leaving,
        pb::WithdrawReason::Unspecified | pb::WithdrawReason::ExportDeleted => link::WithdrawReason::ExportDeleted,
    };
    Ok((
        key(message.key)?,
        link::Withdrawal {
            service_uid: message.service_uid,
            reason,
        },
    ))
}

fn port_to_wire(port: &link::ServicePort) -> pb::ServicePort {
    pb::ServicePort {
        name: port.name.clone(),
        protocol: port.protocol.clone(),
        app_protocol: port.app_protocol.clone(),
        port: port.port,
        target_port: port.target_port.as_ref().map(|target| match target {
            link::TargetPort::Number(number) => pb::service_port::TargetPort::TargetPortNumber(*number),
            link::TargetPort::Name(name) => pb::service_port::TargetPort::TargetPortName(name.clone()),
        }),
    }
}

fn port(port: pb::ServicePort) -> link::ServicePort {
    link::ServicePort {
        name: port.name,
        protocol: port.protocol,
        app_protocol: port.app_protocol,
        port: port.port,
        target_port: port.target_port.map(|target| match target {
            pb::service_port::TargetPort::TargetPortNumber(number) => link::TargetPort::Number(number),
            pb::service_port::TargetPort::TargetPortName(name) => link::TargetPort::Name(name),
        }),
    }
}

fn public_ip_state_to_wire(state: link::PublicIpState) -> pb::PublicIpState {
    match state {
        link::PublicIpState::NotApplicable => pb::PublicIpState::NotApplicable,
        link::PublicIpState::PendingIngress => pb::PublicIpState::PendingIngress,
        link::PublicIpState::LookupPending => pb::PublicIpState::LookupPending,
        link::PublicIpState::NotFound => pb::PublicIpState::NotFound,
        link::PublicIpState::Found => pb::PublicIpState::Found,
        link::PublicIpState::LookupFailed => pb::PublicIpState::LookupFailed,
    }
}

fn public_ip_state(state: pb::PublicIpState) -> link::PublicIpState {
    match state {
        pb::PublicIpState::Unspecified | pb::PublicIpState::NotApplicable => link::PublicIpState::NotApplicable,
        pb::PublicIpState::PendingIngress => link::PublicIpState::PendingIngress,
        pb::PublicIpState::LookupPending => link::PublicIpState::LookupPending,
        pb::PublicIpState::NotFound => link::PublicIpState::NotFound,
        pb::PublicIpState::Found => link::PublicIpState::Found,
        pb::PublicIpState::LookupFailed => link::PublicIpState::LookupFailed,
    }
}

fn withdraw_reason_to_wire(reason: link::WithdrawReason) -> pb::WithdrawReason {
    match reason {
        link::WithdrawReason::ExportDeleted => pb::WithdrawReason::ExportDeleted,
        link::WithdrawReason::ServiceNotFound => pb::WithdrawReason::ServiceNotFound,
        link::WithdrawReason::ServiceIneligible => pb::WithdrawReason::ServiceIneligible,
        link::WithdrawReason::ZeroWeight => pb::WithdrawReason::ZeroWeight,
        link::WithdrawReason::Leaving => pb::WithdrawReason::Leaving,
    }
}

/// A refusal's code for the wire.
pub fn nack_code_to_wire(code: link::NackCode) -> pb::NackCode {
    match code {
        link::NackCode::InvalidArgument => pb::NackCode::InvalidArgument,
        link::NackCode::Forbidden => pb::NackCode::Forbidden,
        link::NackCode::NameConflict => pb::NackCode::NameConflict,
        link::NackCode::TooLarge => pb::NackCode::TooLarge,
        link::NackCode::StaleEpoch => pb::NackCode::StaleEpoch,
        link::NackCode::Unavailable => pb::NackCode::Unavailable,
    }
}

/// A refusal's code from the wire. An unknown one is shown to the user rather than retried for ever.
pub fn nack_code(code: pb::NackCode) -> link::NackCode {
    match code {
        pb::NackCode::Unspecified | pb::NackCode::InvalidArgument => link::NackCode::InvalidArgument,
        pb::NackCode::Forbidden => link::NackCode::Forbidden,
        pb::NackCode::NameConflict => link::NackCode::NameConflict,
        pb::NackCode::TooLarge => link::NackCode::TooLarge,
        pb::NackCode::StaleEpoch => link::NackCode::StaleEpoch,
        pb::NackCode::Unavailable => link::NackCode::Unavailable,
    }
}

/// A verdict as the message that carries it.
pub fn verdict_to_wire(seq: u64, key: &link::ExportKey, verdict: &link::Verdict) -> pb::HubMessage {
    let conflict = match verdict.conflict {
        link::Conflict::Unknown => pb::Conflict::Unknown,
        link::Conflict::NoConflict => pb::Conflict::NoConflict,
        link::Conflict::Conflict => pb::Conflict::Conflict,
    };
    let body = pb::hub_message::Body::Verdict(pb::Verdict {
        verdict_seq: seq,
        key: Some(key.into()),
        service_uid: verdict.service_uid.clone(),
        conflict: conflict.into(),
        reason: verdict.reason.clone(),
        message: verdict.message.clone(),
        for_seq: verdict.for_seq,
    });
    pb::HubMessage { body: Some(body) }
}

/// A verdict from the wire, with its number and key.
pub fn verdict(message: pb::Verdict) -> Result<(u64, link::ExportKey, link::Verdict), Missing> {
    let conflict = match message.conflict() {
        pb::Conflict::Unknown => link::Conflict::Unknown,
        pb::Conflict::NoConflict => link::Conflict::NoConflict,
        pb::Conflict::Conflict => link::Conflict::Conflict,
    };
    let key = key(message.key)?;
    let verdict = link::Verdict {
        service_uid: message.service_uid,
        conflict,
        reason: message.reason,
        message: message.message,
        for_seq: message.for_seq,
    };
    Ok((message.verdict_seq, key, verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> link::ExportReport {
        link::ExportReport {
            service: link::ServiceRef {
                uid: "u".into(),
                resource_version: "7".into(),
                api_version: "v1".into(),
                kind: "Service".into(),
            },
            exported_since: Timestamp::from_second(1_700_000_000).ok(),
            ports: vec![
                link::ServicePort {
                    name: "web".into(),
                    protocol: "TCP".into(),
                    app_protocol: Some(String::new()),
                    port: 80,
                    target_port: Some(link::TargetPort::Number(8080)),
                },
                link::ServicePort {
                    name: String::new(),
                    protocol: "UDP".into(),
                    app_protocol: None,
                    port: 53,
                    target_port: Some(link::TargetPort::Name("dns".into())),
                },
            ],
            service_type: "LoadBalancer".into(),
            weight: Some(5),
            internal_load_balancer: true,
            public_ip: link::PublicIp {
                state: link::PublicIpState::Found,
                ip: "1.2.3.4".into(),
                ..link::PublicIp::default()
            },
        }
    }

    #[test]
    fn a_report_survives_the_wire() {
        let key = link::ExportKey {
            namespace: "app".into(),
            name: "web".into(),
        };
        let message = change_to_wire(4, Some("s".into()), &key, &link::Change::Report(sample()));
        let Some(pb::member_message::Body::Export(sent)) = message.body else {
            panic!("a report becomes a report")
        };
        assert_eq!((sent.seq, sent.sync_id.as_str()), (4, "s"));
        assert_eq!(report(sent), Ok((key, sample())));
    }

    #[test]
    fn values_of_a_newer_peer_become_careful_ones() {
        let unknown = pb::ExportWithdraw {
            key: Some(pb::ExportKey::default()),
            reason: 99,
            ..Default::default()
        };
        assert_eq!(
            withdrawal(unknown).map(|(_, w)| w.reason),
            Ok(link::WithdrawReason::ExportDeleted)
        );
        let nack = pb::Nack {
            code: 99,
            ..Default::default()
        };
        assert_eq!(nack_code(nack.code()), link::NackCode::InvalidArgument);
        assert_eq!(report(pb::ExportReport::default()), Err(Missing("key")));
    }
}
