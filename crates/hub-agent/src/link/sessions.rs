//! The sessions of all clusters: which stream speaks for a cluster now, and what the hub remembers of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairway_core::link::session::{Admission, ClusterSession, Greeting};
use fairway_core::link::{ExportKey, Verdict};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;

/// Verdicts that wait to be sent; a stream that cannot keep up gets the rest when it asks again.
const QUEUED: usize = 256;

/// A verdict on its way to a member.
pub(super) type Outgoing = (u64, ExportKey, Verdict);

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
}

struct Stream {
    number: u64,
    verdicts: mpsc::Sender<Outgoing>,
    superseded: CancellationToken,
}

/// The place of one stream; the stream is gone when this is dropped.
pub(super) struct Place {
    sessions: Arc<Sessions>,
    cluster: String,
    number: u64,
    /// Verdicts for this stream.
    pub verdicts: mpsc::Receiver<Outgoing>,
    /// Cancelled when a newer stream of the cluster takes over.
    pub superseded: CancellationToken,
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
    pub(super) fn enter(self: &Arc<Self>, cluster: &str, greeting: &Greeting) -> Option<(Place, Admission)> {
        let mut clusters = self.clusters.lock();
        let entry = clusters.entry(cluster.to_owned()).or_default();
        let admission = entry.state.hello(greeting, &self.incarnation);
        if admission == Admission::Superseded {
            return None;
        }
        if let Some(before) = entry.stream.take() {
            before.superseded.cancel();
        } else {
            self.metrics.sessions.inc();
        }
        entry.streams += 1;
        let (sender, receiver) = mpsc::channel(QUEUED);
        let superseded = CancellationToken::new();
        entry.stream = Some(Stream {
            number: entry.streams,
            verdicts: sender,
            superseded: superseded.clone(),
        });
        let number = entry.streams;
        let place = Place {
            sessions: Arc::clone(self),
            cluster: cluster.to_owned(),
            number,
            verdicts: receiver,
            superseded,
        };
        Some((place, admission))
    }

    /// Gives a verdict: remembered until the member acknowledges it, and sent at once where a stream is open.
    pub(super) fn verdict(&self, cluster: &str, key: &ExportKey, mut verdict: Verdict) {
        let mut clusters = self.clusters.lock();
        // A cluster without a session (an agent that writes its records itself) reads the condition on the record.
        let Some(entry) = clusters.get_mut(cluster) else { return };
        verdict.for_seq = entry.state.newest_of(key);
        let Some(seq) = entry.state.verdict(key, verdict.clone()) else {
            return;
        };
        self.metrics.open_verdicts.inc();
        if let Some(stream) = &entry.stream {
            // A full queue is no loss: unacknowledged verdicts are sent again after the next connect.
            let _ = stream.verdicts.try_send((seq, key.clone(), verdict));
        }
    }

    /// Forgets the judgements of a record that is gone.
    pub(super) fn forget(&self, cluster: &str, key: &ExportKey) {
        if let Some(entry) = self.clusters.lock().get_mut(cluster) {
            let before = entry.state.open_count();
            entry.state.forget_verdict(key);
            self.metrics.count_verdicts(before, entry.state.open_count());
        }
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
            self.sessions.metrics.sessions.dec();
        }
    }
}
