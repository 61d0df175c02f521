//! The sessions of all clusters: which stream speaks for a cluster now, and what the hub remembers of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::link::session::{Admission, ClusterSession, Greeting, Version};
use fairway_core::link::{ExportKey, Verdict};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Rights;
use super::metrics::Metrics;
use super::records::Touched;

/// What is known of every cluster that ever opened a session in this leader term.
pub(super) struct Sessions {
    incarnation: String,
    clusters: Mutex<BTreeMap<String, Cluster>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Cluster {
    state: ClusterSession,
    stream: Option<Stream>,
    streams: u64,
    /// Held by the stream that works for the cluster, until its last write has come to an end.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Stream {
    number: u64,
    signals: Signals,
}

/// What the rest of the agent tells an open stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// There are verdicts to send.
    pub verdicts: Arc<Notify>,
    /// A record is not what the session wrote: the member should report everything again.
    pub doubt: Arc<Notify>,
    /// The rights of the cluster may have changed.
    pub rights: Arc<Notify>,
    /// A newer stream of the cluster takes over.
    pub superseded: CancellationToken,
}

/// The place of one stream; the stream is gone when this is dropped.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    cluster: String,
    number: u64,
    /// What the stream is told.
    pub signals: Signals,
    /// To be held while changes are written: the stream before may still have a write on its way.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

impl Sessions {
    pub(super) fn new(metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            incarnation: uuid::Uuid::new_v4().to_string(),
            clusters: Mutex::default(),
            metrics,
        })
    }

    /// Id of this leader term.
    pub(super) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Lets a stream speak for its cluster; the one before must go. `None` when this one is outdated itself.
    pub(super) fn enter(
        self: &Arc<Self>,
        cluster: &str,
        greeting: &Greeting,
        now: Timestamp,
    ) -> Option<(Place, Admission)> {
        let mut clusters = self.clusters.lock();
        let entry = clusters.entry(cluster.to_owned()).or_default();
        let admission = entry.state.hello(greeting, &self.incarnation);
        if admission == Admission::Superseded {
            return None;
        }
        if let Some(before) = entry.stream.take() {
            before.signals.superseded.cancel();
        } else {
            self.metrics.sessions.inc();
        }
        self.metrics.opened.with_label_values(&[cluster]).set(now.as_second());
        entry.streams += 1;
        let (number, signals) = (entry.streams, Signals::default());
        // What was judged while nobody listened.
        signals.verdicts.notify_one();
        entry.stream = Some(Stream {
            number,
            signals: signals.clone(),
        });
        let place = Place {
            sessions: Arc::clone(self),
            cluster: cluster.to_owned(),
            number,
            signals,
            turn: Arc::clone(&entry.turn),
        };
        Some((place, admission))
    }

    /// Gives a verdict: remembered until the member acknowledges it, and sent at once where a stream is open.
    pub(super) fn verdict(&self, cluster: &str, key: &ExportKey, mut verdict: Verdict) {
        let mut clusters = self.clusters.lock();
        // A cluster without a session (an agent that writes its records itself) reads the condition on the record.
        let Some(entry) = clusters.get_mut(cluster) else { return };
        verdict.for_seq = entry.state.newest_of(key);
        let before = entry.state.open_count();
        if !entry.state.verdict(key, verdict) {
            return;
        }
        self.metrics.count_verdicts(before, entry.state.open_count());
        if let Some(stream) = &entry.stream {
            stream.signals.verdicts.notify_one();
        }
    }

    /// Compares the record of an export as it is now with what the session knows of it.
    pub(super) fn look(&self, cluster: &str, key: &ExportKey, version: Option<&Version>) {
        let mut clusters = self.clusters.lock();
        let Some(entry) = clusters.get_mut(cluster) else { return };
        if version.is_none() {
            let before = entry.state.open_count();
            entry.state.forget_verdict(key);
            self.metrics.count_verdicts(before, entry.state.open_count());
        }
        if !entry.state.is_as_written(key, version) {
            tracing::info!(cluster, export = %key, "The record of an export was changed by somebody else; the member is asked to report again.");
            entry.state.distrust();
            if let Some(stream) = &entry.stream {
                stream.signals.doubt.notify_one();
            }
        }
    }

    /// Has open streams ask about the rights of their clusters when those may have changed, until `stop`.
    pub(super) async fn follow_rights(self: Arc<Self>, mut rights: Rights, stop: CancellationToken) {
        while let Some(news) = stop.run_until_cancelled(rights.recv()).await {
            let concerned = match news {
                Ok(cluster) => Some(cluster),
                Err(RecvError::Lagged(_)) => None,
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

    /// Every export that the sessions know a record or a verdict of.
    pub(super) fn known(&self) -> Vec<Touched> {
        let clusters = self.clusters.lock();
        clusters
            .iter()
            .flat_map(|(cluster, entry)| {
                entry.state.known().into_iter().map(|key| Touched {
                    cluster: cluster.clone(),
                    key: key.clone(),
                })
            })
            .collect()
    }
}

impl Place {
    /// Reads or changes what the hub remembers of the cluster. `None` when a newer stream has taken over.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut ClusterSession) -> T) -> Option<T> {
        let mut clusters = self.sessions.clusters.lock();
        let entry = clusters.get_mut(&self.cluster)?;
        let current = entry.stream.as_ref().is_some_and(|stream| stream.number == self.number);
        current.then(|| act(&mut entry.state))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clusters = self.sessions.clusters.lock();
        if let Some(entry) = clusters.get_mut(&self.cluster)
            && entry.stream.as_ref().is_some_and(|stream| stream.number == self.number)
        {
            entry.stream = None;
            self.sessions.metrics.closed(&self.cluster);
        }
    }
}
