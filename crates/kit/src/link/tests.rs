//! A sender and a receiver in one process, on streams that break, under tokio's paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::digester::Digester;
use fairway_core::link::inbox::Inbox;
use fairway_core::link::{Change, FromReceiver, FromSender, NackCode, Refusal, Topic};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;

const SECOND: Duration = Duration::from_secs(1);

/// Numbers by number.
#[derive(Clone, Debug, PartialEq)]
struct Numbers;

impl Topic for Numbers {
    const NAME: &'static str = "numbers";
    type Key = u32;
    type State = u64;
    type Removal = ();

    fn digest(key: &u32, state: &u64, digester: &mut Digester) {
        digester.bytes(&key.to_be_bytes());
        digester.bytes(&state.to_be_bytes());
    }
}

/// What the receiver records.
#[derive(Default)]
struct Store {
    recorded: Mutex<BTreeMap<u32, u64>>,
    /// How often each key is refused before it is accepted, and how.
    refuses: Mutex<BTreeMap<u32, (u32, Refusal)>>,
    /// Time that each change takes.
    takes: Duration,
    /// Changes that were carried out, with the most at a time.
    carried_out: Mutex<(usize, usize, usize)>,
}

impl Handler<Numbers> for Store {
    async fn carry_out(&self, key: &u32, change: &Change<Numbers>) -> Result<(), Refusal> {
        {
            let mut counts = self.carried_out.lock();
            counts.0 += 1;
            counts.1 += 1;
            counts.2 = counts.2.max(counts.1);
        }
        tokio::time::sleep(self.takes).await;
        self.carried_out.lock().1 -= 1;
        if let Some((times, refusal)) = self.refuses.lock().get_mut(key)
            && *times > 0
        {
            *times -= 1;
            return Err(refusal.clone());
        }
        match change {
            Change::Set(state) => self.recorded.lock().insert(*key, *state),
            Change::Remove(()) => self.recorded.lock().remove(key),
        };
        Ok(())
    }

    fn recorded(&self) -> BTreeSet<u32> {
        self.recorded.lock().keys().copied().collect()
    }

    async fn remove(&self, key: &u32) -> Result<(), Refusal> {
        self.recorded.lock().remove(key);
        Ok(())
    }
}

/// Both ends of a topic, what they keep between streams, and what was sent.
struct Pair {
    outbox: Arc<Outbox<Numbers>>,
    inbox: Arc<Mutex<Inbox<Numbers>>>,
    store: Arc<Store>,
    options: Options,
    returning: bool,
    syncs: usize,
    changes: usize,
    removed: Vec<u32>,
}

impl Pair {
    fn new(store: Store) -> Self {
        Self {
            outbox: Arc::default(),
            inbox: Arc::default(),
            store: Arc::new(store),
            options: Options::new(Clock::paused_at(jiff::Timestamp::UNIX_EPOCH)),
            returning: false,
            syncs: 0,
            changes: 0,
            removed: Vec::new(),
        }
    }

    /// Runs a stream for a while; then it breaks.
    async fn stream(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut sender = Sender::new(Arc::clone(&self.outbox), self.returning, None);
        let (inbox, store) = (Arc::clone(&self.inbox), Arc::clone(&self.store));
        let mut receiver = Receiver::new(inbox, store, self.returning, self.options);
        self.returning = true;
        loop {
            while let Some(message) = sender.pop(false) {
                match &message {
                    FromSender::SyncBegin { .. } => self.syncs += 1,
                    FromSender::Change { change, .. } => {
                        self.changes += 1;
                        if let Ok((key, Change::Remove(()))) = change {
                            self.removed.push(*key);
                        }
                    }
                    _ => {}
                }
                receiver.take(message).unwrap();
            }
            receiver.act().unwrap();
            while let Some(message) = receiver.pop() {
                sender.take(message).unwrap();
            }
            tokio::select! {
                () = sender.ready() => {}
                () = receiver.ready() => {}
                () = tokio::time::sleep_until(end) => break,
            }
        }
        receiver.finish().await;
        sender.close();
    }

    fn recorded(&self) -> BTreeMap<u32, u64> {
        self.store.recorded.lock().clone()
    }
}

fn numbers(keys: impl IntoIterator<Item = u32>, state: u64) -> BTreeMap<u32, u64> {
    keys.into_iter().map(|key| (key, state)).collect()
}

#[tokio::test(start_paused = true)]
async fn changes_arrive_through_a_small_window_and_only_the_newest_of_each_key() {
    let store = Store {
        takes: SECOND / 10,
        ..Store::default()
    };
    let mut pair = Pair::new(store);
    pair.options.window = 4;
    for state in 1..=3 {
        (0..20).for_each(|key| pair.outbox.set(key, state));
    }
    pair.outbox.remove(19, ());
    pair.stream(10 * SECOND).await;
    assert_eq!(pair.recorded(), numbers(0..19, 3));
    assert!(pair.outbox.is_settled());
    // One change for each key: the others were replaced before they were sent.
    assert_eq!((pair.syncs, pair.changes), (1, 20));
    assert_eq!(*pair.store.carried_out.lock(), (20, 0, 4));
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_lose_nothing_and_cost_no_second_sync() {
    let store = Store {
        takes: SECOND / 10,
        ..Store::default()
    };
    let mut pair = Pair::new(store);
    pair.outbox.set(0, 0);
    pair.stream(SECOND).await;
    assert_eq!((pair.syncs, pair.changes), (1, 1));
    for state in 1..=20_u64 {
        (0..40).for_each(|key| pair.outbox.set(key, state));
        pair.outbox.remove(u32::try_from(state).unwrap(), ());
        // It breaks in the middle of the changes, sooner or later.
        pair.stream(SECOND / 100 * u32::try_from(state).unwrap()).await;
    }
    pair.stream(10 * SECOND).await;
    let expected: BTreeMap<_, _> = numbers(0..40, 20).into_iter().filter(|(key, _)| *key != 20).collect();
    assert_eq!(pair.recorded(), expected);
    assert!(pair.outbox.is_settled());
    assert_eq!(pair.syncs, 1);
}

#[tokio::test(start_paused = true)]
async fn another_process_on_either_side_is_told_everything_and_stale_records_go() {
    let mut pair = Pair::new(Store::default());
    (0..10).for_each(|key| pair.outbox.set(key, 1));
    pair.stream(SECOND).await;
    // The sender is another one, which knows of one key less and has never said so.
    pair.outbox = Arc::default();
    pair.returning = false;
    (0..9).for_each(|key| pair.outbox.set(key, 1));
    pair.stream(SECOND).await;
    assert_eq!((pair.syncs, pair.recorded()), (2, numbers(0..9, 1)));
    assert!(pair.removed.is_empty(), "the end of the sync was received");
    // The receiver is another one.
    pair.inbox = Arc::default();
    pair.returning = false;
    pair.store.recorded.lock().clear();
    pair.stream(SECOND).await;
    assert_eq!((pair.syncs, pair.recorded()), (3, numbers(0..9, 1)));
    // One that holds itself for returning is not believed.
    pair.inbox = Arc::default();
    pair.store.recorded.lock().clear();
    pair.stream(SECOND).await;
    assert_eq!((pair.syncs, pair.recorded()), (4, numbers(0..9, 1)));
}

#[tokio::test(start_paused = true)]
async fn most_of_what_is_recorded_is_removed_only_when_a_second_sync_confirms_it() {
    let mut pair = Pair::new(Store::default());
    *pair.store.recorded.lock() = numbers(0..10, 1);
    pair.outbox.set(0, 1);
    pair.stream(20 * SECOND).await;
    assert_eq!((pair.syncs, pair.recorded()), (1, numbers(0..10, 1)));
    pair.stream(40 * SECOND).await;
    assert_eq!(pair.recorded(), numbers(0..1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_now_is_sent_again_and_what_is_refused_for_good_is_not() {
    let mut pair = Pair::new(Store::default());
    let refusals = [
        (1, (2, Refusal::unavailable("Not now."))),
        (2, (1, Refusal::unanswered("Nothing answers."))),
        (3, (9, Refusal::new(NackCode::InvalidArgument, "Never."))),
    ];
    *pair.store.refuses.lock() = refusals.into_iter().collect();
    (0..4).for_each(|key| pair.outbox.set(key, 1));
    pair.stream(10 * SECOND).await;
    assert_eq!(pair.recorded(), numbers(0..3, 1));
    assert!(pair.outbox.is_settled());
    assert_eq!(pair.store.refuses.lock()[&3].0, 8, "it is not repeated");
    // A full sync leaves it alone, on both sides.
    pair.store.recorded.lock().insert(3, 0);
    pair.returning = false;
    pair.stream(10 * SECOND).await;
    assert_eq!(pair.recorded().len(), 4);
    assert_eq!(pair.store.refuses.lock()[&3].0, 8);
    // Another state is another change.
    pair.outbox.set(3, 2);
    pair.stream(SECOND).await;
    assert_eq!(pair.store.refuses.lock()[&3].0, 7);
}

#[tokio::test(start_paused = true)]
async fn who_breaks_the_protocol_is_found_out() {
    let outbox = Arc::<Outbox<Numbers>>::default();
    outbox.set(1, 1);
    let change = |seq| FromSender::<Numbers>::Change {
        seq,
        sync_id: None,
        change: Ok((u32::try_from(seq).unwrap(), Change::Set(1))),
    };
    let options = Options {
        window: 2,
        ..Options::new(Clock::System)
    };
    let receiver = || {
        Receiver::new(
            Arc::default(),
            Arc::new(Store {
                takes: SECOND,
                ..Store::default()
            }),
            false,
            options,
        )
    };
    let offer = || FromSender::Offer { last_acked: None };
    assert!(receiver().take(change(1)).is_err(), "no offer");
    let mut twice = receiver();
    twice.take(offer()).unwrap();
    assert!(twice.take(offer()).is_err());
    let mut gap = receiver();
    gap.take(offer()).unwrap();
    gap.take(change(1)).unwrap();
    assert!(gap.take(change(3)).is_err());
    let mut many = receiver();
    many.take(offer()).unwrap();
    (1..=4).for_each(|seq| many.take(change(seq)).unwrap());
    assert!(many.take(change(5)).is_err(), "the window is full");

    let resume = |next_seq| FromReceiver::<Numbers>::Resume { next_seq, window: 2 };
    let sender = || {
        let mut sender = Sender::new(Arc::clone(&outbox), true, None);
        assert!(matches!(sender.pop(false), Some(FromSender::Offer { .. })));
        assert_eq!(sender.pop(false), None, "nothing is sent before the offer is answered");
        sender
    };
    assert!(sender().take(resume(Some(9))).is_err(), "nobody has sent so many");
    assert!(sender().take(resume(Some(0))).is_err());
    let mut open = sender();
    open.take(resume(None)).unwrap();
    assert!(open.take(resume(None)).is_err());
    assert!(open.take(FromReceiver::Ack { seq: 5 }).is_err());
}

#[test]
fn the_outbox_of_a_receiver_that_is_gone_is_forgotten() {
    let all = Outboxes::<Numbers>::default();
    all.of("a").set(1, 1);
    assert!(!all.of("a").is_settled(), "the same one");
    assert!(all.of("b").is_settled());
    all.forget("a");
    assert_eq!(all.len(), 1);
    assert!(all.of("a").is_settled(), "a new one");
}
