//! Starts and stops the simulator: watches feed a queue, workers take keys from it.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kit::backoff::Backoff;
use kit::queue::{Action, Queue, work};
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::balancers::Balancers;
use crate::context::{Context, Stores, controller, is, within};
use crate::key::{Key, Kind};
use crate::options::Options;
use crate::{NODE_READY_ANNOTATION, controllers, nodes, pod_state, pods, services};

/// Keys that are worked on at once.
const WORKERS: usize = 8;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(10));
/// Until the first listing of every watch.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running simulator; it ends when it is dropped.
pub struct Simulator {
    client: Client,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Simulator {
    /// Creates the nodes and returns once everything is watched.
    pub async fn start(client: Client, options: Options) -> Result<Self> {
        nodes::create(&client, &options).await?;
        let mut tasks = JoinSet::new();
        let (cx, ready) = watch(&client, options, &mut tasks);
        timeout(START_DEADLINE, ready)
            .await
            .context("the API server does not list everything in time")?
            .context("a watch ended early")?;
        let stop = CancellationToken::new();
        let token = stop.clone();
        tasks.spawn(async move {
            let handle = |key| handle(cx.clone(), key);
            work(&cx.queue, WORKERS, &token, handle).await;
        });
        Ok(Self { client, stop, tasks })
    }

    /// Makes a node ready or not ready.
    pub async fn set_node_ready(&self, name: &str, ready: bool) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"annotations": {NODE_READY_ANNOTATION: ready.to_string()}}}));
        within(nodes.patch(name, &PatchParams::default(), &patch))
            .await
            .with_context(|| format!("the node {name}"))?;
        Ok(())
    }

    /// Ends watches and workers; what is being written is finished.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The worker task ends by itself; the watches never do.
        self.tasks.join_next().await;
        self.tasks.shutdown().await;
    }
}

impl Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").finish_non_exhaustive()
    }
}

/// Starts the watches; the second value resolves when each has listed.
fn watch(
    client: &Client,
    options: Options,
    tasks: &mut JoinSet<()>,
) -> (Arc<Context>, impl Future<Output = Result<()>> + use<>) {
    let (nodes, node_writer) = store();
    let (pods, pod_writer) = store();
    let (services, service_writer) = store();
    let (deployments, deployment_writer) = store();
    let (replica_sets, replica_set_writer) = store();
    let (stateful_sets, stateful_set_writer) = store();
    let (daemon_sets, daemon_set_writer) = store();
    let (jobs, job_writer) = store();
    let (slices, slice_writer) = store();
    let stores = Stores {
        nodes,
        pods,
        services,
        deployments,
        replica_sets,
        stateful_sets,
        daemon_sets,
        jobs,
        slices,
    };
    let controllers = options.controllers;
    let (client, queue) = (client.clone(), Queue::new(BACKOFF));
    let (bound, addresses) = (Mutex::default(), Mutex::default());
    let balancers = options.serve_as.as_deref().map(Balancers::new);
    let cx = Arc::new(Context {
        client,
        options,
        stores,
        queue,
        bound,
        addresses,
        balancers,
    });
    let mut feeds = Feeds {
        cx: cx.clone(),
        tasks,
        listed: Vec::new(),
    };
    feeds.add(node_writer, cx.stores.nodes.clone(), on_node);
    feeds.add(pod_writer, cx.stores.pods.clone(), on_pod);
    feeds.add(service_writer, cx.stores.services.clone(), on_service);
    if controllers {
        feeds.add(deployment_writer, cx.stores.deployments.clone(), |cx, o| {
            cx.queue.add(Key::of(Kind::Deployment, o))
        });
        feeds.add(replica_set_writer, cx.stores.replica_sets.clone(), |cx, o| {
            cx.queue.add(Key::of(Kind::ReplicaSet, o));
            add_controller(cx, o);
        });
        feeds.add(stateful_set_writer, cx.stores.stateful_sets.clone(), |cx, o| {
            cx.queue.add(Key::of(Kind::StatefulSet, o));
        });
        feeds.add(daemon_set_writer, cx.stores.daemon_sets.clone(), |cx, o| {
            cx.queue.add(Key::of(Kind::DaemonSet, o))
        });
        feeds.add(job_writer, cx.stores.jobs.clone(), |cx, o| {
            cx.queue.add(Key::of(Kind::Job, o))
        });
        feeds.add(slice_writer, cx.stores.slices.clone(), add_controller);
    }
    let listed = feeds.listed;
    (cx, async move { try_join_all(listed).await.map(|_| ()) })
}

/// Collects the watches while they are started.
struct Feeds<'a> {
    cx: Arc<Context>,
    tasks: &'a mut JoinSet<()>,
    listed: Vec<futures::future::BoxFuture<'static, Result<()>>>,
}

impl Feeds<'_> {
    fn add<K>(&mut self, writer: Writer<K>, store: Store<K>, on: fn(&Context, &K))
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let reader = store.clone();
        self.listed
            .push(async move { reader.wait_until_ready().await.map_err(Into::into) }.boxed());
        self.tasks.spawn(feed(self.cx.clone(), writer, store, on));
    }
}

/// Follows one kind for ever: keeps the store and queues what an event is about.
async fn feed<K>(cx: Arc<Context>, writer: Writer<K>, store: Store<K>, on: fn(&Context, &K))
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let events = watcher(Api::<K>::all(cx.client.clone()), Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer);
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => on(&cx, &object),
            Ok(Event::Init | Event::InitApply(_)) => {}
            Ok(Event::InitDone) => {
                store.state().iter().for_each(|object| on(&cx, object));
                // What went away meanwhile has no event of its own; its owner may have to replace it.
                queue_owners(&cx);
            }
            Err(error) => tracing::debug!(kind = %K::kind(&()), %error, "the watch begins anew"),
        }
    }
}

fn queue_owners(cx: &Context) {
    let stores = &cx.stores;
    stores
        .deployments
        .state()
        .iter()
        .for_each(|o| cx.queue.add(Key::of(Kind::Deployment, o.as_ref())));
    stores
        .replica_sets
        .state()
        .iter()
        .for_each(|o| cx.queue.add(Key::of(Kind::ReplicaSet, o.as_ref())));
    stores
        .stateful_sets
        .state()
        .iter()
        .for_each(|o| cx.queue.add(Key::of(Kind::StatefulSet, o.as_ref())));
    stores
        .daemon_sets
        .state()
        .iter()
        .for_each(|o| cx.queue.add(Key::of(Kind::DaemonSet, o.as_ref())));
    stores
        .jobs
        .state()
        .iter()
        .for_each(|o| cx.queue.add(Key::of(Kind::Job, o.as_ref())));
    if let Some(balancers) = &cx.balancers {
        balancers.keys().into_iter().for_each(|key| cx.queue.add(key));
    }
    if cx.options.controllers {
        stores
            .services
            .state()
            .iter()
            .for_each(|o| cx.queue.add(Key::of(Kind::Endpoints, o.as_ref())));
    }
}

fn on_node(cx: &Context, node: &Node) {
    cx.queue.add(Key::of(Kind::Node, node));
    // A node that comes, goes or changes its readiness concerns every Pod on it and every Pod that waits.
    for pod in cx.stores.pods.state() {
        let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if node_name.is_none_or(|node_name| node_name == node.name_any()) {
            cx.queue.add(Key::of(Kind::Pod, pod.as_ref()));
        }
    }
    cx.stores
        .daemon_sets
        .state()
        .iter()
        .for_each(|set| cx.queue.add(Key::of(Kind::DaemonSet, set.as_ref())));
}

fn on_pod(cx: &Context, pod: &Pod) {
    cx.queue.add(Key::of(Kind::Pod, pod));
    if pod_state::leaves_room(pod) {
        cx.queue_waiting_pods();
    }
    if cx.options.controllers {
        add_controller(cx, pod);
    }
    // Which of them the Pod is behind may have changed with its labels.
    let namespace = pod.namespace();
    for service in cx.stores.services.state() {
        if service.namespace() != namespace {
            continue;
        }
        if cx.options.controllers {
            cx.queue.add(Key::of(Kind::Endpoints, service.as_ref()));
        }
        if cx.balancers.is_some() {
            cx.queue.add(Key::of(Kind::Service, service.as_ref()));
        }
    }
}

fn on_service(cx: &Context, service: &Service) {
    cx.queue.add(Key::of(Kind::Service, service));
    if cx.options.controllers {
        cx.queue.add(Key::of(Kind::Endpoints, service));
    }
}

/// Queues the object that controls this one.
fn add_controller<K: Resource<DynamicType = ()>>(cx: &Context, object: &K) {
    let Some(owner) = controller(object) else { return };
    let kind = match owner.kind.as_str() {
        "Deployment" => Kind::Deployment,
        "ReplicaSet" => Kind::ReplicaSet,
        "StatefulSet" => Kind::StatefulSet,
        "DaemonSet" => Kind::DaemonSet,
        "Job" => Kind::Job,
        "Service" => Kind::Endpoints,
        _ => return,
    };
    cx.queue.add(Key {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: owner.name.clone(),
    });
}

async fn handle(cx: Arc<Context>, key: Key) -> Action {
    let done = match key.kind {
        Kind::Node => nodes::reconcile(&cx, &key).await,
        Kind::Pod => pods::reconcile(&cx, &key).await,
        Kind::Service => services::reconcile(&cx, &key).await,
        Kind::Deployment => controllers::deployment::reconcile(&cx, &key).await,
        Kind::ReplicaSet => controllers::replica_set::reconcile(&cx, &key).await,
        Kind::StatefulSet => controllers::stateful_set::reconcile(&cx, &key).await,
        Kind::DaemonSet => controllers::daemon_set::reconcile(&cx, &key).await,
        Kind::Job => controllers::job::reconcile(&cx, &key).await,
        Kind::Endpoints => controllers::endpoints::reconcile(&cx, &key).await,
    };
    match done {
        Ok(()) => Action::Done,
        // It was deleted; the watch reports that.
        Err(error) if is(&error, kube::core::Status::is_not_found) => Action::Done,
        Err(error) => {
            tracing::debug!(?key, "not simulated yet: {error:#}");
            Action::Retry
        }
    }
}
