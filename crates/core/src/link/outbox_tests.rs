use super::super::{PublicIp, ServiceRef, WithdrawReason};
use super::*;

fn key(name: &str) -> ExportKey {
    ExportKey {
        namespace: "app".into(),
        name: name.into(),
    }
}

fn export(version: &str) -> ExportReport {
    ExportReport {
        service: ServiceRef {
            uid: "u".into(),
            resource_version: version.into(),
            api_version: "v1".into(),
            kind: "Service".into(),
        },
        exported_since: None,
        ports: Vec::new(),
        service_type: "ClusterIP".into(),
        weight: None,
        internal_load_balancer: false,
        public_ip: PublicIp::default(),
    }
}

fn gone() -> Withdrawal {
    Withdrawal {
        service_uid: "u".into(),
        reason: WithdrawReason::ExportDeleted,
    }
}

fn drain(outbox: &mut Outbox) -> Vec<String> {
    std::iter::from_fn(|| outbox.pop())
        .map(|message| match message {
            Outgoing::SyncBegin { sync_id } => format!("begin {sync_id}"),
            Outgoing::SyncEnd { sync_id, count, .. } => format!("end {sync_id} {count}"),
            Outgoing::Change {
                seq,
                key,
                change: Change::Report(report),
                ..
            } => {
                format!("{seq} {} v{}", key.name, report.service.resource_version)
            }
            Outgoing::Change {
                seq,
                key,
                change: Change::Withdraw(_),
                ..
            } => format!("{seq} {} gone", key.name),
        })
        .collect()
}

fn full(id: &str) -> Resume {
    Resume::FullSync { sync_id: id.into() }
}

#[test]
fn nothing_is_sent_without_a_session_and_a_full_sync_opens_one() {
    let mut outbox = Outbox::new();
    outbox.report(key("b"), export("1"));
    outbox.report(key("a"), export("1"));
    assert!(drain(&mut outbox).is_empty());
    outbox.connected(full("s1"), 256);
    assert_eq!(drain(&mut outbox), ["begin s1", "1 b v1", "2 a v1", "end s1 2"]);
}

#[test]
fn only_the_newest_state_of_a_waiting_export_is_kept() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 1);
    for version in ["1", "2", "3"] {
        outbox.report(key("a"), export(version));
    }
    assert_eq!(drain(&mut outbox), ["begin s1", "1 a v3", "end s1 1"]);
    outbox.report(key("a"), export("4"));
    outbox.withdraw(key("a"), gone());
    assert!(drain(&mut outbox).is_empty(), "the window of one is full");
    assert!(outbox.ack(1).is_empty());
    assert_eq!(drain(&mut outbox), ["2 a gone"]);
    assert_eq!(
        outbox.ack(2),
        [key("a")],
        "the withdrawal is done only when it is acknowledged"
    );
}

#[test]
fn an_equal_report_is_no_news() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    assert!(outbox.report(key("a"), export("1")));
    drain(&mut outbox);
    outbox.ack(1);
    assert!(!outbox.report(key("a"), export("1")));
    assert!(drain(&mut outbox).is_empty());
}

#[test]
fn a_continued_session_sends_again_what_was_not_acknowledged() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    for name in ["a", "b", "c"] {
        outbox.report(key(name), export("1"));
    }
    drain(&mut outbox);
    outbox.ack(1);
    outbox.disconnected();
    outbox.report(key("d"), export("1"));
    outbox.connected(Resume::Continue { next_seq: 3 }, 8);
    assert_eq!(drain(&mut outbox), ["3 c v1", "4 d v1"]);
    assert_eq!(outbox.last_acked(), 2);
}

#[test]
fn a_full_sync_keeps_unacknowledged_withdrawals_explicit() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.report(key("a"), export("1"));
    outbox.report(key("b"), export("1"));
    drain(&mut outbox);
    outbox.ack(2);
    outbox.withdraw(key("a"), gone());
    assert_eq!(drain(&mut outbox), ["3 a gone"]);
    outbox.disconnected();
    outbox.connected(full("s2"), 8);
    assert_eq!(drain(&mut outbox), ["begin s2", "4 a gone", "5 b v1", "end s2 1"]);
}

#[test]
fn only_an_unavailable_hub_is_asked_again_unchanged() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.report(key("a"), export("1"));
    outbox.report(key("b"), export("1"));
    drain(&mut outbox);
    assert!(outbox.nack(1, NackCode::Unavailable));
    assert!(!outbox.nack(2, NackCode::InvalidArgument));
    assert!(drain(&mut outbox).is_empty());
    outbox.release();
    assert_eq!(drain(&mut outbox), ["3 a v1"]);
    outbox.report(key("b"), export("2"));
    assert_eq!(
        drain(&mut outbox),
        ["4 b v2"],
        "a refused report is sent again when its input changes"
    );
}
