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
        last_acked: 0,
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
    let end = end(names.len() as u64, &digest(&received));
    session.sync_end(&end, recorded, now, CONFIRM_AFTER)
}

fn end(count: u64, digest: &[u8]) -> SyncEnd {
    SyncEnd {
        id: "s".into(),
        count,
        digest: digest.to_vec(),
        kept: BTreeSet::new(),
    }
}

#[test]
fn epochs_fence_and_incarnations_decide_on_resume() {
    let mut session = ClusterSession::default();
    assert_eq!(session.hello(&greeting(3, "x", ""), "h1"), Admission::FullSync);
    session.received(1, &key("a"));
    session.settled(1, false);
    assert_eq!(
        session.hello(&greeting(3, "x", "h1"), "h1"),
        Admission::FullSync,
        "the full sync was cut off"
    );
    session.received(2, &key("a"));
    session.settled(2, false);
    session.sync_done();
    assert_eq!(
        session.hello(&greeting(3, "x", "h1"), "h1"),
        Admission::Continue { next_seq: 3 }
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
    assert_eq!(session.settled(6, false), None);
    assert_eq!(session.settled(5, false), Some(6));
    assert_eq!(session.settled(8, false), None);
    assert_eq!(session.settled(7, true), Some(8), "a refusal settles as well");
    assert_eq!(session.settled(7, false), None, "a repeated report changes nothing");
    session.arrived(9);
    assert_eq!(session.settled(9, true), Some(9), "and so does what cannot be read");
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
    let mut finish = |end: SyncEnd| session.sync_end(&end, &recorded, now, CONFIRM_AFTER);
    assert_eq!(finish(end(2, &[])), SyncOutcome::Mismatch);
    let nothing = digest(&BTreeMap::new());
    assert_eq!(finish(end(0, &nothing)), SyncOutcome::Mismatch, "no sync runs");
    session.sync_begin("s");
    let kept = SyncEnd {
        kept: keys(&["a", "c"]),
        ..end(0, &nothing)
    };
    assert_eq!(
        session.sync_end(&kept, &recorded, now, CONFIRM_AFTER),
        SyncOutcome::Remove(keys(&["b"])),
        "what the member cannot judge stays"
    );
}

#[test]
fn a_session_continues_only_when_the_member_knows_every_refusal() {
    let mut session = ClusterSession::default();
    let again = |last_acked| Greeting {
        last_acked,
        ..greeting(1, "x", "h1")
    };
    for (refused, last_acked, continues) in [(false, 0, true), (true, 1, false), (true, 2, true)] {
        session.hello(&greeting(1, "x", ""), "h1");
        session.sync_done();
        for seq in 1..=2 {
            session.received(seq, &key("a"));
            session.settled(seq, refused && seq == 2);
        }
        let admission = session.hello(&again(last_acked), "h1");
        assert_eq!(
            admission == Admission::Continue { next_seq: 3 },
            continues,
            "{refused} {last_acked}"
        );
        session.hello(&greeting(1, "other", ""), "h1");
    }
}

#[test]
fn a_record_that_somebody_else_changes_is_noticed() {
    let mut session = ClusterSession::default();
    let version = |uid: &str, generation| (uid.to_owned(), generation);
    assert!(session.is_as_written(&key("a"), None), "nothing was written yet");
    session.recorded(&key("a"), Some(version("u", 1)));
    assert!(session.is_as_written(&key("a"), Some(&version("u", 1))));
    assert!(!session.is_as_written(&key("a"), Some(&version("u", 2))));
    assert!(!session.is_as_written(&key("a"), None));
    session.received(4, &key("a"));
    assert!(session.is_as_written(&key("a"), None), "a change is under way");
    session.recorded(&key("a"), None);
    assert!(
        !session.is_as_written(&key("a"), Some(&version("u", 3))),
        "a write that was thought lost arrives after the withdrawal"
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
    let open = |session: &mut ClusterSession| {
        session.hello(&greeting(1, "x", ""), "h1");
        std::iter::from_fn(|| session.next_verdict())
            .map(|(seq, key, verdict)| (seq, key.name, verdict.conflict))
            .collect::<Vec<_>>()
    };
    assert!(session.verdict(&key("a"), verdict(Conflict::Unknown)));
    assert!(!session.verdict(&key("a"), verdict(Conflict::Unknown)), "told already");
    assert!(session.verdict(&key("a"), verdict(Conflict::NoConflict)));
    assert!(session.verdict(&key("b"), verdict(Conflict::Conflict)));
    let both = [
        (2, "a".to_owned(), Conflict::NoConflict),
        (3, "b".to_owned(), Conflict::Conflict),
    ];
    assert_eq!(open(&mut session), both, "the newest of each export only");
    assert!(session.next_verdict().is_none(), "once per stream");
    session.verdict_acked(&key("a"), 1);
    session.forget_verdict(&key("b"));
    assert_eq!(
        open(&mut session),
        both[..1],
        "an old acknowledgement does not settle a newer verdict"
    );
    session.verdict_acked(&key("a"), 2);
    assert!(open(&mut session).is_empty());
    assert_eq!(session.open_count(), 0);
}
