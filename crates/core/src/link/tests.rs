//! Two halves of a topic that is not about exports, to show that nothing in here is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::digester::Digester;
use super::inbox::{CONFIRM_AFTER, Inbox, SyncResult};
use super::outbox::{Outbox, Outgoing, Resume};
use super::{Change, Topic};

/// Endpoint addresses by service, as a hub might send them to a member.
#[derive(Clone, Debug, PartialEq)]
struct Addresses;

impl Topic for Addresses {
    const NAME: &'static str = "addresses";

    type Key = String;
    type State = Vec<u32>;
    type Removal = ();

    fn digest(key: &String, state: &Vec<u32>, digester: &mut Digester) {
        digester.text(key);
        state.iter().for_each(|address| digester.bytes(&address.to_be_bytes()));
    }
}

/// The receiver's side, with what it has recorded.
#[derive(Default)]
struct Receiver {
    inbox: Inbox<Addresses>,
    recorded: BTreeMap<String, Vec<u32>>,
}

impl Receiver {
    fn take(&mut self, message: Outgoing<Addresses>) -> Option<u64> {
        match message {
            Outgoing::SyncBegin { sync_id } => self.inbox.sync_begin(&sync_id),
            Outgoing::Change {
                seq,
                sync_id,
                key,
                change,
            } => {
                if let (Change::Set(state), Some(_)) = (&change, &sync_id) {
                    self.inbox.sync_set(&key, state);
                }
                if self.inbox.received(seq, &key) {
                    match change {
                        Change::Set(state) => self.recorded.insert(key, state),
                        Change::Remove(()) => self.recorded.remove(&key),
                    };
                }
                return self.inbox.settled(seq, false);
            }
            Outgoing::SyncEnd(end) => {
                let known: BTreeSet<String> = self.recorded.keys().cloned().collect();
                let result = self.inbox.sync_end(&end, &known, Timestamp::UNIX_EPOCH, CONFIRM_AFTER);
                let SyncResult::Remove(gone) = result else {
                    panic!("{result:?}")
                };
                self.recorded.retain(|key, _| !gone.contains(key));
                self.inbox.sync_done();
            }
        }
        None
    }
}

fn exchange(sender: &mut Outbox<Addresses>, receiver: &mut Receiver) {
    while let Some(message) = sender.pop() {
        if let Some(seq) = receiver.take(message) {
            sender.ack(seq);
        }
    }
}

#[test]
fn any_topic_travels_with_coalescing_acknowledgements_resume_and_full_syncs() {
    let mut sender = Outbox::<Addresses>::new();
    let mut receiver = Receiver::default();
    receiver.recorded.insert("left over".to_owned(), Vec::new());
    sender.set("a".to_owned(), vec![1]);
    sender.set("a".to_owned(), vec![1, 2]);
    sender.set("b".to_owned(), vec![3]);
    let next = receiver.inbox.connected(false, sender.last_acked());
    assert_eq!(next, None);
    sender.connected(Resume::FullSync { sync_id: "s".into() }, 8);
    exchange(&mut sender, &mut receiver);
    assert_eq!(&receiver.recorded, sender.desired());
    assert_eq!(sender.last_acked(), 2, "of a only the newest state travelled");

    sender.disconnected();
    sender.remove("b".to_owned(), ());
    sender.set("c".to_owned(), vec![4]);
    let next = receiver.inbox.connected(true, sender.last_acked());
    assert_eq!(next, Some(3), "the session continues");
    sender.connected(Resume::Continue { next_seq: 3 }, 8);
    exchange(&mut sender, &mut receiver);
    assert_eq!(&receiver.recorded, sender.desired());
    assert!(sender.is_removed(&"b".to_owned()) && sender.unacknowledged() == 0);
}
