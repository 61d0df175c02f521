//! The simulator with its own controllers over the in-process API server, with a paused clock.

// Helpers of tests may fail like tests.
#![allow(clippy::expect_used, clippy::panic)]

use std::fmt::Debug;
use std::time::Duration;

use apiserver::ApiServer;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::wait::{Condition, await_condition};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use workloads::{Options, Simulator};

/// On the paused clock this costs nothing unless nothing happens any more.
const DEADLINE: Duration = Duration::from_secs(600);

struct World {
    server: ApiServer,
    client: Client,
    simulator: Simulator,
}

impl World {
    async fn start(nodes: usize) -> Self {
        let server = ApiServer::builder().seed(1).build().expect("a server");
        let client = server.client();
        let options = Options {
            nodes,
            controllers: true,
            ..Options::default()
        };
        let simulator = Simulator::start(client.clone(), options).await.expect("starts");
        Self {
            server,
            client,
            simulator,
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn create<K>(&self, object: Value) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).expect("an object");
        self.api()
            .create(&PostParams::default(), &object)
            .await
            .expect("is created");
        self.api()
    }

    /// Changes an object `web`.
    async fn merge<K>(&self, patch: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let changed = self
            .api::<K>()
            .patch("web", &PatchParams::default(), &Patch::Merge(patch))
            .await;
        changed.expect("is changed");
    }

    /// Names of active Pods.
    async fn pods(&self) -> Vec<String> {
        let pods = self.api::<Pod>().list(&ListParams::default()).await.expect("lists");
        pods.iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .map(ResourceExt::name_any)
            .collect()
    }

    fn writes(&self) -> u64 {
        self.server.metrics().total(|labels, _| labels.is_write())
    }
}

/// Waits until the status of `web` says all this.
async fn until<K>(api: &Api<K>, status: Value)
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let expected = status.clone();
    let says = move |found: Option<&K>| {
        let found = serde_json::to_value(found).expect("an object");
        // What a status does not name is zero.
        let zero = json!(0);
        expected.as_object().into_iter().flatten().all(|(field, value)| {
            found["status"]
                .get(field)
                .filter(|found| !found.is_null())
                .unwrap_or(&zero)
                == value
        })
    };
    wait(&status.to_string(), api, says).await;
}

async fn wait<K>(what: &str, api: &Api<K>, until: impl Condition<K>)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let waiting = tokio::time::timeout(DEADLINE, await_condition(api.clone(), "web", until)).await;
    waiting.unwrap_or_else(|_| panic!("never: {what}")).expect("a watch");
}

fn workload(image: &str, more: Value) -> Value {
    let mut workload = json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": template(image)},
        },
    });
    more.as_object()
        .into_iter()
        .flatten()
        .for_each(|(key, value)| workload["spec"][key] = value.clone());
    workload
}

fn template(image: &str) -> Value {
    json!({"containers": [{"name": "c", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]})
}

fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": template(image)}}})
}

#[tokio::test(start_paused = true)]
async fn a_deployment_rolls_forward_keeps_the_old_while_the_new_fails_and_rolls_back() {
    let world = World::start(2).await;
    let web = world
        .create::<Deployment>(workload("one", json!({"replicas": 3})))
        .await;
    until(
        &web,
        json!({"observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "unavailableReplicas": 0}),
    )
    .await;
    let first = world.pods().await;

    world.merge::<Deployment>(image("fail:two")).await;
    let stuck = json!({"observedGeneration": 2, "replicas": 6, "updatedReplicas": 3, "availableReplicas": 3});
    until(&web, stuck).await;
    let both = world.pods().await;
    assert!(first.iter().all(|pod| both.contains(pod)), "{first:?} of {both:?}");

    world.merge::<Deployment>(image("one")).await;
    until(
        &web,
        json!({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}),
    )
    .await;
    assert_eq!(world.pods().await, first);

    world.merge::<Deployment>(json!({"spec": {"replicas": 1}})).await;
    until(
        &web,
        json!({"observedGeneration": 4, "replicas": 1, "availableReplicas": 1}),
    )
    .await;
    let sets = world
        .api::<ReplicaSet>()
        .list(&ListParams::default())
        .await
        .expect("lists");
    assert_eq!(sets.items.len(), 2, "one for each template");
    world.simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stateful_set_replaces_its_pods_under_their_names() {
    let world = World::start(1).await;
    let web = world
        .create::<StatefulSet>(workload("one", json!({"replicas": 3, "serviceName": "web"})))
        .await;
    until(&web, json!({"readyReplicas": 3, "currentReplicas": 3})).await;
    assert_eq!(world.pods().await, ["web-0", "web-1", "web-2"]);
    world.merge::<StatefulSet>(image("two")).await;
    until(
        &web,
        json!({"observedGeneration": 2, "updatedReplicas": 3, "readyReplicas": 3}),
    )
    .await;
    wait("one revision", &web, |found: Option<&StatefulSet>| {
        let status = found.and_then(|found| found.status.as_ref());
        status.is_some_and(|status| {
            status.current_revision.is_some() && status.current_revision == status.update_revision
        })
    })
    .await;
    for pod in world.api::<Pod>().list(&ListParams::default()).await.expect("lists") {
        assert_eq!(pod.spec.expect("a spec").containers[0].image.as_deref(), Some("two"));
    }
    world.simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_set_follows_the_nodes() {
    let world = World::start(2).await;
    let web = world.create::<DaemonSet>(workload("one", json!({}))).await;
    until(
        &web,
        json!({"desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}),
    )
    .await;
    world
        .simulator
        .set_node_ready("node-2", false)
        .await
        .expect("is switched");
    until(
        &web,
        json!({"desiredNumberScheduled": 2, "numberAvailable": 1, "numberUnavailable": 1}),
    )
    .await;
    world
        .simulator
        .set_node_ready("node-2", true)
        .await
        .expect("is switched");
    until(&web, json!({"numberAvailable": 2, "numberUnavailable": 0})).await;
    world.simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn services_get_addresses_of_their_own_and_slices_of_ready_pods() {
    let world = World::start(2).await;
    let balancer = |name: &str| {
        let ports = json!([{"name": "http", "port": 80, "targetPort": "http"}]);
        json!({"metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports}})
    };
    let services = world.create::<Service>(balancer("web")).await;
    world.create::<Service>(balancer("other")).await;
    let deployments = world
        .create::<Deployment>(workload("one", json!({"replicas": 2})))
        .await;
    until(&deployments, json!({"readyReplicas": 2})).await;
    wait("an address", &services, |found: Option<&Service>| {
        address(found).is_some()
    })
    .await;
    let slices: Api<EndpointSlice> = world.api();
    let of_web = ListParams::default().labels("kubernetes.io/service-name=web");
    let ready = async || {
        let slices = slices.list(&of_web).await.expect("lists");
        let endpoints = slices.items.iter().flat_map(|slice| &slice.endpoints);
        endpoints
            .filter(|endpoint| endpoint.conditions.as_ref().and_then(|c| c.ready) == Some(true))
            .count()
    };
    while ready().await != 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let port = slices.list(&of_web).await.expect("lists").items[0]
        .ports
        .clone()
        .expect("ports")[0]
        .port;
    assert_eq!(port, Some(8080));
    let all = services.list(&ListParams::default()).await.expect("lists");
    let addresses: Vec<String> = all.items.iter().filter_map(|service| address(Some(service))).collect();
    assert!(addresses.len() == 2 && addresses[0] != addresses[1], "{addresses:?}");

    for node in ["node-1", "node-2"] {
        world.simulator.set_node_ready(node, false).await.expect("is switched");
    }
    while ready().await != 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.merge::<Service>(json!({"spec": {"type": "ClusterIP"}})).await;
    wait("no address", &services, |found: Option<&Service>| {
        address(found).is_none()
    })
    .await;
    world.simulator.stop().await;
}

fn address(service: Option<&Service>) -> Option<String> {
    let ingress = service?.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    ingress.first()?.ip.clone()
}

#[tokio::test(start_paused = true)]
async fn a_settled_cluster_sees_no_write() {
    let world = World::start(3).await;
    let web = world
        .create::<Deployment>(workload("one", json!({"replicas": 5})))
        .await;
    world
        .create::<Service>(json!({"metadata": {"name": "web"}, "spec": {
        "type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]}}))
        .await;
    until(&web, json!({"readyReplicas": 5, "availableReplicas": 5})).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = world.writes();
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(world.writes(), before);
    world.simulator.stop().await;
}
