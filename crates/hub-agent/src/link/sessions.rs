//! The sessions of all clusters: which stream is the session of a cluster now, and what the hub remembers of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairway_core::link::fence::{Admission, Fence, Greeting};
use fairway_core::link::inbox::Version;
use fairway_core::services::{ExportKey, Verdict};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::member as pb;

use super::config::{Members, Membership, Rights};
use super::metrics::Metrics;
use super::states::{TopicSignals, TopicStates};
use crate::presence::Presence;
use crate::services::Observer;

/// Clusters that have left the fleet are looked for when one connects, at most once in this time.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// What is known of every member that opened a session in this leader term.
pub(super) struct Sessions {
    incarnation: String,
    clusters: Mutex<BTreeMap<String, Cluster>>,
    /// When clusters that have left were looked for last.
    swept: Mutex<Instant>,
    members: Members,
    /// Is called with each cluster that is forgotten.
    departed: Box<dyn Fn(&str) + Send + Sync>,
    presence: Arc<Presence>,
    metrics: Metrics,
}

#[derive(Default)]
struct Cluster {
    fence: Fence,
    topics: TopicStates,
    stream: Option<Stream>,
    streams: u64,
    /// Held by the stream that works for the cluster, until its last write has come to an end.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Stream {
    number: u64,
    signals: Signals,
}

/// What the rest of the agent signals to an open stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// The rights of the cluster may have changed.
    pub rights: Arc<Notify>,
    /// A newer stream of the cluster takes over.
    pub superseded: CancellationToken,
    /// What concerns single topics.
    pub topics: TopicSignals,
}

/// The right of one stream to be the session of its cluster; the stream is gone when this is dropped.
pub(super) struct SessionSlot {
    sessions: Arc<Sessions>,
    cluster: String,
    number: u64,
    /// The member's process is that of the stream before, and it knows this hub.
    pub returning: bool,
    /// What is signalled to the stream.
    pub signals: Signals,
    /// To be held while changes are written: the stream before may still have a write on its way.
    pub turn: Arc<tokio::sync::Mutex<()>>,
    /// When the member was there last, until the session has said how it ends.
    silent_since: Mutex<Option<Timestamp>>,
}

impl Sessions {
    /// No sessions yet. `departed` is called with each cluster that has left the fleet.
    pub(super) fn new(
        members: Members,
        departed: Box<dyn Fn(&str) + Send + Sync>,
        presence: Arc<Presence>,
        metrics: Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            incarnation: uuid::Uuid::new_v4().to_string(),
            clusters: Mutex::default(),
            swept: Mutex::new(Instant::now()),
            members,
            departed,
            presence,
            metrics,
        })
    }

    /// Makes a stream the session of its cluster; the one before must go. Returns how each topic continues; `None` when the
    /// stream is outdated itself.
    pub(super) fn enter(self: &Arc<Self>, hello: &pb::Hello, now: Timestamp) -> Option<(SessionSlot, pb::Welcome)> {
        self.sweep();
        let cluster = &hello.cluster;
        let greeting = Greeting {
            epoch: hello.epoch,
            instance: hello.instance.clone(),
            hub_incarnation: hello.hub_incarnation.clone(),
        };
        let mut clusters = self.clusters.lock();
        let entry = clusters.entry(cluster.to_owned()).or_default();
        let returning = match entry.fence.admit(&greeting, &self.incarnation) {
            Admission::Superseded => return None,
            Admission::Returning => true,
            Admission::New => false,
        };
        let mut welcome = pb::Welcome {
            hub_incarnation: self.incarnation.clone(),
            ..pb::Welcome::default()
        };
        entry.topics.connected(returning, hello, &mut welcome);
        if let Some(before) = entry.stream.take() {
            before.signals.superseded.cancel();
        } else {
            self.metrics.sessions.inc();
        }
        self.metrics.opened.with_label_values(&[cluster]).set(now.as_second());
        self.presence.not_silent(cluster);
        entry.streams += 1;
        let (number, signals) = (entry.streams, Signals::default());
        // What was judged while no stream was open.
        signals.topics.verdicts.notify_one();
        entry.stream = Some(Stream {
            number,
            signals: signals.clone(),
        });
        let slot = SessionSlot {
            sessions: Arc::clone(self),
            cluster: cluster.to_owned(),
            number,
            returning,
            signals,
            turn: Arc::clone(&entry.turn),
            // A stream may be gone before it is a session.
            silent_since: Mutex::new(Some(now)),
        };
        Some((slot, welcome))
    }

    /// Has open streams check the rights of their clusters when those may have changed, until `stop`.
    pub(super) async fn follow_rights(self: Arc<Self>, mut rights: Rights, stop: CancellationToken) {
        while let Some(change) = stop.run_until_cancelled(rights.recv()).await {
            let concerned = match change {
                Ok(cluster) => Some(cluster),
                Err(RecvError::Lagged(lost)) => {
                    kit::metrics::dropped("changed rights", lost);
                    None
                }
                Err(RecvError::Closed) => return,
            };
            let clusters = self.clusters.lock();
            let streams = clusters
                .iter()
                .filter(|(name, _)| concerned.as_ref().is_none_or(|cluster| cluster == *name))
                .filter_map(|(_, entry)| entry.stream.as_ref());
            streams.for_each(|stream| stream.signals.rights.notify_one());
        }
    }

    /// Number of open sessions.
    pub(super) fn open(&self) -> usize {
        let clusters = self.clusters.lock();
        clusters.values().filter(|entry| entry.stream.is_some()).count()
    }

    /// Forgets clusters that are no members any more and have no stream.
    fn sweep(&self) {
        let mut swept = self.swept.lock();
        if swept.elapsed() < SWEEP_PAUSE {
            return;
        }
        *swept = Instant::now();
        self.clusters.lock().retain(|name, entry| self.stays(name, entry));
    }

    fn stays(&self, name: &str, entry: &Cluster) -> bool {
        let stays = entry.stream.is_some() || (self.members)(name) != Membership::None;
        if !stays {
            self.metrics.count_verdicts(entry.topics.verdicts.open(), 0);
            (self.departed)(name);
            self.presence.not_silent(name);
        }
        stays
    }
}

impl Observer for Sessions {
    /// The verdict is remembered until the member acknowledges it, and sent at once where a stream is open.
    fn judged(&self, cluster: &str, key: &ExportKey, mut verdict: Verdict) {
        let mut clusters = self.clusters.lock();
        // A cluster without a session (an agent that writes its records itself) reads the condition on the record.
        let Some(entry) = clusters.get_mut(cluster) else { return };
        verdict.for_seq = entry.topics.exports.newest_of(key);
        let before = entry.topics.verdicts.open();
        if !entry.topics.verdicts.set(key, verdict) {
            return;
        }
        self.metrics.count_verdicts(before, entry.topics.verdicts.open());
        if let Some(stream) = &entry.stream {
            stream.signals.topics.verdicts.notify_one();
        }
    }

    fn changed(&self, cluster: &str, key: &ExportKey, version: Option<&Version>) {
        let mut clusters = self.clusters.lock();
        let Some(entry) = clusters.get_mut(cluster) else { return };
        if version.is_none() {
            let before = entry.topics.verdicts.open();
            entry.topics.verdicts.forget(key);
            self.metrics.count_verdicts(before, entry.topics.verdicts.open());
        }
        if !entry.topics.exports.is_as_written(key, version) {
            tracing::info!(cluster, export = %key, "The record of an export was changed by somebody else; the member is asked to report again.");
            entry.topics.exports.distrust();
            if let Some(stream) = &entry.stream {
                stream.signals.topics.exports_doubt.notify_one();
            }
        }
    }
}

impl SessionSlot {
    /// The stream ends because the member does not answer or is gone, without a message that says so. It was there last
    /// at `since`. This counts at once, while a write of the stream may still be under way.
    pub(super) fn fell_silent(&self, since: Timestamp) {
        self.ended_in_order();
        let clusters = self.sessions.clusters.lock();
        let entry = clusters.get(&self.cluster);
        if entry.is_some_and(|entry| self.is_current(entry)) {
            self.sessions.presence.silenced(&self.cluster, since);
        }
    }

    /// The stream ends because one of both sides has said so.
    pub(super) fn ended_in_order(&self) {
        *self.silent_since.lock() = None;
    }

    /// Whether no newer stream has taken over.
    fn is_current(&self, entry: &Cluster) -> bool {
        entry.stream.as_ref().is_some_and(|stream| stream.number == self.number)
    }

    /// Reads or changes what the hub remembers of the cluster. `None` when a newer stream has taken over.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut TopicStates) -> T) -> Option<T> {
        let mut clusters = self.sessions.clusters.lock();
        let entry = clusters.get_mut(&self.cluster)?;
        self.is_current(entry).then(|| act(&mut entry.topics))
    }
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        let mut clusters = self.sessions.clusters.lock();
        if let Some(entry) = clusters.get_mut(&self.cluster)
            && self.is_current(entry)
        {
            entry.stream = None;
            self.sessions.metrics.closed(&self.cluster);
            if let Some(since) = *self.silent_since.lock() {
                self.sessions.presence.silenced(&self.cluster, since);
            }
            if !self.sessions.stays(&self.cluster, entry) {
                clusters.remove(&self.cluster);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fairway_core::services::Conflict;
    use prometheus::Registry;

    use super::*;

    fn hello(cluster: &str) -> pb::Hello {
        pb::Hello {
            cluster: cluster.to_owned(),
            ..pb::Hello::default()
        }
    }

    fn verdict() -> Verdict {
        Verdict {
            service_uid: "u".into(),
            conflict: Conflict::NoConflict,
            reason: String::new(),
            message: String::new(),
            for_seq: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clusters_that_have_left_are_forgotten() {
        let fleet = Arc::new(Mutex::new(vec!["a", "b", "c"]));
        let known = Arc::clone(&fleet);
        let members: Members = Arc::new(move |name| match known.lock().contains(&name) {
            true => Membership::Member,
            false => Membership::None,
        });
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let departed = Arc::<Mutex<Vec<String>>>::default();
        let names = Arc::clone(&departed);
        let sessions = Sessions::new(
            members,
            Box::new(move |name| names.lock().push(name.to_owned())),
            Arc::default(),
            metrics.clone(),
        );
        let now = Timestamp::UNIX_EPOCH;
        let key = ExportKey {
            namespace: "app".into(),
            name: "web".into(),
        };
        let enter = |name: &str| {
            let (slot, _) = sessions.enter(&hello(name), now).unwrap();
            sessions.judged(name, &key, verdict());
            slot
        };
        let names = || sessions.clusters.lock().keys().cloned().collect::<Vec<_>>();
        let (a, b) = (enter("a"), enter("b"));
        drop(a);
        assert_eq!(names(), ["a", "b"], "a member is remembered between its streams");
        // One leaves while it has a stream, another while it has none.
        *fleet.lock() = vec!["c"];
        drop(b);
        assert_eq!((names(), metrics.open_verdicts.get()), (vec!["a".to_owned()], 1));
        tokio::time::advance(SWEEP_PAUSE).await;
        let _c = enter("c");
        assert_eq!((names(), metrics.open_verdicts.get()), (vec!["c".to_owned()], 1));
        assert_eq!(*departed.lock(), ["b", "a"], "once each");
    }

    #[tokio::test]
    async fn a_member_is_silent_from_a_session_that_broke_to_the_next_one() {
        let members: Members = Arc::new(|_| Membership::Member);
        let (presence, metrics) = (Arc::<Presence>::default(), Metrics::register(&Registry::new()).unwrap());
        let sessions = Sessions::new(members, Box::new(|_| {}), Arc::clone(&presence), metrics);
        let enter = || sessions.enter(&hello("a"), Timestamp::UNIX_EPOCH).unwrap().0;
        let last = Timestamp::from_second(5).unwrap();
        let in_order = enter();
        in_order.ended_in_order();
        drop(in_order);
        assert_eq!(presence.silence("a"), None);
        drop(enter());
        assert_eq!(
            presence.silence("a").unwrap().since,
            Timestamp::UNIX_EPOCH,
            "it was gone before it was welcomed"
        );
        let broken = enter();
        broken.fell_silent(last);
        assert_eq!(
            presence.silence("a").unwrap().since,
            last,
            "before its last write is done"
        );
        drop(broken);
        assert_eq!(presence.silence("a").unwrap().since, last);
        let (old, new) = (enter(), enter());
        assert_eq!(presence.silence("a"), None);
        old.fell_silent(last);
        drop(old);
        assert_eq!(presence.silence("a"), None, "a newer stream has taken over");
        drop(new);
    }

    #[tokio::test]
    async fn changes_of_rights_that_are_lost_are_counted_and_all_streams_ask() {
        let members: Members = Arc::new(|_| Membership::Member);
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let sessions = Sessions::new(members, Box::new(|_| {}), Arc::default(), metrics);
        let enter = |name: &str| sessions.enter(&hello(name), Timestamp::UNIX_EPOCH).unwrap().0;
        let (a, b) = (enter("a"), enter("b"));
        let (sender, rights) = tokio::sync::broadcast::channel(2);
        for _ in 0..5 {
            sender.send("a".to_owned()).unwrap();
        }
        drop(sender);
        let dropped = &kit::metrics::runtime().unwrap().dropped;
        let count = dropped.with_label_values(&["changed rights"]);
        let before = count.get();
        Arc::clone(&sessions)
            .follow_rights(rights, CancellationToken::new())
            .await;
        assert_eq!(count.get() - before, 3);
        a.signals.rights.notified().await;
        b.signals.rights.notified().await;
    }
}
