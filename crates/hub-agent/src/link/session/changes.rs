//! The changes of one topic on an open stream: each is checked, carried out by the topic's [`Handler`], and acknowledged
//! or refused.
//!
//! The work per member is bounded: a fixed number of changes at a time, one per record, and nothing more is read while
//! they run. So one noisy member cannot delay the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::inbox::{Inbox, Version};
use fairway_core::link::{Change, NackCode, Refusal, Topic};
use kit::backoff::Backoff;
use kit::clock::until;
use kit::repair::RepairTimer;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::convert::Missing;
use wire::member::member_message;
use wire::topic::{Answer, FromMember, MemberTopic, Offered};

use super::super::auth::{Auth, Caller, Standing};
use super::super::config::Membership;
use super::super::messages::{forbidden, protocol, unauthenticated};
use super::super::states::TopicStates;
use super::channel::Channel;
use super::context::{Context, End};
use crate::services::{WRITE_DEADLINE, Written};

/// Changes of one member that are carried out at a time.
const WRITES: usize = 16;
/// Acknowledgements are collected for this long at the most (networking 16.4 allows 100 ms).
const ACK_DELAY: Duration = Duration::from_millis(10);
/// A change that could not be carried out because nothing answered is sent again after this time: users wait for it, and
/// the outage has nothing to do with it. For any other reason the member waits longer each time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Waits before a full sync is requested again, and the time without trouble after which they begin anew.
const RESYNC: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));
const RESYNC_FORGIVEN: Duration = Duration::from_secs(300);

/// Carries out the changes of one topic.
pub(in super::super) trait Handler: Send + Sync + 'static {
    /// The topic.
    type Topic: MemberTopic;

    /// What is known of a cluster about this topic.
    fn inbox(states: &mut TopicStates) -> &mut Inbox<Self::Topic>;
    /// Changes of a cluster for which this is equal are carried out one after the other.
    fn serial_key(&self, key: &<Self::Topic as Topic>::Key) -> String;
    /// The version of what is recorded of a key, none when nothing is.
    fn version(&self, cluster: &str, key: &<Self::Topic as Topic>::Key) -> Option<Version>;
    /// The keys of a cluster whose records a full sync may remove.
    fn recorded(&self, cluster: &str) -> BTreeSet<<Self::Topic as Topic>::Key>;
    /// Carries out a change.
    fn write(
        &self,
        cluster: &str,
        key: &<Self::Topic as Topic>::Key,
        change: &Change<Self::Topic>,
    ) -> impl Future<Output = Result<Written, Refusal>> + Send;
    /// Removes what is recorded of a key that a full sync did not mention.
    fn remove(
        &self,
        cluster: &str,
        key: &<Self::Topic as Topic>::Key,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Key of a handler's topic.
pub(super) type Key<H> = <<H as Handler>::Topic as Topic>::Key;

/// The channel of the changes of one topic.
pub(in super::super) struct Changes<H: Handler> {
    pub(super) handler: Arc<H>,
    /// Number of the next change; `None` before the first one of a full sync.
    expected: Option<u64>,
    pub(super) running: JoinSet<Settled<H>>,
    /// The removals of a full sync, while they are carried out.
    pub(super) removing: JoinSet<bool>,
    /// Cancelled when the session ends, so that no more removals are begun.
    pub(super) ending: CancellationToken,
    /// Serial keys of the changes that are carried out.
    busy: BTreeSet<String>,
    /// A change that waits until another one with its serial key is carried out.
    held: Option<Arrived<H>>,
    /// The newest acknowledgement that is due, and when.
    ack: Option<(u64, Instant)>,
    /// When each unacknowledged change arrived.
    arrivals: BTreeMap<u64, Instant>,
    /// Changes were refused because the cluster leaves the fleet.
    refused_leaving: bool,
    /// A record is not what this session wrote.
    doubt: Arc<Notify>,
    /// When a full sync is requested from the member.
    pub(super) resync: RepairTimer,
    event: Option<Event<H>>,
}

/// Something to do.
enum Event<H: Handler> {
    Settled(Result<Settled<H>, JoinError>),
    Removed(Result<bool, JoinError>),
    Acknowledge,
    Doubt,
    Resync,
}

/// A change that was received.
struct Arrived<H: Handler> {
    seq: u64,
    key: Key<H>,
    change: Change<H::Topic>,
}

/// A change that has come to its end.
pub(super) struct Settled<H: Handler> {
    seq: u64,
    key: Key<H>,
    result: Result<Written, Failed>,
}

/// Why a change is not carried out.
enum Failed {
    /// It is refused.
    Refused(Refusal),
    /// The hub does not accept the caller's token any more.
    Unauthenticated,
    /// The caller may no longer report for the cluster.
    Forbidden,
}

impl<H: Handler> Changes<H> {
    /// The beginning of a session whose first change must carry a number, when that is known. `doubt` signals that a
    /// record is not what the session wrote.
    pub(in super::super) fn new(handler: Arc<H>, next_seq: Option<u64>, doubt: Arc<Notify>) -> Self {
        Self {
            handler,
            expected: next_seq,
            running: JoinSet::new(),
            removing: JoinSet::new(),
            ending: CancellationToken::new(),
            busy: BTreeSet::new(),
            held: None,
            ack: None,
            arrivals: BTreeMap::new(),
            refused_leaving: false,
            doubt,
            resync: RepairTimer::new(RESYNC, RESYNC_FORGIVEN),
            event: None,
        }
    }

    /// Reads or changes what is known of the cluster; `None` when a newer stream has taken over.
    pub(super) fn inbox<T>(&self, context: &Context, act: impl FnOnce(&mut Inbox<H::Topic>) -> T) -> Option<T> {
        context.slot.with(|states| act(H::inbox(states)))
    }

    /// Takes a change under its number. Numbers grow by one: behind a gap nothing could ever be acknowledged.
    fn numbered(&mut self, seq: u64, context: &Context) -> Result<(), End> {
        if seq == 0 || seq == u64::MAX || self.expected.is_some_and(|expected| expected != seq) {
            // What this member holds for sent is not known any more: it is to begin anew.
            self.inbox(context, |inbox| inbox.distrust());
            return Err(Some(protocol("Sequence numbers start at 1 and grow by one.")));
        }
        self.expected = Some(seq + 1);
        self.arrivals.insert(seq, Instant::now());
        Ok(())
    }

    async fn arrived(
        &mut self,
        seq: u64,
        in_sync: bool,
        size: u64,
        change: Result<(Key<H>, Change<H::Topic>), Missing>,
        context: &Context,
    ) -> Result<(), End> {
        self.numbered(seq, context)?;
        let (key, change) = match change {
            Ok(whole) => whole,
            Err(missing) => {
                let refusal = Refusal::new(NackCode::InvalidArgument, missing.to_string());
                return self.refuse_unread(seq, None, refusal, context).await;
            }
        };
        self.inbox(context, |inbox| match &change {
            Change::Set(state) if in_sync => inbox.sync_set(&key, state),
            Change::Set(_) => {}
            Change::Remove(_) => inbox.sync_remove(&key),
        });
        let limit = context.config.max_message;
        if size > u64::from(limit) {
            let message = format!("The report has {size} bytes; {limit} are allowed.");
            let refusal = Refusal::new(NackCode::TooLarge, message);
            return self.refuse_unread(seq, Some(key), refusal, context).await;
        }
        self.offer(Arrived { seq, key, change }, context);
        Ok(())
    }

    /// Answers a change that is not looked at. Its number is settled, or no later change could be acknowledged.
    async fn refuse_unread(
        &mut self,
        seq: u64,
        key: Option<Key<H>>,
        refusal: Refusal,
        context: &Context,
    ) -> Result<(), End> {
        let label = refusal.code.as_str();
        context.metrics.changes.with_label_values(&[label]).inc();
        self.refuse(seq, key, refusal, context).await?;
        let ack = self.inbox(context, |inbox| {
            inbox.arrived(seq);
            inbox.settled(seq, true)
        });
        self.note_ack(ack.flatten());
        Ok(())
    }

    /// Starts to carry out a change, or lets it wait for another one with its serial key.
    fn offer(&mut self, change: Arrived<H>, context: &Context) {
        let serial = self.handler.serial_key(&change.key);
        if self.busy.contains(&serial) {
            self.held = Some(change);
            self.count_queue(context);
            return;
        }
        self.busy.insert(serial);
        let Arrived { seq, key, change } = change;
        let fresh = self.inbox(context, |inbox| inbox.received(seq, &key)).unwrap_or(false);
        let leaving = (context.members)(&context.cluster) != Membership::Member;
        self.refused_leaving |= leaving;
        let (handler, auth) = (Arc::clone(&self.handler), Arc::clone(&context.auth));
        let (cluster, caller) = (context.cluster.clone(), Arc::clone(&context.caller));
        self.running.spawn(async move {
            let result = match may_report(&auth, &caller, &cluster).await {
                Err(failed) => Err(failed),
                // A newer change of the key came before.
                Ok(()) if !fresh => Ok(Written {
                    changed: false,
                    version: handler.version(&cluster, &key),
                }),
                Ok(()) if leaving && matches!(change, Change::Set(_)) => {
                    let message = format!("The cluster {cluster} is leaving the fleet: exports can only be withdrawn.");
                    Err(Failed::Refused(Refusal::new(NackCode::Forbidden, message)))
                }
                Ok(()) => handler.write(&cluster, &key, &change).await.map_err(Failed::Refused),
            };
            Settled { seq, key, result }
        });
        self.count_queue(context);
    }

    /// Takes in the end of a change.
    pub(super) async fn settle(
        &mut self,
        settled: Result<Settled<H>, JoinError>,
        context: &Context,
    ) -> Result<(), End> {
        // A change that broke off stays unsettled: the member sends it again over the next stream.
        let Ok(settled) = settled else { return Err(None) };
        let Settled { seq, key, result } = settled;
        self.busy.remove(&self.handler.serial_key(&key));
        self.count_queue(context);
        let label = match &result {
            Ok(Written { changed: true, .. }) => "written",
            Ok(Written { changed: false, .. }) => "unchanged",
            Err(Failed::Refused(refusal)) => refusal.code.as_str(),
            Err(Failed::Unauthenticated | Failed::Forbidden) => "revoked",
        };
        context.metrics.changes.with_label_values(&[label]).inc();
        let refused = match result {
            Ok(written) => {
                let now = self.handler.version(&context.cluster, &key);
                let as_written = self.inbox(context, |inbox| {
                    inbox.recorded(&key, written.version);
                    inbox.is_as_written(&key, now.as_ref())
                });
                if as_written == Some(false) {
                    self.resync_soon(context);
                }
                false
            }
            Err(Failed::Refused(refusal)) => {
                tracing::info!(cluster = context.cluster, %key, code = refusal.code.as_str(),
                    message = refusal.message, "A change was refused.");
                self.refuse(seq, Some(key), refusal, context).await?;
                true
            }
            Err(Failed::Unauthenticated) => return Err(Some(unauthenticated())),
            Err(Failed::Forbidden) => return Err(Some(forbidden(&context.cluster))),
        };
        // A refused change is settled as well: the refusal went out before.
        let ack = self.inbox(context, |inbox| inbox.settled(seq, refused)).flatten();
        self.note_ack(ack);
        if let Some(held) = self.held.take() {
            self.offer(held, context);
        }
        Ok(())
    }

    fn note_ack(&mut self, ack: Option<u64>) {
        if let Some(seq) = ack {
            let due = self.ack.map_or_else(|| Instant::now() + ACK_DELAY, |(_, due)| due);
            self.ack = Some((seq, due));
        }
    }

    async fn refuse(&self, seq: u64, key: Option<Key<H>>, refusal: Refusal, context: &Context) -> Result<(), End> {
        let retry_after = if refusal.unanswered {
            RETRY_AFTER
        } else {
            Duration::ZERO
        };
        let answer = Answer::Nack {
            seq,
            key,
            code: refusal.code,
            message: refusal.message,
            retry_after,
        };
        context.send(H::Topic::to_member(answer)).await
    }

    /// Sends the acknowledgement that is due, if any.
    pub(super) async fn acknowledge(&mut self, context: &Context) -> Result<(), End> {
        let Some((seq, _)) = self.ack.take() else {
            return Ok(());
        };
        let open = self.arrivals.split_off(&(seq + 1));
        let acknowledged = std::mem::replace(&mut self.arrivals, open);
        for arrived in acknowledged.into_values() {
            context.metrics.report_to_ack.observe(arrived.elapsed().as_secs_f64());
        }
        context.send(H::Topic::to_member(Answer::Ack { seq })).await
    }

    fn count_queue(&self, context: &Context) {
        let queued = self.running.len() + usize::from(self.held.is_some());
        let queued = i64::try_from(queued).unwrap_or(i64::MAX);
        context.metrics.queue.with_label_values(&[&context.cluster]).set(queued);
    }
}

#[tonic::async_trait]
impl<H: Handler> Channel for Changes<H> {
    async fn take(
        &mut self,
        body: member_message::Body,
        context: &Context,
    ) -> Result<Option<member_message::Body>, End> {
        match H::Topic::from_member(body) {
            Offered::Taken(FromMember::SyncBegin { sync_id }) => {
                self.inbox(context, |inbox| inbox.sync_begin(&sync_id));
            }
            Offered::Taken(FromMember::Change {
                seq,
                in_sync,
                size,
                change,
            }) => self.arrived(seq, in_sync, size, change, context).await?,
            Offered::Taken(FromMember::SyncEnd(end)) => self.end_sync(end, context).await?,
            Offered::Other(other) => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn has_room(&self) -> bool {
        self.held.is_none() && self.running.len() < WRITES && self.removing.is_empty()
    }

    async fn ready(&mut self, context: &Context) {
        let goes_on = context.goes_on() && self.removing.is_empty();
        let ack_at = self.ack.map(|(_, due)| due);
        let event = tokio::select! {
            Some(settled) = self.running.join_next() => Event::Settled(settled),
            Some(removed) = self.removing.join_next() => Event::Removed(removed),
            () = until(ack_at) => Event::Acknowledge,
            () = self.doubt.notified(), if goes_on => Event::Doubt,
            () = until(self.resync.due()), if goes_on => Event::Resync,
        };
        self.event = Some(event);
    }

    async fn act(&mut self, context: &Context) -> Result<(), End> {
        match self.event.take() {
            Some(Event::Settled(settled)) => self.settle(settled, context).await,
            Some(Event::Removed(all)) => {
                self.removed(all, context);
                Ok(())
            }
            Some(Event::Acknowledge) => self.acknowledge(context).await,
            Some(Event::Doubt) => {
                self.resync_soon(context);
                Ok(())
            }
            Some(Event::Resync) => self.ask_for_sync(context).await,
            None => Ok(()),
        }
    }

    /// What was refused meanwhile counts again.
    fn is_member_again(&mut self, context: &Context) {
        if std::mem::take(&mut self.refused_leaving) {
            self.resync_soon(context);
        }
    }

    async fn finish(&mut self) {
        self.ending.cancel();
        while self.running.join_next().await.is_some() {}
        while self.removing.join_next().await.is_some() {}
    }
}

/// Checks that the caller may still report for the cluster. An API server that does not answer must not hold up the change
/// for longer than a write may take.
async fn may_report(auth: &Auth, caller: &Caller, cluster: &str) -> Result<(), Failed> {
    let unavailable = |why: &str| {
        let message = format!("The hub cannot check the caller's rights now: {why}");
        Failed::Refused(Refusal::unanswered(message))
    };
    match tokio::time::timeout(WRITE_DEADLINE, auth.standing(caller, cluster)).await {
        Ok(Ok(Standing::Fine)) => Ok(()),
        Ok(Ok(Standing::Unauthenticated)) => Err(Failed::Unauthenticated),
        Ok(Ok(Standing::Forbidden)) => Err(Failed::Forbidden),
        Ok(Err(error)) => Err(unavailable(&error.to_string())),
        Err(_) => Err(unavailable("the API server does not answer in time.")),
    }
}
