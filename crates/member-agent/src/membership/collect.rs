//! Facts about the cluster: health, nodes, free resources, version (member-behaviour 3.4 to 3.7).

use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::text::properties;
use fairway_core::heartbeat::{Findings, Namespaces, NodeFacts, PodFacts, Property, usage};
use http::Method;
use jiff::Timestamp;
use kit::Resource;
use kit::clock::Clock;
use kit::index::Index;
use kit::rest::Call;
use kit::shutdown::Tasks;
use kube::Client;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use super::azure::{Azure, Preconditions};
use super::prices::PriceList;
use crate::args::Settings;
use crate::watch::follow;

const NODES: Resource = Resource::cluster("", "v1", "Node", "nodes");
const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");

/// Time for the health probe and for the version.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a heartbeat waits for the first list of nodes and pods.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// How long the server's version is believed.
const VERSION_FRESH: Duration = Duration::from_secs(15 * 60);

/// Collects facts about the cluster.
pub(crate) struct Collector {
    client: Client,
    nodes: Arc<Index<NodeFacts>>,
    /// Watched only when available resources are reported.
    pods: Option<Arc<Index<PodFacts>>>,
    /// Names of the AppliedWorks that own namespaces, when these are to be reported.
    namespaces: Option<Arc<Index<String>>>,
    address: Address,
    azure: Option<Azure>,
    prices: Option<Arc<PriceList>>,
    version: Mutex<Option<Known>>,
}

/// How the cluster is reached, as far as others may want to know it.
#[derive(Debug, Clone, Default)]
pub struct Address {
    /// PEM text of its authority, `None` when there is none, or why it cannot be read.
    pub authority: Option<Result<String, String>>,
    /// URL of its API server, when others may reach it by that.
    pub entry_point: Option<String>,
}

/// The server's version, when it was read, and until when it is used.
#[derive(Clone)]
struct Known {
    version: String,
    read_at: api::Time,
    until: Instant,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

impl Collector {
    pub(crate) fn new(client: Client, address: Address, settings: &Settings, clock: Clock) -> Self {
        let azure = settings.azure.clone();
        let prices = azure
            .as_ref()
            .filter(|azure| azure.costs)
            .map(|_| Arc::new(PriceList::new(clock)));
        let follows_pods = azure.as_ref().is_none_or(|azure| azure.available);
        let list_namespaces =
            || Index::builder(kinds::NAMESPACE, |namespace| Ok(Namespaces::owner_of(&namespace))).build();
        Self {
            client,
            nodes: Index::builder(NODES, |node| Ok(Some(NodeFacts::decode(&node)))).build(),
            pods: follows_pods.then(|| Index::builder(PODS, |pod| Ok(PodFacts::decode(&pod))).build()),
            namespaces: settings.collect_namespaces.then(list_namespaces),
            address,
            azure: azure.map(|azure| Azure::new(azure, prices.clone())),
            prices,
            version: Mutex::default(),
        }
    }

    /// Starts to follow what the facts are taken from, until `stop`.
    pub(crate) fn follow(&self, tasks: &mut Tasks) {
        let stop = tasks.stop().clone();
        tasks.spawn_endless("watch of Nodes", follow(&self.nodes, &self.client, &stop));
        if let Some(pods) = &self.pods {
            tasks.spawn_endless("watch of Pods", follow(pods, &self.client, &stop));
        }
        if let Some(namespaces) = &self.namespaces {
            tasks.spawn_endless("watch of Namespaces", follow(namespaces, &self.client, &stop));
        }
        if let Some(prices) = &self.prices {
            tasks.spawn_endless("prices", Arc::clone(prices).run(stop));
        }
    }

    /// What there is to say now, and what could not be found out.
    pub(crate) async fn collect(&self, clock: &Clock) -> (Findings, Option<String>) {
        let now = clock.now();
        let now = api::Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
        let (unhealthy, version, lists) = tokio::join!(self.probe(), self.version(&now), self.wait_for_lists());
        let mut failures = Vec::new();
        if let Some(code) = unhealthy {
            failures.push(format!("the health probe failed with status code {code}"));
        }
        let nodes = lists.is_ok().then(|| self.nodes.all());
        let preconditions = Preconditions {
            nodes: nodes.as_deref(),
            has_version: version.is_some(),
            ca_failure: self
                .address
                .authority
                .as_ref()
                .and_then(|read| read.as_ref().err())
                .map(String::as_str),
        };
        let provided = self.azure.as_ref().map(|azure| azure.collect(&preconditions, &now));
        let (provider, more) = provided.unzip();
        let mut findings = Findings {
            unhealthy,
            provider,
            ..Findings::default()
        };
        match (lists, nodes) {
            (Ok(()), Some(nodes)) => {
                let mut facts = self.facts(&findings, nodes.len(), version);
                facts.extend(more.unwrap_or_default());
                findings.properties = Some(facts);
                findings.namespaces = self.namespaces.as_ref().map(|index| {
                    let all = index.entries().into_iter();
                    Namespaces::of(all.map(|(key, owner)| (key.name, (*owner).clone())))
                });
                let pods = self.pods.as_ref().map(|pods| pods.all());
                findings.usage = Some(usage(&nodes, pods.as_deref(), &now));
            }
            (lists, _) => failures.extend(lists.err()),
        }
        (findings, (!failures.is_empty()).then(|| failures.join("; ")))
    }

    /// What is reported with and without a provider. The address is not among the facts that the provider `azure` has.
    fn facts(&self, findings: &Findings, nodes: usize, version: Option<Known>) -> Vec<Property> {
        let mut facts = vec![Property::new(properties::NODE_COUNT, nodes.to_string())];
        if let Some(Ok(authority)) = &self.address.authority {
            facts.push(Property::new(properties::CA_DATA, authority.clone()));
        }
        facts.extend(version.map(|known| Property {
            observed: Some(known.read_at),
            ..Property::new(properties::KUBERNETES_VERSION, known.version)
        }));
        let is_built_in = findings
            .provider
            .as_ref()
            .is_none_or(|provider| provider.started.is_err());
        if let Some(url) = self.address.entry_point.as_ref().filter(|_| is_built_in) {
            facts.push(Property::new(properties::ENTRY_POINT, url.clone()));
        }
        facts
    }

    /// The status code of the health probe unless it is good; 0 when there was no answer.
    async fn probe(&self) -> Option<u16> {
        let probe = Call::new(Method::GET, "/readyz", "probe the member's health").deadline(DEADLINE);
        probe.send(&self.client).await.err().map(|err| err.code().unwrap_or(0))
    }

    async fn version(&self, now: &api::Time) -> Option<Known> {
        let known = self.version.lock().clone();
        if let Some(known) = known.filter(|known| Instant::now() < known.until) {
            return Some(known);
        }
        let call = Call::new(Method::GET, "/version", "get the member's version").deadline(DEADLINE);
        match call.json::<Version>(&self.client).await {
            Ok(Version { git_version }) => {
                let known = Known {
                    version: git_version,
                    read_at: now.clone(),
                    until: Instant::now() + VERSION_FRESH,
                };
                *self.version.lock() = Some(known.clone());
                Some(known)
            }
            Err(err) => {
                tracing::info!(error = %err, "The member's version is left out of this heartbeat.");
                None
            }
        }
    }

    async fn wait_for_lists(&self) -> Result<(), String> {
        let all = async {
            self.nodes.synced().await;
            if let Some(pods) = &self.pods {
                pods.synced().await;
            }
            if let Some(namespaces) = &self.namespaces {
                namespaces.synced().await;
            }
        };
        tokio::time::timeout(FIRST_LIST, all)
            .await
            .map_err(|_| "nodes and pods could not be listed".to_owned())
    }
}
