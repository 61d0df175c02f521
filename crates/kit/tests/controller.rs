//! A controller, from a watch to the last of its effects, on the embedded API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

#[rustfmt::skip]
mod labeller;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apiserver::ApiServer;
use fairway_core::effects::{Target, Write};
use kit::backoff::Backoff;
use kit::client::RateLimit;
use kit::clock::Clock;
use kit::controller::{Environment, Indexes, Reconciles, Triggers};
use kit::events::{self, EVENTS};
use kit::index::Index;
use kit::metrics::Metrics;
use kit::writer::{Answer, Patch, Writer};
use kit::{ObjectKey, Resource};
use labeller::{CONFIG_MAPS, Labeller};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A cluster with a labeller on it.
struct World {
    user: Writer,
    metrics: Metrics,
    objects: Arc<Index<Value>>,
    events: Arc<Index<Value>>,
    triggers: Triggers<ObjectKey>,
    passes: Arc<AtomicUsize>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl World {
    async fn new() -> Self {
        let server = ApiServer::builder().build().unwrap();
        let (stop, metrics, mut tasks) = (CancellationToken::new(), Metrics::new().unwrap(), JoinSet::new());
        let writer = Writer::new(server.client(), Duration::from_secs(5));
        let (recorder, event_writer) = events::channel(writer.clone(), Clock::System);
        tasks.spawn(event_writer.run(stop.clone()));
        let shared = Environment {
            writer: writer.clone(),
            indexes: Arc::new(Indexes::default()),
            recorder,
            clock: Clock::System,
            longest_wait: Duration::from_secs(1),
            repetitions: RateLimit { qps: 100.0, burst: 10 },
        };
        let triggers = Triggers::new(Backoff::new(Duration::from_millis(5), Duration::from_millis(50)));
        let passes = Arc::<AtomicUsize>::default();
        let objects = labeller::watch(&triggers);
        let controller = Labeller {
            index: Arc::clone(&objects),
            series: Reconciles::register(&metrics, "toy").unwrap().of("labeller"),
            passes: Arc::clone(&passes),
        };
        let runner = labeller::start(controller, triggers.clone(), &shared);
        tasks.spawn(runner.run(2, stop.clone()));
        let events = Index::builder(EVENTS, |event| Ok(Some(event))).build();
        for index in [&objects, &events] {
            let (index, client, stop) = (Arc::clone(index), server.client(), stop.clone());
            tasks.spawn(async move { index.run(client, stop).await });
        }
        objects.synced().await;
        Self {
            user: writer,
            metrics,
            objects,
            events,
            triggers,
            passes,
            stop,
            tasks,
        }
    }

    async fn create(&self, name: &str, data: Value) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                            "metadata": {"name": name, "namespace": "default"}, "data": data});
        let created = self.user.create(&CONFIG_MAPS, Some("default"), &object).await;
        created.unwrap();
    }

    /// Waits until an index holds what is looked for.
    async fn until(&self, index: &Index<Value>, what: impl Fn(&Value) -> bool) -> Arc<Value> {
        let mut revision = index.revision();
        loop {
            if let Some(found) = index.all().into_iter().find(|object| what(object)) {
                return found;
            }
            let changed = tokio::time::timeout(Duration::from_secs(60), revision.changed()).await;
            changed.expect("a change within a minute").unwrap();
        }
    }

    async fn labelled(&self, name: &str) {
        let is_labelled =
            |object: &Value| object["metadata"]["name"] == name && object["metadata"]["labels"]["seen"] == "true";
        self.until(&self.objects, is_labelled).await;
    }

    /// Lets the controller finish, and answers how many passes it has made.
    async fn end(mut self) -> usize {
        while !self.triggers.queue().is_idle() {
            tokio::task::yield_now().await;
        }
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.passes.load(Ordering::SeqCst)
    }

    fn assert_metrics(&self, lines: &[&str]) {
        let text = self.metrics.text().unwrap();
        for line in lines {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}

#[tokio::test]
async fn a_controller_is_what_it_gathers_and_what_it_plans() {
    let world = World::new().await;
    world.create("one", json!({})).await;
    world.labelled("one").await;
    let event = world.until(&world.events, |event| event["reason"] == "Labelled").await;
    assert_eq!(event["involvedObject"]["name"], "one");
    assert_eq!(event["source"]["component"], "labeller");
    world.assert_metrics(&[
        "toy_reconcile_total{controller=\"labeller\",result=\"success\"} 1",
        "toy_active_workers{controller=\"labeller\"} 0",
    ]);
    let key = ObjectKey::namespaced("default", "one");
    let body = json!({"metadata": {"labels": null}});
    world
        .user
        .patch(&CONFIG_MAPS, &key, None, Patch::Merge, &body)
        .await
        .unwrap();
    world
        .until(&world.objects, |object| object["metadata"]["labels"].is_null())
        .await;
    world.labelled("one").await;
    assert_eq!(world.end().await, 2, "echoes of its own writes cause no pass");
}

#[tokio::test]
async fn a_pass_that_panics_is_counted_and_repeated_and_others_go_on() {
    let world = World::new().await;
    world.create("bad", json!({"panics": "yes"})).await;
    world.create("good", json!({})).await;
    world.labelled("good").await;
    world.labelled("bad").await;
    let metrics = world.metrics.clone();
    let passes = world.end().await;
    let text = metrics.text().unwrap();
    let failed = format!("toy_reconcile_errors_total{{controller=\"labeller\"}} {}", passes - 2);
    assert!(passes > 2 && text.contains(&failed), "{passes} passes\n{text}");
    assert!(text.contains("toy_active_workers{controller=\"labeller\"} 0"), "{text}");
}

#[test]
fn a_controller_fits_on_a_page() {
    assert!(include_str!("labeller/mod.rs").lines().count() <= 60);
}

#[tokio::test]
async fn answers_reach_every_index_of_their_kind_until_it_is_removed() {
    let indexes = Indexes::default();
    let index = || Index::builder(CONFIG_MAPS, |object| Ok(Some(object))).build();
    let (one, two): (Arc<Index<Value>>, Arc<Index<Value>>) = (index(), index());
    for index in [&one, &two] {
        indexes.add(Arc::clone(index) as _);
    }
    let elsewhere = Resource::namespaced("", "v2", "ConfigMap", "configmaps");
    let fold = |resource: Resource, name: &str| {
        let target = Target::new(resource, Some("n"), name);
        let object = json!({"metadata": {"namespace": "n", "name": name, "resourceVersion": "1"}});
        indexes.fold(&Write::Delete { target, uid: None }, Answer::Object(object));
    };
    fold(CONFIG_MAPS, "a");
    fold(elsewhere, "c");
    indexes.remove(&(Arc::clone(&one) as _));
    fold(CONFIG_MAPS, "b");
    assert_eq!((one.len(), two.len()), (1, 2));
}
