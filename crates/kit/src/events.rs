//! Kubernetes Events, recorded aside: an event never delays the work it is about.
//!
//! Events are written while their agent has nothing better to do, ten seconds late at most. Equal events within ten
//! minutes become one with a count. What does not fit into the queue is dropped and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::activity::{Activity, Running};
use crate::clock::Clock;
use crate::metrics;
use crate::resource::{ObjectKey, Resource};
use crate::writer::{Patch, Writer};

/// The API of core Events.
pub const EVENTS: Resource = Resource::namespaced("", "v1", "Event", "events");

/// Events that wait to be written.
const QUEUED: usize = 2048;
/// Rest that shows that nobody is at work.
const REST: Duration = Duration::from_millis(250);
/// How long an event waits for that.
const DEFERRAL: Duration = Duration::from_secs(10);
/// Equal events within this time are counted together.
const TOGETHER: Duration = Duration::from_secs(600);
/// Different events that are remembered for counting.
const REMEMBERED: usize = 1024;

/// What happened to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// Group and version of the object.
    pub api_version: String,
    /// Kind of the object.
    pub kind: String,
    /// The object.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: String,
    /// Whether something is wrong.
    pub warning: bool,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Which part of the agent says so.
    pub component: &'static str,
}

/// Hands events over; clones share the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Recorded>,
    dropped: Arc<AtomicU64>,
    activity: Activity,
    clock: Clock,
}

/// An event on its way.
struct Recorded {
    event: Event,
    at: Timestamp,
    deadline: Instant,
}

/// Writes what the recorder hands over.
pub struct EventWriter {
    queue: mpsc::Receiver<Recorded>,
    writer: Writer,
    activity: Activity,
    known: BTreeMap<Event, Known>,
    /// What made the last name unique, so that events of one instant have different names.
    last_name: i128,
}

struct Known {
    name: String,
    count: u64,
    last: Timestamp,
}

/// A recorder and the writer that must run for its events to arrive.
pub fn channel(writer: Writer, clock: Clock) -> (Recorder, EventWriter) {
    let (sender, queue) = mpsc::channel(QUEUED);
    let activity = Activity::default();
    let recorder = Recorder {
        queue: sender,
        dropped: Arc::default(),
        activity: activity.clone(),
        clock,
    };
    let writer = EventWriter {
        queue,
        writer,
        activity,
        known: BTreeMap::new(),
        last_name: 0,
    };
    (recorder, writer)
}

impl Recorder {
    /// Records an event, or drops it when too many wait already.
    pub fn record(&self, event: Event) {
        let recorded = Recorded {
            event,
            at: self.clock.now(),
            deadline: Instant::now() + DEFERRAL,
        };
        if self.queue.try_send(recorded).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::dropped("events", 1);
        }
    }

    /// Says that work is going on which events have to wait for, until the answer is dropped.
    pub fn working(&self) -> Running {
        self.activity.begin()
    }

    /// Events dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl EventWriter {
    /// Writes events until `stop`, then what waits still, if that is quick.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(recorded)) = stop.run_until_cancelled(self.queue.recv()).await {
            let rest = tokio::time::timeout_at(recorded.deadline, self.activity.rest(REST));
            let _ = stop.run_until_cancelled(rest).await;
            self.write(recorded).await;
        }
        let rest = async {
            while let Ok(recorded) = self.queue.try_recv() {
                self.write(recorded).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
    }

    async fn write(&mut self, Recorded { event, at: now, .. }: Recorded) {
        if self.known.len() >= REMEMBERED {
            self.known.retain(|_, known| is_recent(known, now));
            if self.known.len() >= REMEMBERED {
                self.known.clear();
            }
        }
        let namespace = event.key.namespace.clone().unwrap_or_else(|| "default".to_owned());
        if let Some(known) = self.known.get_mut(&event).filter(|known| is_recent(known, now)) {
            known.count += 1;
            known.last = now;
            let key = ObjectKey::namespaced(&namespace, &known.name);
            let body = json!({"count": known.count, "lastTimestamp": seconds(now)});
            match self.writer.patch(&EVENTS, &key, None, Patch::Merge, &body).await {
                Ok(_) => return,
                // Events expire; then this one is new again.
                Err(err) if err.is_not_found() => {}
                Err(err) => return tracing::info!(error = %err, "An event could not be counted up."),
            }
        }
        self.last_name = now.as_nanosecond().max(self.last_name + 1);
        let name = format!("{}.{:016x}", event.key.name, self.last_name & i128::from(u64::MAX));
        if let Err(err) = self
            .writer
            .create(&EVENTS, Some(&namespace), &object(&event, &namespace, &name, now))
            .await
        {
            tracing::info!(error = %err, reason = event.reason, "An event could not be written.");
            return;
        }
        self.known.insert(
            event,
            Known {
                name,
                count: 1,
                last: now,
            },
        );
    }
}

fn object(event: &Event, namespace: &str, name: &str, now: Timestamp) -> serde_json::Value {
    let mut about = json!({
        "apiVersion": event.api_version, "kind": event.kind, "name": event.key.name, "uid": event.uid,
    });
    if let Some(namespace) = &event.key.namespace {
        about["namespace"] = namespace.as_str().into();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": about,
        "type": if event.warning { "Warning" } else { "Normal" },
        "reason": event.reason,
        "message": event.message,
        "source": {"component": event.component},
        "reportingComponent": event.component,
        "reportingInstance": "",
        "firstTimestamp": seconds(now),
        "lastTimestamp": seconds(now),
        "count": 1,
    })
}

fn is_recent(known: &Known, now: Timestamp) -> bool {
    Duration::try_from(now.duration_since(known.last)).is_ok_and(|passed| passed <= TOGETHER)
}

/// Time in whole seconds, as the API writes it.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};
    use http_body_util::BodyExt as _;
    use kube::Client;
    use kube::client::Body;
    use parking_lot::Mutex;
    use serde_json::Value;
    use std::convert::Infallible;

    type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

    fn client(seen: &Seen) -> Client {
        let seen = Arc::clone(seen);
        let service = tower::service_fn(move |request: Request<Body>| {
            let seen = Arc::clone(&seen);
            async move {
                let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
                let body = request.into_body().collect().await.unwrap().to_bytes();
                seen.lock().push((method, path, serde_json::from_slice(&body).unwrap()));
                Ok::<_, Infallible>(Response::new(Body::from(b"{}".to_vec())))
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test(start_paused = true)]
    async fn equal_events_are_counted_and_too_many_are_dropped() {
        let seen = Seen::default();
        let clock = Clock::paused_at("2026-01-02T03:04:05.6Z".parse().unwrap());
        let (recorder, writer) = channel(Writer::new(client(&seen), Duration::from_secs(5)), clock);
        let event = Event {
            api_version: "placement.kubernetes-fleet.io/v1beta1".into(),
            kind: "ClusterResourcePlacement".into(),
            key: ObjectKey::cluster("crp"),
            uid: "u".into(),
            warning: false,
            reason: "PlacementApplied".into(),
            message: "All good.".into(),
            component: "placement-controller",
        };
        recorder.record(event.clone());
        recorder.record(event.clone());
        let stop = CancellationToken::new();
        let task = tokio::spawn(writer.run(stop.clone()));
        tokio::time::sleep(Duration::from_secs(601)).await;
        recorder.record(event.clone());
        let same_instant = Event {
            reason: "PlacementAvailable".into(),
            ..event.clone()
        };
        recorder.record(same_instant);
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        task.await.unwrap();
        {
            let seen = seen.lock();
            let verbs: Vec<_> = seen.iter().map(|(method, ..)| method.as_str()).collect();
            assert_eq!(verbs, ["POST", "PATCH", "POST", "POST"]);
            let name = |n: usize| &seen[n].2["metadata"]["name"];
            assert_ne!(name(2), name(3), "they happened at the same instant");
            assert_eq!(seen[0].1, "/api/v1/namespaces/default/events");
            assert_eq!(seen[0].2["firstTimestamp"], "2026-01-02T03:04:05Z");
            assert_eq!(seen[0].2["involvedObject"].get("namespace"), None);
            assert_eq!(seen[1].2["count"], 2);
        }
        for _ in 0..=QUEUED {
            recorder.record(event.clone());
        }
        assert!(recorder.dropped() > 0);
        let counter = crate::metrics::runtime()
            .unwrap()
            .dropped
            .with_label_values(&["events"]);
        assert!(counter.get() >= recorder.dropped());
    }
}
