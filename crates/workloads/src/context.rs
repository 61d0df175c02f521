//! What every part of the simulator works with: the watched objects, the queue of keys and the client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kit::queue::Queue;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::balancers::Balancers;
use crate::conditions::changes;
use crate::key::{Key, Kind};
use crate::options::Options;
use crate::pod_state::is_behind;

/// For one request.
const DEADLINE: Duration = Duration::from_secs(30);
const FIELD_MANAGER: &str = "fairway-workloads";

/// The watched objects. Without controllers only the first three are watched.
#[derive(Debug)]
pub struct Stores {
    pub nodes: Store<Node>,
    pub pods: Store<Pod>,
    pub services: Store<Service>,
    pub deployments: Store<Deployment>,
    pub replica_sets: Store<ReplicaSet>,
    pub stateful_sets: Store<StatefulSet>,
    pub daemon_sets: Store<DaemonSet>,
    pub jobs: Store<Job>,
    pub slices: Store<EndpointSlice>,
}

/// Shared by all workers.
pub struct Context {
    pub client: Client,
    pub options: Options,
    pub stores: Stores,
    pub queue: Queue<Key>,
    /// Pods by uid whose binding was sent but not seen yet, with their nodes.
    pub bound: Mutex<BTreeMap<String, String>>,
    /// Addresses that were given to Services, whether seen in their status yet or not.
    pub addresses: Mutex<BTreeMap<String, Key>>,
    /// The servers behind load balancers, where there are any.
    pub balancers: Option<Balancers>,
}

impl Context {
    /// The time that statuses carry.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// A watched object by key.
    pub fn get<K>(&self, store: &Store<K>, key: &Key) -> Option<Arc<K>>
    where
        K: Lookup<DynamicType = ()> + Clone + 'static,
    {
        let name = ObjectRef::new(&key.name);
        store.get(&if key.namespace.is_empty() {
            name
        } else {
            name.within(&key.namespace)
        })
    }

    /// The Pods that an object controls, by name.
    pub fn pods_of(&self, owner: &str) -> BTreeMap<String, Arc<Pod>> {
        owned(&self.stores.pods, owner)
    }

    /// The Pods that a Service stands for, whether they are ready or not, by name.
    pub fn pods_behind(&self, namespace: &str, selector: Option<&BTreeMap<String, String>>) -> Vec<Arc<Pod>> {
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
            return Vec::new();
        };
        let mut pods = self.stores.pods.state_filter(|pod| is_behind(pod, namespace, selector));
        pods.sort_by_key(|pod| pod.name_any());
        pods
    }

    /// Queues every Pod that waits for a node.
    pub fn queue_waiting_pods(&self) {
        for pod in self.stores.pods.state() {
            if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none()) {
                self.queue.add(Key::of(Kind::Pod, pod.as_ref()));
            }
        }
    }

    /// Sends a merge patch of the status, unless `current` says all of it already.
    pub async fn report<K>(&self, api: &Api<K>, name: &str, current: &Value, status: &Value) -> Result<()>
    where
        K: DeserializeOwned,
    {
        if !changes(current, status) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({"status": status}));
        within(api.patch_status(name, &params(), &patch))
            .await
            .with_context(|| format!("the status of {name} cannot be written"))?;
        Ok(())
    }

    /// Sends a merge patch.
    pub async fn merge<K>(&self, api: &Api<K>, name: &str, patch: &Value) -> Result<()>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        within(api.patch(name, &params(), &Patch::Merge(patch)))
            .await
            .with_context(|| format!("{name} cannot be changed"))?;
        Ok(())
    }

    /// Creates an object; one of that name that is there already is fine, since names are derived from the owner.
    pub async fn create<K>(&self, api: &Api<K>, object: Value) -> Result<()>
    where
        K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object).context("an object cannot be built")?;
        match within(api.create(&Default::default(), &object)).await {
            Err(error) if is(&error, kube::core::Status::is_already_exists) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Deletes exactly this object.
    pub async fn delete<K>(&self, api: &Api<K>, object: &K, grace: Option<u32>) -> Result<()>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let params = DeleteParams {
            grace_period_seconds: grace,
            preconditions: Some(Preconditions {
                uid: object.meta().uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let name = object.name_any();
        match within(api.delete(&name, &params)).await {
            Err(error) if is(&error, kube::core::Status::is_not_found) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// An API of a namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The objects of a store that `owner` controls, by name.
pub fn owned<K>(store: &Store<K>, owner: &str) -> BTreeMap<String, Arc<K>>
where
    K: Resource<DynamicType = ()> + Lookup<DynamicType = ()> + Clone + 'static,
{
    let controlled = |object: &Arc<K>| controller(object.as_ref()).is_some_and(|reference| reference.uid == owner);
    store
        .state()
        .into_iter()
        .filter(controlled)
        .map(|object| (object.name_any(), object))
        .collect()
}

/// The reference to an object's controller.
pub fn controller<K: Resource>(object: &K) -> Option<&OwnerReference> {
    let references = object.meta().owner_references.as_deref().unwrap_or_default();
    references.iter().find(|reference| reference.controller == Some(true))
}

/// Whether an error is an API server's answer of a certain kind.
pub fn is(error: &anyhow::Error, kind: impl Fn(&kube::core::Status) -> bool) -> bool {
    matches!(error.downcast_ref::<kube::Error>(), Some(kube::Error::Api(status)) if kind(status))
}

/// A request with its deadline.
pub async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T> {
    Ok(timeout(DEADLINE, request)
        .await
        .context("the API server does not answer in time")??)
}

fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
