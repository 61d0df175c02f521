//! Kubernetes Events, recorded aside: an event never delays the work it is about.
//!
//! Events are written while their agent has nothing better to do, ten seconds late at most. Equal events within ten
//! minutes become one with a count. An event that the server does not take for a passing reason is tried again a few times.
//! What does not fit into the queue, or still cannot be written then, is dropped and counted.

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
use crate::backoff::{Backoff, Retry};
use crate::clock::Clock;
use crate::error::Error;
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
/// Attempts to write an event.
const ATTEMPTS: u32 = 5;
/// How long to wait between them, unless the server cannot be reached: then until it can.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// The longest name that the API server takes.
const LONGEST_NAME: usize = 253;

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
    dropped: Arc<AtomicU64>,
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
        dropped: Arc::clone(&recorder.dropped),
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
            self.deliver(&recorded, &stop).await;
        }
        let rest = async {
            while let Ok(recorded) = self.queue.try_recv() {
                self.deliver(&recorded, &stop).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
    }

    /// Writes an event; what may pass is tried again. After `stop` there is one attempt.
    async fn deliver(&mut self, recorded: &Recorded, stop: &CancellationToken) {
        let mut retry = Retry::new(BACKOFF);
        self.last_name = recorded.at.as_nanosecond().max(self.last_name + 1);
        let name = name(&recorded.event.key.name, self.last_name);
        loop {
            let Err(error) = self.write(recorded, &name).await else {
                return;
            };
            let may_pass = error.is_unanswered() || matches!(error.code(), Some(429 | 500..));
            if !may_pass
                || retry.failures() + 1 >= ATTEMPTS
                || stop.run_until_cancelled(retry.pause(&error)).await.is_none()
            {
                tracing::warn!(%error, reason = recorded.event.reason, "An event could not be written and is dropped.");
                self.dropped.fetch_add(1, Ordering::Relaxed);
                metrics::dropped("events", 1);
                return;
            }
        }
    }

    async fn write(&mut self, Recorded { event, at: now, .. }: &Recorded, name: &str) -> Result<(), Error> {
        let now = *now;
        if self.known.len() >= REMEMBERED {
            self.known.retain(|_, known| is_recent(known, now));
            if self.known.len() >= REMEMBERED {
                self.known.clear();
            }
        }
        let namespace = event.key.namespace.clone().unwrap_or_else(|| "default".to_owned());
        if let Some(known) = self.known.get_mut(event).filter(|known| is_recent(known, now)) {
            let key = ObjectKey::namespaced(&namespace, &known.name);
            let body = json!({"count": known.count + 1, "lastTimestamp": seconds(now)});
            match self.writer.patch(&EVENTS, &key, None, Patch::Merge, &body).await {
                Ok(_) => {
                    known.count += 1;
                    known.last = now;
                    return Ok(());
                }
                // Events expire; then this one is new again.
                Err(err) if err.is_not_found() => {}
                Err(err) => return Err(err),
            }
        }
        let object = object(event, &namespace, name, now);
        match self.writer.create(&EVENTS, Some(&namespace), &object).await {
            Ok(_) => {}
            // The name is this event's alone: an attempt before has arrived, only its answer was lost.
            Err(err) if err.is_already_exists() => {}
            Err(err) => return Err(err),
        }
        let known = Known {
            name: name.to_owned(),
            count: 1,
            last: now,
        };
        self.known.insert(event.clone(), known);
        Ok(())
    }
}

/// A name for an event about an object, cut where it would be too long.
fn name(object: &str, unique: i128) -> String {
    let suffix = format!(".{:016x}", unique & i128::from(u64::MAX));
    let mut end = object.len().min(LONGEST_NAME - suffix.len());
    while !object.is_char_boundary(end) {
        end -= 1;
    }
    // Each part of a name between two dots ends with a letter or digit.
    let object = object[..end].trim_end_matches(['.', '-']);
    format!("{object}{suffix}")
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

    fn event(reason: &str) -> Event {
        Event {
            api_version: "placement.kubernetes-fleet.io/v1beta1".into(),
            kind: "ClusterResourcePlacement".into(),
            key: ObjectKey::cluster("crp"),
            uid: "u".into(),
            warning: false,
            reason: reason.into(),
            message: "All good.".into(),
            component: "placement-controller",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_events_are_counted_and_too_many_are_dropped() {
        let seen = Seen::default();
        let clock = Clock::paused_at("2026-01-02T03:04:05.6Z".parse().unwrap());
        let (recorder, writer) = channel(Writer::new(client(&seen), Duration::from_secs(5)), clock);
        let event = event("PlacementApplied");
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

    #[tokio::test(start_paused = true)]
    async fn an_event_is_tried_again_while_the_server_is_overloaded_and_then_dropped() {
        let answers = Arc::new(Mutex::new(vec![503, 429, 201, 403, 500, 500, 500, 500, 500, 201]));
        let left = Arc::clone(&answers);
        let service = tower::service_fn(move |_: Request<Body>| {
            let code = left.lock().remove(0);
            let body = json!({"kind": "Status", "code": code, "message": "answer", "reason": ""});
            let answer = Response::builder()
                .status(code)
                .body(Body::from(body.to_string().into_bytes()));
            async move { Ok::<_, Infallible>(answer.unwrap()) }
        });
        let client = Client::new(service, "default");
        let (recorder, writer) = channel(Writer::new(client, Duration::from_secs(5)), Clock::System);
        let stop = CancellationToken::new();
        let task = tokio::spawn(writer.run(stop.clone()));
        let mut dropped = Vec::new();
        for reason in ["TakenInTheEnd", "Forbidden", "NeverTaken", "Taken"] {
            recorder.record(event(reason));
            tokio::time::sleep(Duration::from_secs(60)).await;
            dropped.push(recorder.dropped());
        }
        assert_eq!(dropped, [0, 1, 2, 2]);
        assert!(answers.lock().is_empty());
        stop.cancel();
        task.await.unwrap();
    }

    #[test]
    fn names_of_events_fit_whatever_the_object_is_called() {
        for (object, expected) in [
            ("crp".to_owned(), "crp.000000000000002a".to_owned()),
            ("a".repeat(236), format!("{}.000000000000002a", "a".repeat(236))),
            ("a".repeat(253), format!("{}.000000000000002a", "a".repeat(236))),
            (
                format!("{}.-b{}", "a".repeat(234), "c".repeat(10)),
                format!("{}.000000000000002a", "a".repeat(234)),
            ),
        ] {
            let name = name(&object, 42);
            assert!(name.len() <= LONGEST_NAME);
            assert_eq!(name, expected);
        }
    }
}
