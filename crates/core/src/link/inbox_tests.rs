use super::*;
use crate::services::{ExportKey, ExportReport, Exports, PublicIp, ServiceRef};

type Inbox = super::Inbox<Exports>;

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
        is_ready: None,
        endpoint: crate::services::EndpointSettings::default(),
    }
}

fn keys(names: &[&str]) -> BTreeSet<ExportKey> {
    names.iter().map(|name| key(name)).collect()
}

/// Runs a full sync of the named exports and returns its outcome.
fn sync(inbox: &mut Inbox, names: &[&str], recorded: &BTreeSet<ExportKey>, at: i64) -> SyncResult<ExportKey> {
    inbox.sync_begin("s");
    let mut received = BTreeMap::new();
    for name in names {
        inbox.sync_set(&key(name), &export());
        received.insert(key(name), export());
    }
    let now = Timestamp::from_second(at).unwrap();
    let end = end(names.len() as u64, &digest::<Exports>(&received));
    inbox.sync_end(&end, recorded, now, CONFIRM_AFTER)
}

fn end(count: u64, digest: &[u8]) -> SyncEnd<Exports> {
    SyncEnd {
        id: "s".into(),
        count,
        digest: digest.to_vec(),
        kept: BTreeSet::new(),
    }
}

#[test]
fn only_a_sender_that_returns_after_a_whole_sync_continues() {
    let mut inbox = Inbox::default();
    assert_eq!(inbox.connected(false, 0), None);
    inbox.received(1, &key("a"));
    inbox.settled(1, false);
    assert_eq!(inbox.connected(true, 0), None, "the full sync was cut off");
    inbox.received(2, &key("a"));
    inbox.settled(2, false);
    inbox.sync_done();
    assert_eq!(inbox.connected(true, 0), Some(3));
    assert_eq!(
        inbox.connected(false, 0),
        None,
        "another process, or one that knew another hub"
    );
}

#[test]
fn acknowledgements_are_contiguous() {
    let mut inbox = Inbox::default();
    for seq in 5..=8 {
        assert!(inbox.received(seq, &key(&seq.to_string())));
    }
    assert_eq!(inbox.settled(6, false), None);
    assert_eq!(inbox.settled(5, false), Some(6));
    assert_eq!(inbox.settled(8, false), None);
    assert_eq!(inbox.settled(7, true), Some(8), "a refusal settles as well");
    assert_eq!(inbox.settled(7, false), None, "a repeated report changes nothing");
    inbox.arrived(9);
    assert_eq!(inbox.settled(9, true), Some(9), "and so does what cannot be read");
}

#[test]
fn an_older_change_of_a_key_is_not_written() {
    let mut inbox = Inbox::default();
    assert!(inbox.received(2, &key("a")));
    assert!(!inbox.received(1, &key("a")));
    assert!(inbox.received(3, &key("a")));
}

#[test]
fn a_sync_removes_what_it_does_not_mention_only_when_it_is_whole() {
    let mut inbox = Inbox::default();
    let recorded = keys(&["a", "b", "c"]);
    assert_eq!(
        sync(&mut inbox, &["a"], &recorded, 0),
        SyncResult::Remove(keys(&["b", "c"]))
    );
    inbox.sync_begin("s");
    inbox.sync_set(&key("a"), &export());
    let now = Timestamp::from_second(0).unwrap();
    let mut finish = |end: SyncEnd<Exports>| inbox.sync_end(&end, &recorded, now, CONFIRM_AFTER);
    assert_eq!(finish(end(2, &[])), SyncResult::Mismatch);
    let nothing = digest::<Exports>(&BTreeMap::new());
    assert_eq!(finish(end(0, &nothing)), SyncResult::Mismatch, "no sync runs");
    inbox.sync_begin("s");
    let kept = SyncEnd {
        kept: keys(&["a", "c"]),
        ..end(0, &nothing)
    };
    assert_eq!(
        inbox.sync_end(&kept, &recorded, now, CONFIRM_AFTER),
        SyncResult::Remove(keys(&["b"])),
        "what the member cannot judge stays"
    );
}

#[test]
fn a_session_continues_only_when_the_member_knows_every_refusal() {
    let mut inbox = Inbox::default();
    for (refused, last_acked, continues) in [(false, 0, true), (true, 1, false), (true, 2, true)] {
        inbox.connected(false, 0);
        inbox.sync_done();
        for seq in 1..=2 {
            inbox.received(seq, &key("a"));
            inbox.settled(seq, refused && seq == 2);
        }
        let next = inbox.connected(true, last_acked);
        assert_eq!(next == Some(3), continues, "{refused} {last_acked}");
    }
}

#[test]
fn a_record_that_somebody_else_changes_is_noticed() {
    let mut inbox = Inbox::default();
    let version = |uid: &str, generation| (uid.to_owned(), generation);
    assert!(inbox.is_as_written(&key("a"), None), "nothing was written yet");
    inbox.recorded(&key("a"), Some(version("u", 1)));
    assert!(inbox.is_as_written(&key("a"), Some(&version("u", 1))));
    assert!(!inbox.is_as_written(&key("a"), Some(&version("u", 2))));
    assert!(!inbox.is_as_written(&key("a"), None));
    inbox.received(4, &key("a"));
    assert!(inbox.is_as_written(&key("a"), None), "a change is under way");
    inbox.recorded(&key("a"), None);
    assert!(
        !inbox.is_as_written(&key("a"), Some(&version("u", 3))),
        "a write that was thought lost arrives after the withdrawal"
    );
}

#[test]
fn a_large_removal_needs_a_second_sync_half_a_minute_later() {
    let mut inbox = Inbox::default();
    let recorded = keys(&["a", "b", "c", "d", "e"]);
    let held = |at: i64| SyncResult::Held {
        confirm_at: Timestamp::from_second(at).unwrap(),
        removals: 5,
    };
    assert_eq!(sync(&mut inbox, &[], &recorded, 100), held(130));
    assert_eq!(sync(&mut inbox, &[], &recorded, 110), held(130));
    assert_eq!(
        sync(&mut inbox, &[], &recorded, 131),
        SyncResult::Remove(recorded.clone())
    );
    assert_eq!(sync(&mut inbox, &[], &recorded, 200), held(230));
    assert_eq!(
        sync(&mut inbox, &["a", "b", "c", "d", "e"], &recorded, 201),
        SyncResult::Remove(BTreeSet::new())
    );
    assert_eq!(
        sync(&mut inbox, &[], &recorded, 240),
        held(270),
        "a sync that mentions everything clears the guard"
    );
}

#[test]
fn removed_keys_leave_nothing_behind_but_the_last_of_them() {
    let mut inbox = Inbox::default();
    for number in 1..=2000 {
        let key = key(&number.to_string());
        inbox.received(2 * number - 1, &key);
        inbox.recorded(&key, Some((number.to_string(), 1)));
        inbox.settled(2 * number - 1, false);
        inbox.received(2 * number, &key);
        inbox.recorded(&key, None);
        inbox.settled(2 * number, false);
    }
    assert_eq!((inbox.newest.len(), inbox.records.len()), (0, 0));
    assert_eq!(
        (inbox.removed.keys.len(), inbox.removed.order.len()),
        (REMOVED, REMOVED)
    );
    let late = Some(("u".to_owned(), 1));
    assert!(
        !inbox.is_as_written(&key("2000"), late.as_ref()),
        "a write that was thought lost"
    );
    // Until its removal is settled, an older change of a key is still recognised.
    inbox.received(4002, &key("a"));
    inbox.recorded(&key("a"), None);
    assert_eq!(inbox.settled(4002, false), None);
    assert!(!inbox.received(4001, &key("a")));
}
