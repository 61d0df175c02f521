use super::super::{Conflict, PublicIp, ServiceRef};
use super::*;

fn key(name: &str) -> ExportKey {
    ExportKey {
        namespace: "app".into(),
        name: name.into(),
    }
}

fn export() -> ExportReport {
    ExportReport {
        service: ServiceRef::default(),
        exported_since: None,
        ports: Vec::new(),
        service_type: "ClusterIP".into(),
        weight: None,
        internal_load_balancer: false,
        public_ip: PublicIp::default(),
    }
}

fn greeting(epoch: u64, instance: &str, incarnation: &str) -> Greeting {
    Greeting {
        epoch,
        instance: instance.into(),
        hub_incarnation: incarnation.into(),
    }
}

fn keys(names: &[&str]) -> BTreeSet<ExportKey> {
    names.iter().map(|name| key(name)).collect()
}

/// Runs a full sync of the named exports and returns its outcome.
fn sync(session: &mut ClusterSession, names: &[&str], recorded: &BTreeSet<ExportKey>, at: i64) -> SyncOutcome {
    session.sync_begin("s");
    let mut received = BTreeMap::new();
    for name in names {
        session.sync_report(&key(name), &export());
        received.insert(key(name), export());
    }
    let now = Timestamp::from_second(at).unwrap();
    session.sync_end("s", names.len() as u64, &digest(&received), recorded, now)
}

#[test]
fn epochs_fence_and_incarnations_decide_on_resume() {
    let mut session = ClusterSession::default();
    assert_eq!(session.hello(&greeting(3, "x", ""), "h1"), Admission::FullSync);
    session.received(1, &key("a"));
    session.settled(1);
    assert_eq!(
        session.hello(&greeting(3, "x", "h1"), "h1"),
        Admission::Continue { next_seq: 2 }
    );
    assert_eq!(session.hello(&greeting(2, "old", "h1"), "h1"), Admission::Superseded);
    assert_eq!(
        session.hello(&greeting(3, "x", "h0"), "h1"),
        Admission::FullSync,
        "another hub incarnation"
    );
    assert_eq!(
        session.hello(&greeting(3, "y", "h1"), "h1"),
        Admission::FullSync,
        "another process of the same epoch"
    );
    assert_eq!(
        session.hello(&greeting(4, "z", "h1"), "h1"),
        Admission::FullSync,
        "a newer leader"
    );
}

#[test]
fn acknowledgements_are_contiguous() {
    let mut session = ClusterSession::default();
    for seq in 5..=8 {
        assert!(session.received(seq, &key(&seq.to_string())));
    }
    assert_eq!(session.settled(6), None);
    assert_eq!(session.settled(5), Some(6));
    assert_eq!(session.settled(8), None);
    assert_eq!(session.settled(7), Some(8));
    assert_eq!(session.settled(7), None, "a repeated report changes nothing");
}

#[test]
fn an_older_change_of_a_key_is_not_written() {
    let mut session = ClusterSession::default();
    assert!(session.received(2, &key("a")));
    assert!(!session.received(1, &key("a")));
    assert!(session.received(3, &key("a")));
}

#[test]
fn a_sync_removes_what_it_does_not_mention_only_when_it_is_whole() {
    let mut session = ClusterSession::default();
    let recorded = keys(&["a", "b", "c"]);
    assert_eq!(
        sync(&mut session, &["a"], &recorded, 0),
        SyncOutcome::Remove(keys(&["b", "c"]))
    );
    session.sync_begin("s");
    session.sync_report(&key("a"), &export());
    let now = Timestamp::from_second(0).unwrap();
    assert_eq!(session.sync_end("s", 2, &[], &recorded, now), SyncOutcome::Mismatch);
    assert_eq!(
        session.sync_end("s", 0, &digest(&BTreeMap::new()), &recorded, now),
        SyncOutcome::Mismatch,
        "no sync runs"
    );
}

#[test]
fn a_large_removal_needs_a_second_sync_half_a_minute_later() {
    let mut session = ClusterSession::default();
    let recorded = keys(&["a", "b", "c", "d", "e"]);
    let held = |at: i64| SyncOutcome::Held {
        confirm_at: Timestamp::from_second(at).unwrap(),
        removals: 5,
    };
    assert_eq!(sync(&mut session, &[], &recorded, 100), held(130));
    assert_eq!(sync(&mut session, &[], &recorded, 110), held(130));
    assert_eq!(
        sync(&mut session, &[], &recorded, 131),
        SyncOutcome::Remove(recorded.clone())
    );
    assert_eq!(sync(&mut session, &[], &recorded, 200), held(230));
    assert_eq!(
        sync(&mut session, &["a", "b", "c", "d", "e"], &recorded, 201),
        SyncOutcome::Remove(BTreeSet::new())
    );
    assert_eq!(
        sync(&mut session, &[], &recorded, 240),
        held(270),
        "a sync that mentions everything clears the guard"
    );
}

#[test]
fn verdicts_are_sent_again_until_they_are_acknowledged() {
    let mut session = ClusterSession::default();
    let verdict = |conflict| Verdict {
        service_uid: "u".into(),
        conflict,
        reason: String::new(),
        message: String::new(),
        for_seq: 1,
    };
    assert_eq!(session.verdict(&key("a"), verdict(Conflict::Unknown)), Some(1));
    assert_eq!(session.verdict(&key("a"), verdict(Conflict::Unknown)), None);
    assert_eq!(session.verdict(&key("a"), verdict(Conflict::NoConflict)), Some(2));
    session.verdict_acked(&key("a"), 1);
    assert_eq!(
        session.open_verdicts().len(),
        1,
        "an old acknowledgement does not settle a newer verdict"
    );
    session.verdict_acked(&key("a"), 2);
    assert!(session.open_verdicts().is_empty());
}
