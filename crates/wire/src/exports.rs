//! Exports and the verdicts on them as messages.

use std::time::Duration;

use fairway_core::link::outbox::Outgoing;
use fairway_core::link::{Change, SyncEnd};
use fairway_core::services::{self, Exports};

use crate::convert::{Missing, nack_code, nack_code_to_wire, time_from_wire, time_to_wire};
use crate::member::{self as pb, hub_message, member_message};
use crate::topic::{Answer, FromMember, Given, HubFeedback, MemberTopic, Offered};

impl MemberTopic for Exports {
    fn greet(hello: &mut pb::Hello, last_acked: u64) {
        hello.last_acked = last_acked;
    }

    fn last_acked(hello: &pb::Hello) -> u64 {
        hello.last_acked
    }

    fn welcome(welcome: &mut pb::Welcome, next_seq: Option<u64>) {
        let resume = match next_seq {
            Some(_) => pb::ResumeMode::Continue,
            None => pb::ResumeMode::FullSync,
        };
        welcome.resume = resume.into();
        welcome.next_seq = next_seq.unwrap_or_default();
    }

    fn next_seq(welcome: &pb::Welcome) -> Option<u64> {
        match welcome.resume() {
            pb::ResumeMode::Continue => Some(welcome.next_seq),
            pb::ResumeMode::FullSync | pb::ResumeMode::Unspecified => None,
        }
    }

    fn to_hub(message: Outgoing<Self>) -> member_message::Body {
        use member_message::Body;
        match message {
            Outgoing::SyncBegin { sync_id } => Body::SyncBegin(pb::SyncBegin { sync_id }),
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change: Change::Set(report),
            } => Body::Export(report_to_wire(seq, sync_id, &key, &report)),
            Outgoing::Change {
                seq,
                key,
                change: Change::Remove(withdrawal),
                ..
            } => Body::Withdraw(pb::ExportWithdraw {
                seq,
                key: Some((&key).into()),
                service_uid: withdrawal.service_uid,
                reason: withdraw_reason_to_wire(withdrawal.reason).into(),
            }),
            Outgoing::SyncEnd(end) => Body::SyncEnd(pb::SyncEnd {
                sync_id: end.id,
                count: end.count,
                digest: end.digest,
                kept: end.kept.iter().map(Into::into).collect(),
            }),
        }
    }

    fn from_member(body: member_message::Body) -> Offered<FromMember<Self>, member_message::Body> {
        use member_message::Body;
        match body {
            Body::SyncBegin(begin) => Offered::Taken(FromMember::SyncBegin { sync_id: begin.sync_id }),
            Body::Export(message) => Offered::Taken(FromMember::Change {
                seq: message.seq,
                in_sync: !message.sync_id.is_empty(),
                size: size(&message),
                change: report(message).map(|(key, report)| (key, Change::Set(report))),
            }),
            Body::Withdraw(message) => Offered::Taken(FromMember::Change {
                seq: message.seq,
                // A withdrawal takes back what a running sync has mentioned; it belongs to none itself.
                in_sync: false,
                size: size(&message),
                change: withdrawal(message).map(|(key, withdrawal)| (key, Change::Remove(withdrawal))),
            }),
            Body::SyncEnd(end) => Offered::Taken(FromMember::SyncEnd(SyncEnd {
                id: end.sync_id,
                count: end.count,
                digest: end.digest,
                kept: end.kept.into_iter().filter_map(|one| key(Some(one)).ok()).collect(),
            })),
            other => Offered::Other(other),
        }
    }

    fn to_member(answer: Answer<Self>) -> hub_message::Body {
        use hub_message::Body;
        match answer {
            Answer::Ack { seq } => Body::Ack(pb::Ack { seq }),
            Answer::Nack {
                seq,
                key,
                code,
                message,
                retry_after,
            } => Body::Nack(pb::Nack {
                seq,
                key: key.as_ref().map(Into::into),
                code: nack_code_to_wire(code).into(),
                message,
                retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
            }),
            Answer::Resync { reason } => Body::Resync(pb::Resync { reason }),
        }
    }

    fn from_hub(body: hub_message::Body) -> Offered<Answer<Self>, hub_message::Body> {
        use hub_message::Body;
        match body {
            Body::Ack(ack) => Offered::Taken(Answer::Ack { seq: ack.seq }),
            Body::Nack(nack) => Offered::Taken(Answer::Nack {
                seq: nack.seq,
                code: nack_code(nack.code()),
                retry_after: Duration::from_millis(nack.retry_after_ms),
                key: key(nack.key).ok(),
                message: nack.message,
            }),
            Body::Resync(resync) => Offered::Taken(Answer::Resync { reason: resync.reason }),
            other => Offered::Other(other),
        }
    }
}

/// The verdicts on exports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdicts;

impl HubFeedback for Verdicts {
    type Key = services::ExportKey;
    type Value = services::Verdict;

    fn to_member(seq: u64, key: &services::ExportKey, verdict: &services::Verdict) -> hub_message::Body {
        let conflict = match verdict.conflict {
            services::Conflict::Unknown => pb::Conflict::Unknown,
            services::Conflict::NoConflict => pb::Conflict::NoConflict,
            services::Conflict::Conflict => pb::Conflict::Conflict,
        };
        hub_message::Body::Verdict(pb::Verdict {
            verdict_seq: seq,
            key: Some(key.into()),
            service_uid: verdict.service_uid.clone(),
            conflict: conflict.into(),
            reason: verdict.reason.clone(),
            message: verdict.message.clone(),
            for_seq: verdict.for_seq,
        })
    }

    fn from_hub(body: hub_message::Body) -> Offered<Option<Given<Self>>, hub_message::Body> {
        let message = match body {
            hub_message::Body::Verdict(message) => message,
            other => return Offered::Other(other),
        };
        let conflict = match message.conflict() {
            pb::Conflict::Unknown => services::Conflict::Unknown,
            pb::Conflict::NoConflict => services::Conflict::NoConflict,
            pb::Conflict::Conflict => services::Conflict::Conflict,
        };
        let verdict = services::Verdict {
            service_uid: message.service_uid,
            conflict,
            reason: message.reason,
            message: message.message,
            for_seq: message.for_seq,
        };
        Offered::Taken(key(message.key).ok().map(|key| (message.verdict_seq, key, verdict)))
    }

    fn ack(key: &services::ExportKey, seq: u64) -> member_message::Body {
        member_message::Body::VerdictAck(pb::VerdictAck {
            key: Some(key.into()),
            verdict_seq: seq,
        })
    }

    fn acked(body: member_message::Body) -> Offered<Option<(services::ExportKey, u64)>, member_message::Body> {
        match body {
            member_message::Body::VerdictAck(ack) => {
                Offered::Taken(key(ack.key).ok().map(|key| (key, ack.verdict_seq)))
            }
            other => Offered::Other(other),
        }
    }
}

impl From<&services::ExportKey> for pb::ExportKey {
    fn from(key: &services::ExportKey) -> Self {
        Self {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

/// The key of a message.
pub fn key(key: Option<pb::ExportKey>) -> Result<services::ExportKey, Missing> {
    let key = key.ok_or(Missing("key"))?;
    Ok(services::ExportKey {
        namespace: key.namespace,
        name: key.name,
    })
}

fn report_to_wire(
    seq: u64,
    sync_id: Option<String>,
    key: &services::ExportKey,
    report: &services::ExportReport,
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
            error: ip.error.as_ref().map(lookup_error_to_wire),
        }),
        ready: report.is_ready,
        endpoint_priority: report.endpoint.priority.map(i64::from),
        endpoint_location: report.endpoint.location.clone().unwrap_or_default(),
    }
}

/// Bytes that a message takes on the wire.
fn size(message: &impl prost::Message) -> u64 {
    u64::try_from(message.encoded_len()).unwrap_or(u64::MAX)
}

/// A report from the wire, with its key.
fn report(message: pb::ExportReport) -> Result<(services::ExportKey, services::ExportReport), Missing> {
    let key = key(message.key)?;
    let service = message.service.ok_or(Missing("service"))?;
    let ip = message.public_ip.unwrap_or_default();
    let state = ip.state();
    let report = services::ExportReport {
        service: services::ServiceRef {
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
        public_ip: services::PublicIp {
            state: public_ip_state(state),
            ip: ip.ip,
            resource_id: ip.resource_id,
            dns_label_configured: ip.dns_label_configured,
            fqdn: ip.fqdn,
            error: ip.error.map(lookup_error),
        },
        is_ready: message.ready,
        endpoint: services::EndpointSettings {
            // What is no priority at all is refused with the report.
            priority: message
                .endpoint_priority
                .map(|priority| u16::try_from(priority).unwrap_or(u16::MAX)),
            location: Some(message.endpoint_location).filter(|location| !location.is_empty()),
        },
    };
    Ok((key, report))
}

/// A withdrawal from the wire, with its key.
fn withdrawal(message: pb::ExportWithdraw) -> Result<(services::ExportKey, services::Withdrawal), Missing> {
    let reason = match message.reason() {
        pb::WithdrawReason::ServiceNotFound => services::WithdrawReason::ServiceNotFound,
        pb::WithdrawReason::ServiceIneligible => services::WithdrawReason::ServiceIneligible,
        pb::WithdrawReason::ZeroWeight => services::WithdrawReason::ZeroWeight,
        pb::WithdrawReason::Leaving => services::WithdrawReason::Leaving,
        pb::WithdrawReason::Unspecified | pb::WithdrawReason::ExportDeleted => services::WithdrawReason::ExportDeleted,
    };
    Ok((
        key(message.key)?,
        services::Withdrawal {
            service_uid: message.service_uid,
            reason,
        },
    ))
}

fn port_to_wire(port: &services::ServicePort) -> pb::ServicePort {
    pb::ServicePort {
        name: port.name.clone(),
        protocol: port.protocol.clone(),
        app_protocol: port.app_protocol.clone(),
        port: port.port,
        target_port: port.target_port.as_ref().map(|target| match target {
            services::TargetPort::Number(number) => pb::service_port::TargetPort::TargetPortNumber(*number),
            services::TargetPort::Name(name) => pb::service_port::TargetPort::TargetPortName(name.clone()),
        }),
    }
}

fn port(port: pb::ServicePort) -> services::ServicePort {
    services::ServicePort {
        name: port.name,
        protocol: port.protocol,
        app_protocol: port.app_protocol,
        port: port.port,
        target_port: port.target_port.map(|target| match target {
            pb::service_port::TargetPort::TargetPortNumber(number) => services::TargetPort::Number(number),
            pb::service_port::TargetPort::TargetPortName(name) => services::TargetPort::Name(name),
        }),
    }
}

fn lookup_error_to_wire(error: &services::LookupError) -> pb::LookupError {
    pb::LookupError {
        http_status: error.status.unwrap_or_default().into(),
        code: error.code.clone(),
        message: error.message.clone(),
    }
}

fn lookup_error(error: pb::LookupError) -> services::LookupError {
    services::LookupError {
        status: u16::try_from(error.http_status).ok().filter(|status| *status != 0),
        code: error.code,
        message: error.message,
    }
}

fn public_ip_state_to_wire(state: services::PublicIpState) -> pb::PublicIpState {
    match state {
        services::PublicIpState::NotApplicable => pb::PublicIpState::NotApplicable,
        services::PublicIpState::PendingIngress => pb::PublicIpState::PendingIngress,
        services::PublicIpState::LookupPending => pb::PublicIpState::LookupPending,
        services::PublicIpState::NotFound => pb::PublicIpState::NotFound,
        services::PublicIpState::Found => pb::PublicIpState::Found,
        services::PublicIpState::LookupFailed => pb::PublicIpState::LookupFailed,
    }
}

fn public_ip_state(state: pb::PublicIpState) -> services::PublicIpState {
    match state {
        pb::PublicIpState::Unspecified | pb::PublicIpState::NotApplicable => services::PublicIpState::NotApplicable,
        pb::PublicIpState::PendingIngress => services::PublicIpState::PendingIngress,
        pb::PublicIpState::LookupPending => services::PublicIpState::LookupPending,
        pb::PublicIpState::NotFound => services::PublicIpState::NotFound,
        pb::PublicIpState::Found => services::PublicIpState::Found,
        pb::PublicIpState::LookupFailed => services::PublicIpState::LookupFailed,
    }
}

fn withdraw_reason_to_wire(reason: services::WithdrawReason) -> pb::WithdrawReason {
    match reason {
        services::WithdrawReason::ExportDeleted => pb::WithdrawReason::ExportDeleted,
        services::WithdrawReason::ServiceNotFound => pb::WithdrawReason::ServiceNotFound,
        services::WithdrawReason::ServiceIneligible => pb::WithdrawReason::ServiceIneligible,
        services::WithdrawReason::ZeroWeight => pb::WithdrawReason::ZeroWeight,
        services::WithdrawReason::Leaving => pb::WithdrawReason::Leaving,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn sample() -> services::ExportReport {
        services::ExportReport {
            service: services::ServiceRef {
                uid: "u".into(),
                resource_version: "7".into(),
                api_version: "v1".into(),
                kind: "Service".into(),
            },
            exported_since: Timestamp::from_second(1_700_000_000).ok(),
            ports: vec![
                services::ServicePort {
                    name: "web".into(),
                    protocol: "TCP".into(),
                    app_protocol: Some(String::new()),
                    port: 80,
                    target_port: Some(services::TargetPort::Number(8080)),
                },
                services::ServicePort {
                    name: String::new(),
                    protocol: "UDP".into(),
                    app_protocol: None,
                    port: 53,
                    target_port: Some(services::TargetPort::Name("dns".into())),
                },
            ],
            service_type: "LoadBalancer".into(),
            weight: Some(5),
            internal_load_balancer: true,
            public_ip: services::PublicIp {
                state: services::PublicIpState::LookupFailed,
                ip: "1.2.3.4".into(),
                error: Some(services::LookupError {
                    status: Some(403),
                    code: "AuthorizationFailed".into(),
                    message: String::new(),
                }),
                ..services::PublicIp::default()
            },
            is_ready: Some(false),
            endpoint: services::EndpointSettings {
                priority: Some(7),
                location: Some("West Europe".into()),
            },
        }
    }

    fn key() -> services::ExportKey {
        services::ExportKey {
            namespace: "app".into(),
            name: "web".into(),
        }
    }

    #[test]
    fn what_a_member_sends_survives_the_wire() {
        let withdrawal = services::Withdrawal {
            service_uid: "u".into(),
            reason: services::WithdrawReason::ZeroWeight,
        };
        for (change, sync_id) in [
            (Change::Set(sample()), Some("s".to_owned())),
            (Change::Remove(withdrawal), None),
        ] {
            let body = Exports::to_hub(Outgoing::Change {
                seq: 4,
                sync_id: sync_id.clone(),
                key: key(),
                change: change.clone(),
            });
            let Offered::Taken(FromMember::Change {
                seq,
                in_sync,
                change: received,
                ..
            }) = Exports::from_member(body)
            else {
                panic!("a change stays a change")
            };
            assert_eq!((seq, in_sync, received), (4, sync_id.is_some(), Ok((key(), change))));
        }
        let end = SyncEnd {
            id: "s".into(),
            count: 1,
            digest: vec![7],
            kept: [key()].into(),
        };
        let body = Exports::to_hub(Outgoing::SyncEnd(end.clone()));
        assert!(matches!(Exports::from_member(body), Offered::Taken(FromMember::SyncEnd(received)) if received == end));
    }

    #[test]
    fn what_the_hub_answers_survives_the_wire() {
        let nack = Answer::Nack {
            seq: 4,
            key: Some(key()),
            code: fairway_core::link::NackCode::Unavailable,
            message: "Not now.".into(),
            retry_after: Duration::from_secs(1),
        };
        let shown = format!("Taken({nack:?})");
        assert_eq!(format!("{:?}", Exports::from_hub(Exports::to_member(nack))), shown);
        let verdict = services::Verdict {
            service_uid: "u".into(),
            conflict: services::Conflict::Conflict,
            reason: "ConflictFound".into(),
            message: "m".into(),
            for_seq: 4,
        };
        let body = Verdicts::to_member(9, &key(), &verdict);
        assert_eq!(Verdicts::from_hub(body), Offered::Taken(Some((9, key(), verdict))));
        assert_eq!(
            Verdicts::acked(Verdicts::ack(&key(), 9)),
            Offered::Taken(Some((key(), 9)))
        );
    }

    #[test]
    fn resumes_survive_the_wire() {
        let mut hello = pb::Hello::default();
        Exports::greet(&mut hello, 7);
        assert_eq!(Exports::last_acked(&hello), 7);
        for next_seq in [None, Some(8)] {
            let mut welcome = pb::Welcome::default();
            Exports::welcome(&mut welcome, next_seq);
            assert_eq!(Exports::next_seq(&welcome), next_seq);
        }
        assert_eq!(Exports::next_seq(&pb::Welcome::default()), None, "an older hub");
    }

    #[test]
    fn messages_of_something_else_are_given_back() {
        let pong = member_message::Body::Pong(pb::Pong { nonce: 1 });
        assert!(matches!(Exports::from_member(pong.clone()), Offered::Other(same) if same == pong));
        assert_eq!(Verdicts::acked(pong.clone()), Offered::Other(pong));
        let ping = hub_message::Body::Ping(pb::Ping { nonce: 1 });
        assert!(matches!(Exports::from_hub(ping.clone()), Offered::Other(same) if same == ping));
        assert_eq!(Verdicts::from_hub(ping.clone()), Offered::Other(ping));
    }

    #[test]
    fn values_of_a_newer_member_become_careful_ones() {
        let unknown = pb::ExportWithdraw {
            key: Some(pb::ExportKey::default()),
            reason: 99,
            ..Default::default()
        };
        assert_eq!(
            withdrawal(unknown).map(|(_, withdrawal)| withdrawal.reason),
            Ok(services::WithdrawReason::ExportDeleted)
        );
        assert_eq!(report(pb::ExportReport::default()), Err(Missing("key")));
    }

    #[test]
    fn an_older_member_says_nothing_of_readiness_and_of_errors() {
        let older = pb::ExportReport {
            key: Some(pb::ExportKey::default()),
            service: Some(pb::ServiceRef::default()),
            public_ip: Some(pb::PublicIp {
                state: pb::PublicIpState::LookupFailed.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let (_, report) = report(older).unwrap();
        assert_eq!((report.is_ready, report.public_ip.error), (None, None));
        assert_eq!(report.endpoint, services::EndpointSettings::default());
    }
}
