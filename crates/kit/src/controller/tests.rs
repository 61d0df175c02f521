//! What a runner makes of plans, with a scripted server.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::kinds;
use fairway_core::effects::{Event, Standing, Target, Write};
use fairway_core::problem::Problem;
use http::{Method, Request, Response};
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::backoff::Backoff;
use crate::events;
use crate::metrics::Metrics;

/// A controller whose plans are fixed: the first for the first pass, the last for all that follow.
struct Scripted {
    plans: Mutex<VecDeque<Plan>>,
    passes: Arc<AtomicUsize>,
    deferral: Option<Duration>,
}

impl Controller for Scripted {
    type Key = String;
    type Slice = ();
    type Facts = ();
    const NAME: &'static str = "scripted";

    fn series(&self, _key: &String) -> Vec<Series> {
        Vec::new()
    }

    fn gather(&self, _key: &String, _now: Timestamp) -> Option<()> {
        Some(())
    }

    fn plan(&self, _key: &String, (): (), _now: Timestamp) -> Plan {
        self.passes.fetch_add(1, Ordering::SeqCst);
        self.plans.lock().pop_front().unwrap_or_default()
    }

    fn component(&self, event: &Event) -> &'static str {
        match event.about.name.as_str() {
            "part" => "part-controller",
            _ => Self::COMPONENT,
        }
    }

    fn deferral(&self, _key: &String, _now: Timestamp) -> Option<Duration> {
        self.deferral
    }
}

/// What came of a script.
struct Outcome {
    passes: usize,
    /// Names of written objects in order, each time.
    written: Vec<String>,
    /// Reasons of recorded events.
    events: Vec<String>,
    /// The components that they came from.
    components: Vec<String>,
}

/// Runs plans over one key for a virtual while. Writes to objects of these names are answered so.
async fn run(plans: Vec<Plan>, answers: &'static [(&'static str, u16)], deferral: Option<Duration>) -> Outcome {
    let (written, recorded) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let service = {
        let (written, recorded) = (Arc::clone(&written), Arc::clone(&recorded));
        tower::service_fn(move |request: Request<Body>| {
            let (written, recorded) = (Arc::clone(&written), Arc::clone(&recorded));
            async move {
                let path = request.uri().path().to_owned();
                if request.method() == Method::POST && path.ends_with("/events") {
                    let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap();
                    let event: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
                    let text = |pointer| event.pointer(pointer).unwrap().as_str().unwrap().to_owned();
                    recorded.lock().push((text("/reason"), text("/source/component")));
                } else {
                    let name = path.split('/').nth(7).unwrap().to_owned();
                    let code = answers
                        .iter()
                        .find(|(bad, _)| *bad == name)
                        .map_or(200, |(_, code)| *code);
                    written.lock().push(name);
                    if code != 200 {
                        let refused = Response::builder().status(code).body(Body::empty());
                        return Ok::<_, Infallible>(refused.unwrap());
                    }
                }
                Ok(Response::new(Body::from(b"{}".to_vec())))
            }
        })
    };
    let writer = Writer::new(kube::Client::new(service, "default"), Duration::from_secs(5));
    let (recorder, event_writer) = events::channel(writer.clone(), Clock::System);
    let environment = Environment {
        writer,
        indexes: Arc::default(),
        recorder,
        clock: Clock::System,
        longest_wait: Duration::from_secs(60),
        repetitions: RateLimit { qps: 10.0, burst: 10 },
    };
    let passes = Arc::<AtomicUsize>::default();
    let controller = Scripted {
        plans: Mutex::new(plans.into()),
        passes: Arc::clone(&passes),
        deferral,
    };
    let triggers = Triggers::new(Backoff::new(Duration::from_millis(100), Duration::from_secs(1)));
    let stop = CancellationToken::new();
    let events = tokio::spawn(event_writer.run(stop.clone()));
    let runner = tokio::spawn(Runner::new(controller, triggers.clone(), &environment).run(1, stop.clone()));
    triggers.add("key".to_owned());
    tokio::time::sleep(Duration::from_secs(20)).await;
    stop.cancel();
    runner.await.unwrap();
    events.await.unwrap();
    let (events, components) = std::mem::take(&mut *recorded.lock()).into_iter().unzip();
    Outcome {
        passes: passes.load(Ordering::SeqCst),
        written: std::mem::take(&mut *written.lock()),
        events,
        components,
    }
}

fn target(name: &str) -> Target {
    Target::new(kinds::WORK, Some("n"), name)
}

fn write(name: &str) -> Write {
    Write::MergePatch {
        target: target(name),
        body: json!({"spec": {}}),
        status: false,
        resource_version: Some("1".to_owned()),
    }
}

fn event(name: &str, reason: &'static str) -> Event {
    Event::normal(target(name), &json!({}), reason, "It happened.")
}

fn plan(steps: &[&[&str]]) -> Plan {
    let mut plan = Plan::default();
    for step in steps {
        plan.step(step.iter().map(|name| write(name)));
    }
    plan
}

#[tokio::test(start_paused = true)]
async fn a_failed_deferrable_write_drops_no_event_and_the_retry_repeats_none() {
    let mut first = plan(&[&["status"]]);
    first.deferrable = vec![write("detail"), write("broken")];
    first.events = vec![event("status", "Applied")];
    // The status is written; what is left are the details.
    let second = Plan {
        deferrable: vec![write("broken")],
        ..Plan::default()
    };
    let done = run(vec![first, second], &[("broken", 500)], None).await;
    assert_eq!(done.events, ["Applied"]);
    assert_eq!((done.passes, done.written.len()), (3, 4), "{:?}", done.written);
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_keeps_the_events_of_what_was_written_and_stops_the_rest() {
    let mut first = plan(&[&["one", "broken"], &["later"]]);
    first.deferrable = vec![write("detail")];
    first.best_effort = vec![write("original")];
    first.events = vec![
        event("one", "Written"),
        event("broken", "NotWritten"),
        event("later", "NotBegun"),
        event("other", "NotCertain"),
    ];
    let done = run(vec![first], &[("broken", 500)], None).await;
    assert_eq!(done.events, ["Written"]);
    assert_eq!(done.written, ["one", "broken"]);
    assert_eq!(done.passes, 2, "it is repeated");
}

#[tokio::test(start_paused = true)]
async fn events_and_warnings_come_from_the_component_that_the_controller_names() {
    let first = Plan {
        events: vec![event("whole", "Made"), event("part", "Made")],
        standing: vec![Standing {
            event: event("part", "Wrong"),
            generation: 1,
        }],
        ..Plan::default()
    };
    let done = run(vec![first], &[], None).await;
    let mut all: Vec<(String, String)> = done.components.into_iter().zip(done.events).collect();
    all.sort();
    let expected = [
        ("part-controller", "Made"),
        ("part-controller", "Wrong"),
        ("scripted", "Made"),
    ];
    assert_eq!(all, expected.map(|(from, reason)| (from.to_owned(), reason.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn the_last_step_may_fail_without_stopping_deferrable_writes() {
    let mut first = plan(&[&["one"], &["broken"]]);
    first.deferrable = vec![write("detail")];
    let done = run(vec![first], &[("broken", 500)], None).await;
    assert_eq!(done.written, ["one", "broken", "detail"]);
}

#[tokio::test(start_paused = true)]
async fn deferred_writes_are_left_to_the_pass_that_comes_in_time() {
    let mut first = plan(&[&["one"]]);
    first.deferrable = vec![write("detail")];
    let done = run(vec![first], &[], Some(Duration::from_secs(3))).await;
    assert_eq!((done.passes, done.written), (2, vec!["one".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn best_effort_writes_are_repeated_unless_they_are_refused_for_good() {
    for (code, passes) in [(200, 1), (422, 1), (403, 1), (413, 1), (500, 2), (409, 2)] {
        let first = Plan {
            best_effort: vec![write("original")],
            ..Plan::default()
        };
        let answers: &'static [_] = Box::leak(Box::new([("original", code)]));
        let done = run(vec![first], answers, None).await;
        assert_eq!(done.passes, passes, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_problem_decides_when_the_next_pass_comes() {
    for (problem, passes) in [
        (Problem::user("a mistake"), 1),
        (Problem::expected("not yet"), 2),
        (Problem::unexpected("a broken invariant"), 1),
    ] {
        let first = Plan {
            problems: vec![problem.clone()],
            ..Plan::default()
        };
        assert_eq!(run(vec![first], &[], None).await.passes, passes, "{problem}");
    }
}

#[test]
fn a_reconcile_that_is_dropped_counts_as_an_error_and_is_active_no_longer() {
    let registry = Metrics::new().unwrap();
    let series = Reconciles::register(&registry, "fleet_workload").unwrap().of("c");
    series.announce(3);
    drop(series.start());
    let running = series.start();
    series.start().end(queue::Action::After(Duration::ZERO));
    series.start().end(queue::Action::Done);
    let text = registry.text().unwrap();
    drop(running);
    for line in [
        "fleet_workload_reconcile_total{controller=\"c\",result=\"error\"} 1",
        "fleet_workload_reconcile_errors_total{controller=\"c\"} 1",
        "fleet_workload_reconcile_total{controller=\"c\",result=\"requeue\"} 1",
        "fleet_workload_reconcile_total{controller=\"c\",result=\"success\"} 1",
        "fleet_workload_active_workers{controller=\"c\"} 1",
        "fleet_workload_max_concurrent_reconciles{controller=\"c\"} 3",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
