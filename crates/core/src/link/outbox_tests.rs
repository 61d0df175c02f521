use super::*;
use crate::services::{ExportKey, ExportReport, Exports, PublicIp, ServiceRef, WithdrawReason, Withdrawal};

type Outbox = super::Outbox<Exports>;

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
        is_ready: None,
        endpoint: crate::services::EndpointSettings::default(),
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
            Outgoing::SyncEnd(SyncEnd { id, count, kept, .. }) => {
                let kept: String = kept.iter().map(|key| format!(" keep {}", key.name)).collect();
                format!("end {id} {count}{kept}")
            }
            Outgoing::Change {
                seq,
                key,
                change: Change::Set(report),
                ..
            } => {
                format!("{seq} {} v{}", key.name, report.service.resource_version)
            }
            Outgoing::Change {
                seq,
                key,
                change: Change::Remove(_),
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
    outbox.set(key("b"), export("1"));
    outbox.set(key("a"), export("1"));
    assert!(drain(&mut outbox).is_empty());
    outbox.connected(full("s1"), 256);
    assert_eq!(drain(&mut outbox), ["begin s1", "1 b v1", "2 a v1", "end s1 2"]);
}

#[test]
fn only_the_newest_state_of_a_waiting_export_is_kept() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 1);
    for version in ["1", "2", "3"] {
        outbox.set(key("a"), export(version));
    }
    assert_eq!(drain(&mut outbox), ["begin s1", "1 a v3", "end s1 1"]);
    outbox.set(key("a"), export("4"));
    outbox.remove(key("a"), gone());
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
fn an_equal_report_is_not_sent() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    assert!(outbox.set(key("a"), export("1")));
    drain(&mut outbox);
    outbox.ack(1);
    assert!(!outbox.set(key("a"), export("1")));
    assert!(drain(&mut outbox).is_empty());
}

#[test]
fn a_continued_session_sends_again_what_was_not_acknowledged() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    for name in ["a", "b", "c"] {
        outbox.set(key(name), export("1"));
    }
    drain(&mut outbox);
    outbox.ack(1);
    outbox.disconnected();
    outbox.set(key("d"), export("1"));
    outbox.connected(Resume::Continue { next_seq: 3 }, 8);
    assert_eq!(drain(&mut outbox), ["3 c v1", "4 d v1"]);
    assert_eq!(outbox.last_acked(), 2);
}

#[test]
fn a_full_sync_keeps_unacknowledged_withdrawals_explicit() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.set(key("a"), export("1"));
    outbox.set(key("b"), export("1"));
    drain(&mut outbox);
    outbox.ack(2);
    outbox.remove(key("a"), gone());
    assert_eq!(drain(&mut outbox), ["3 a gone"]);
    outbox.disconnected();
    outbox.connected(full("s2"), 8);
    assert_eq!(drain(&mut outbox), ["begin s2", "4 a gone", "5 b v1", "end s2 1"]);
}

#[test]
fn only_an_unavailable_hub_is_asked_again_unchanged() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.set(key("a"), export("1"));
    outbox.set(key("b"), export("1"));
    drain(&mut outbox);
    assert_eq!(outbox.nack(1, NackCode::Unavailable), Refused::Held);
    assert_eq!(outbox.nack(2, NackCode::InvalidArgument), Refused::Final);
    assert!(drain(&mut outbox).is_empty());
    outbox.release();
    assert_eq!(drain(&mut outbox), ["3 a v1"]);
    outbox.set(key("b"), export("2"));
    assert_eq!(
        drain(&mut outbox),
        ["4 b v2"],
        "a refused report is sent again when its input changes"
    );
}

#[test]
fn a_refused_change_never_comes_back_over_a_newer_one() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.set(key("a"), export("1"));
    drain(&mut outbox);
    outbox.set(key("a"), export("2"));
    drain(&mut outbox);
    assert_eq!(outbox.nack(1, NackCode::Unavailable), Refused::Outdated);
    outbox.ack(2);
    outbox.release();
    assert!(drain(&mut outbox).is_empty());
}

#[test]
fn a_refused_withdrawal_is_tried_again_even_through_a_full_sync() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.remove(key("a"), gone());
    assert_eq!(drain(&mut outbox), ["begin s1", "1 a gone", "end s1 0"]);
    assert_eq!(outbox.nack(1, NackCode::InvalidArgument), Refused::Held);
    outbox.ack(1);
    assert!(!outbox.is_removed(&key("a")), "a refusal is no acknowledgement");
    outbox.start_sync("s2".into());
    assert_eq!(drain(&mut outbox), ["begin s2", "2 a gone", "end s2 0"]);
    assert_eq!(outbox.ack(2), [key("a")]);
}

#[test]
fn a_withdrawal_counts_as_done_only_while_nothing_followed() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.remove(key("a"), gone());
    outbox.remove(key("b"), gone());
    drain(&mut outbox);
    outbox.set(key("b"), export("1"));
    assert_eq!(outbox.ack(2), [key("a")], "b is exported again");
    assert!(outbox.is_removed(&key("a")) && !outbox.is_removed(&key("b")));
    outbox.set(key("a"), export("1"));
    assert!(!outbox.is_removed(&key("a")));
}

#[test]
fn an_export_that_came_back_can_be_withdrawn_again_before_the_first_withdrawal_is_acknowledged() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.remove(key("a"), gone());
    drain(&mut outbox);
    assert!(outbox.is_removing(&key("a")));
    outbox.set(key("a"), export("1"));
    assert!(!outbox.is_removing(&key("a")), "it is exported again");
    drain(&mut outbox);
    outbox.remove(key("a"), gone());
    assert!(outbox.is_removing(&key("a")));
    assert_eq!(drain(&mut outbox), ["3 a gone"]);
    assert_eq!(outbox.ack(1), [], "the newest one counts");
    assert_eq!(outbox.ack(3), [key("a")]);
}

#[test]
fn an_acknowledgement_lost_with_the_stream_is_learned_on_resume() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    outbox.remove(key("a"), gone());
    drain(&mut outbox);
    outbox.disconnected();
    let done = outbox.connected(Resume::Continue { next_seq: 2 }, 8);
    assert_eq!(done, [key("a")]);
    assert!(outbox.is_removed(&key("a")) && drain(&mut outbox).is_empty());
}

#[test]
fn a_full_sync_keeps_what_the_member_cannot_judge() {
    let mut outbox = Outbox::new();
    for name in ["a", "b", "c", "d"] {
        outbox.keep(key(name));
    }
    outbox.set(key("a"), export("1"));
    outbox.remove(key("b"), gone());
    outbox.forget(&key("c"));
    outbox.keep(key("a"));
    outbox.connected(full("s1"), 8);
    assert_eq!(
        drain(&mut outbox),
        ["begin s1", "1 a v1", "2 b gone", "end s1 1 keep d"]
    );
}

#[test]
fn a_record_that_may_have_changed_is_reported_once_more_as_it_is() {
    let mut outbox = Outbox::new();
    outbox.set(key("a"), export("1"));
    outbox.connected(full("s1"), 256);
    drain(&mut outbox);
    outbox.repeat(&key("a"));
    assert!(drain(&mut outbox).is_empty(), "it is on its way already");
    outbox.ack(1);
    outbox.repeat(&key("a"));
    outbox.repeat(&key("unknown"));
    assert_eq!(drain(&mut outbox), ["2 a v1"]);
}

#[test]
fn changes_go_before_a_full_sync_that_comes_later() {
    let mut outbox = Outbox::new();
    outbox.connected(full("s1"), 8);
    for name in ["a", "b", "c", "d"] {
        outbox.set(key(name), export("1"));
    }
    drain(&mut outbox);
    outbox.ack(4);
    outbox.set(key("a"), export("2"));
    outbox.set(key("c"), export("2"));
    drain(&mut outbox);
    outbox.remove(key("c"), gone());
    drain(&mut outbox);
    outbox.disconnected();
    outbox.set(key("b"), export("2"));
    outbox.connected(Resume::ChangesFirst, 8);
    assert_eq!(
        drain(&mut outbox),
        ["8 b v2", "9 c gone", "10 a v2"],
        "the newest change of each key that the hub may not know"
    );
    outbox.ack(8);
    outbox.start_sync("s2".into());
    let rest = drain(&mut outbox);
    assert_eq!(
        rest,
        ["begin s2", "11 c gone", "12 a v2", "13 b v2", "14 d v1", "end s2 3"]
    );
}

#[test]
fn changes_that_replace_one_that_waits_are_counted() {
    let mut outbox = Outbox::new();
    for version in ["1", "2", "3"] {
        outbox.set(key("a"), export(version));
    }
    outbox.connected(Resume::ChangesFirst, 1);
    assert_eq!((drain(&mut outbox), outbox.coalesced()), (vec!["1 a v3".to_owned()], 2));
    assert_eq!(outbox.last_seq(), 1);
}

#[test]
fn a_state_that_cannot_be_sent_is_left_out_of_full_syncs_and_its_record_stays() {
    let mut outbox = Outbox::new();
    outbox.set(key("a"), export("1"));
    outbox.connected(Resume::ChangesFirst, 1);
    drain(&mut outbox);
    assert_eq!(outbox.nack(1, NackCode::TooLarge), Refused::Final);
    outbox.give_up(&key("a"));
    outbox.start_sync("s".to_owned());
    assert_eq!(drain(&mut outbox), ["begin s", "end s 0 keep a"]);
    assert!(outbox.set(key("a"), export("2")), "the next state is sent again");
}
