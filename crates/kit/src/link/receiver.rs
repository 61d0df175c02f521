//! The receiver's side of a topic on one stream.
//!
//! Changes are taken in the order of their numbers. Some are carried out at a time, never two of one key, and the end of
//! a full sync waits for those before it and holds up those behind it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::inbox::{CONFIRM_AFTER, Inbox, SyncResult};
use fairway_core::link::{Change, FromReceiver, FromSender, NackCode, Refusal, SyncEnd, Topic};
use jiff::SignedDuration;
use parking_lot::Mutex;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Broken, remove_all};
use crate::backoff::Backoff;
use crate::clock::{Clock, until};
use crate::repair::RepairTimer;

/// Changes that are carried out at a time.
const AT_ONCE: usize = 16;
/// Acknowledgements are collected for this long at the most.
const ACK_DELAY: Duration = Duration::from_millis(10);
/// Least wait before a change is sent again that could not be carried out because nothing answered.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Waits before the sender is asked for everything again, and the time without trouble after which they begin anew.
const RESYNC: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
const RESYNC_FORGIVEN: Duration = Duration::from_secs(300);

/// Carries out the changes of a topic that come from one sender. Each call needs a deadline of its own.
pub trait Handler<T: Topic>: Send + Sync + 'static {
    /// Carries out a change. It is acknowledged once this succeeds, and may come again after a broken stream.
    fn carry_out(&self, key: &T::Key, change: &Change<T>) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The keys of which something is recorded; a full sync removes those that it does not mention.
    fn recorded(&self) -> BTreeSet<T::Key>;

    /// Removes what is recorded of a key that a full sync did not mention.
    fn remove(&self, key: &T::Key) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// How changes are received.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Most changes that may be unacknowledged.
    pub window: u32,
    /// Least time between the two full syncs that a large removal needs.
    pub confirm_after: Duration,
    /// The clock.
    pub clock: Clock,
}

impl Options {
    /// The usual values.
    pub fn new(clock: Clock) -> Self {
        Self {
            window: 256,
            confirm_after: CONFIRM_AFTER.unsigned_abs(),
            clock,
        }
    }
}

/// Receives the changes of a topic over one stream.
pub struct Receiver<T: Topic, H> {
    /// What is known of the sender, kept between streams.
    inbox: Arc<Mutex<Inbox<T>>>,
    handler: Arc<H>,
    options: Options,
    returning: bool,
    /// The sender has made its offer.
    is_open: bool,
    /// Number of the next change; `None` before the first one of a full sync.
    expected: Option<u64>,
    /// What has arrived and is not begun, at most a window of changes.
    arrived: VecDeque<Arrived<T>>,
    running: JoinSet<Settled<T>>,
    /// Keys whose change is carried out.
    busy: BTreeSet<T::Key>,
    /// The removals of a full sync that has ended; whether all are done.
    removing: JoinSet<bool>,
    /// Ends the removals.
    ending: CancellationToken,
    answers: VecDeque<FromReceiver<T>>,
    /// The acknowledgement that is due, and when.
    ack: Option<(u64, Instant)>,
    resync: RepairTimer,
    event: Option<Event<T>>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "a window of them at the most; changes are the common case"
)]
enum Arrived<T: Topic> {
    SyncBegin {
        sync_id: String,
    },
    Change {
        seq: u64,
        is_in_sync: bool,
        change: Result<(T::Key, Change<T>), Refusal>,
    },
    SyncEnd(SyncEnd<T>),
}

/// A change that has come to its end.
struct Settled<T: Topic> {
    seq: u64,
    key: T::Key,
    result: Result<(), Refusal>,
}

/// Something to do.
enum Event<T: Topic> {
    Settled(Result<Settled<T>, JoinError>),
    Removed(Result<bool, JoinError>),
    Acknowledge,
    Resync,
}

impl<T: Topic, H: Handler<T>> Receiver<T, H> {
    /// The beginning of a stream. `returning` says that the sender is the process of the session before, and that it knows
    /// this one.
    pub fn new(inbox: Arc<Mutex<Inbox<T>>>, handler: Arc<H>, returning: bool, options: Options) -> Self {
        Self {
            inbox,
            handler,
            options,
            returning,
            is_open: false,
            expected: None,
            arrived: VecDeque::new(),
            running: JoinSet::new(),
            busy: BTreeSet::new(),
            removing: JoinSet::new(),
            ending: CancellationToken::new(),
            answers: VecDeque::new(),
            ack: None,
            resync: RepairTimer::new(RESYNC, RESYNC_FORGIVEN),
            event: None,
        }
    }

    /// Takes what the sender says.
    ///
    /// # Errors
    /// When it breaks the protocol.
    pub fn take(&mut self, message: FromSender<T>) -> Result<(), Broken> {
        let arrived = match message {
            FromSender::Offer { last_acked } => return self.open(last_acked),
            _ if !self.is_open => return Err(Broken::Protocol("A topic begins with an offer.")),
            FromSender::SyncBegin { sync_id } => Arrived::SyncBegin { sync_id },
            FromSender::SyncEnd(end) => Arrived::SyncEnd(end),
            FromSender::Change { seq, sync_id, change } => {
                self.number(seq)?;
                Arrived::Change {
                    seq,
                    is_in_sync: sync_id.is_some(),
                    change,
                }
            }
        };
        let window = usize::try_from(self.options.window).unwrap_or(usize::MAX);
        // A full sync adds its beginning and its end.
        if self.arrived.len() + self.running.len() >= window.saturating_add(2) {
            return Err(Broken::Protocol("More changes were sent than the window allows."));
        }
        self.arrived.push_back(arrived);
        self.begin();
        Ok(())
    }

    /// Waits until there is something to do or to say. It may be given up at any time and lose nothing.
    pub async fn ready(&mut self) {
        if self.event.is_some() || !self.answers.is_empty() {
            return;
        }
        let event = tokio::select! {
            Some(settled) = self.running.join_next() => Event::Settled(settled),
            Some(removed) = self.removing.join_next() => Event::Removed(removed),
            () = until(self.ack.map(|(_, due)| due)) => Event::Acknowledge,
            () = until(self.resync.due()) => Event::Resync,
        };
        self.event = Some(event);
    }

    /// Does what there is to do.
    ///
    /// # Errors
    /// When the stream cannot go on.
    pub fn act(&mut self) -> Result<(), Broken> {
        match self.event.take() {
            None => {}
            Some(Event::Settled(settled)) => self.settled(settled.map_err(|_| Broken::Handler)?),
            Some(Event::Removed(removed)) => match removed.map_err(|_| Broken::Handler)? {
                true => self.inbox.lock().sync_done(),
                false => self.resync_soon(),
            },
            Some(Event::Acknowledge) => self.acknowledge(),
            Some(Event::Resync) => self.ask_for_sync(),
        }
        self.begin();
        Ok(())
    }

    /// The next message that is to be sent.
    pub fn pop(&mut self) -> Option<FromReceiver<T>> {
        self.answers.pop_front()
    }

    /// Whether everything that arrived is answered.
    pub fn is_settled(&self) -> bool {
        self.arrived.is_empty() && self.running.is_empty() && self.removing.is_empty() && self.ack.is_none()
    }

    /// Waits for what is under way; nothing more is begun. Only what has come to its end cannot surprise the next stream.
    pub async fn finish(&mut self) {
        self.ending.cancel();
        self.arrived.clear();
        while self.running.join_next().await.is_some() {}
        while self.removing.join_next().await.is_some() {}
    }

    fn open(&mut self, last_acked: Option<u64>) -> Result<(), Broken> {
        if std::mem::replace(&mut self.is_open, true) {
            return Err(Broken::Protocol("An offer is sent once."));
        }
        let returning = self.returning && last_acked.is_some();
        let next_seq = self.inbox.lock().connected(returning, last_acked.unwrap_or_default());
        self.expected = next_seq;
        self.answers.push_back(FromReceiver::Resume {
            next_seq,
            window: self.options.window,
        });
        Ok(())
    }

    /// Takes a number. Numbers grow by one: behind a gap nothing could ever be acknowledged.
    fn number(&mut self, seq: u64) -> Result<(), Broken> {
        if seq == 0 || seq == u64::MAX || self.expected.is_some_and(|expected| expected != seq) {
            // What the sender holds for sent is not known any more: it is to begin anew.
            self.inbox.lock().distrust();
            return Err(Broken::Protocol("Sequence numbers start at 1 and grow by one."));
        }
        self.expected = Some(seq + 1);
        Ok(())
    }

    /// Begins what can be begun now.
    fn begin(&mut self) {
        while self.removing.is_empty() {
            let can_begin = match self.arrived.front() {
                None => false,
                Some(Arrived::SyncBegin { .. }) => true,
                Some(Arrived::SyncEnd(_)) => self.running.is_empty(),
                Some(Arrived::Change { change, .. }) => {
                    let is_busy = change.as_ref().is_ok_and(|(key, _)| self.busy.contains(key));
                    !is_busy && self.running.len() < AT_ONCE
                }
            };
            if !can_begin {
                return;
            }
            let Some(arrived) = self.arrived.pop_front() else {
                return;
            };
            match arrived {
                Arrived::SyncBegin { sync_id } => self.inbox.lock().sync_begin(&sync_id),
                Arrived::SyncEnd(end) => self.end_sync(&end),
                Arrived::Change {
                    seq,
                    change: Err(refusal),
                    ..
                } => {
                    self.inbox.lock().arrived(seq);
                    self.answer(seq, None, Err(refusal));
                }
                Arrived::Change {
                    seq,
                    is_in_sync,
                    change: Ok((key, change)),
                } => self.carry_out(seq, is_in_sync, key, change),
            }
        }
    }

    fn carry_out(&mut self, seq: u64, is_in_sync: bool, key: T::Key, change: Change<T>) {
        let mut inbox = self.inbox.lock();
        match &change {
            Change::Set(state) if is_in_sync => inbox.sync_set(&key, state),
            Change::Set(_) => {}
            Change::Remove(_) => inbox.sync_remove(&key),
        }
        let is_newest = inbox.received(seq, &key);
        drop(inbox);
        self.busy.insert(key.clone());
        let handler = Arc::clone(&self.handler);
        self.running.spawn(async move {
            let result = match is_newest {
                true => handler.carry_out(&key, &change).await,
                false => Ok(()),
            };
            Settled { seq, key, result }
        });
    }

    fn settled(&mut self, Settled { seq, key, result }: Settled<T>) {
        self.busy.remove(&key);
        self.answer(seq, Some(key), result);
    }

    /// Answers a change. A refused one is settled as well: the refusal goes out before the acknowledgement.
    fn answer(&mut self, seq: u64, key: Option<T::Key>, result: Result<(), Refusal>) {
        let is_refused = result.is_err();
        if let Err(refusal) = result {
            let (key_text, code) = (key.as_ref().map(ToString::to_string), refusal.code.as_str());
            tracing::info!(
                topic = T::NAME,
                key = key_text,
                code,
                message = refusal.message,
                "A change was refused."
            );
            self.answers.push_back(nack(seq, key, refusal));
        }
        if let Some(ack) = self.inbox.lock().settled(seq, is_refused) {
            let due = self.ack.map_or_else(|| Instant::now() + ACK_DELAY, |(_, due)| due);
            self.ack = Some((ack, due));
        }
    }

    fn acknowledge(&mut self) {
        if let Some((seq, _)) = self.ack.take() {
            self.answers.push_back(FromReceiver::Ack { seq });
        }
    }

    /// Ends a full sync whose changes are settled: removes what it did not mention.
    fn end_sync(&mut self, end: &SyncEnd<T>) {
        self.acknowledge();
        let (recorded, now) = (self.handler.recorded(), self.options.clock.now());
        let confirm_after = SignedDuration::try_from(self.options.confirm_after).unwrap_or(SignedDuration::MAX);
        let result = self.inbox.lock().sync_end(end, &recorded, now, confirm_after);
        match result {
            SyncResult::Mismatch => self.resync_soon(),
            SyncResult::Held { confirm_at, removals } => {
                tracing::warn!(topic = T::NAME, removals, %confirm_at,
                    "A full sync would remove most of what is recorded; only a second one may do that.");
                let wait = Duration::try_from(confirm_at.duration_since(now)).unwrap_or_default();
                self.resync.set(Instant::now() + wait);
            }
            SyncResult::Remove(keys) => {
                let (handler, ending) = (Arc::clone(&self.handler), self.ending.clone());
                self.removing.spawn(async move {
                    let remove = |key: T::Key| {
                        let handler = Arc::clone(&handler);
                        async move { removed::<T>(&key, handler.remove(&key).await) }
                    };
                    remove_all(keys, || ending.is_cancelled(), remove).await
                });
            }
        }
    }

    /// Asks the sender for everything again, soon, and later each time that it does not help.
    fn resync_soon(&mut self) {
        if self.resync.request() {
            self.inbox.lock().distrust();
        }
    }

    fn ask_for_sync(&mut self) {
        self.resync.done();
        self.inbox.lock().distrust();
        let reason = "What is recorded may differ from what was sent.".to_owned();
        self.answers.push_back(FromReceiver::Resync { reason });
    }
}

fn nack<T: Topic>(seq: u64, key: Option<T::Key>, refusal: Refusal) -> FromReceiver<T> {
    let Refusal {
        code,
        message,
        unanswered,
    } = refusal;
    let retry_after = match code {
        NackCode::Unavailable if unanswered => RETRY_AFTER,
        _ => Duration::ZERO,
    };
    FromReceiver::Nack {
        seq,
        key,
        code,
        message,
        retry_after,
    }
}

/// Whether a removal succeeded.
fn removed<T: Topic>(key: &T::Key, result: Result<(), Refusal>) -> bool {
    if let Err(refusal) = &result {
        tracing::warn!(topic = T::NAME, %key, message = refusal.message,
            "What is no longer sent could not be removed; the next full sync tries again.");
    }
    result.is_ok()
}
