//! Facts about the cluster: health, nodes, free resources, version (member-behaviour 3.4 to 3.7).

use std::sync::Arc;
use std::time::Duration;

use api::text::properties;
use fairway_core::heartbeat::{Findings, Namespaces, NodeFacts, PodFacts, usage};
use http::Method;
use jiff::Timestamp;
use kit::Resource;
use kit::clock::Clock;
use kit::index::Index;
use kit::rest::Call;
use kube::Client;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

const NODES: Resource = Resource::cluster("", "v1", "Node", "nodes");
const NAMESPACES: Resource = Resource::cluster("", "v1", "Namespace", "namespaces");
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
    pods: Arc<Index<PodFacts>>,
    /// Names of the AppliedWorks that own namespaces, when these are to be reported.
    namespaces: Option<Arc<Index<String>>>,
    ca: Option<String>,
    provider_failure: Option<String>,
    version: Mutex<Option<(String, Instant)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

impl Collector {
    /// `ca` is the PEM text of the cluster's authority, `provider` a property provider that was asked for.
    pub(crate) fn new(client: Client, ca: Option<String>, provider: Option<&str>, namespaces: bool) -> Self {
        let provider_failure = provider.map(|name| format!("this agent has no property provider {name:?}"));
        Self {
            client,
            nodes: Index::builder(NODES, |node| Ok(Some(NodeFacts::decode(&node)))).build(),
            pods: Index::builder(PODS, |pod| Ok(PodFacts::decode(&pod))).build(),
            namespaces: namespaces
                .then(|| Index::builder(NAMESPACES, |namespace| Ok(Namespaces::owner_of(&namespace))).build()),
            ca,
            provider_failure,
            version: Mutex::default(),
        }
    }

    pub(crate) fn nodes(&self) -> &Arc<Index<NodeFacts>> {
        &self.nodes
    }

    pub(crate) fn pods(&self) -> &Arc<Index<PodFacts>> {
        &self.pods
    }

    pub(crate) fn namespaces(&self) -> Option<&Arc<Index<String>>> {
        self.namespaces.as_ref()
    }

    /// What there is to say now, and what could not be found out.
    pub(crate) async fn collect(&self, clock: &Clock) -> (Findings, Option<String>) {
        let (unhealthy, version, lists) = tokio::join!(self.probe(), self.version(), self.wait_for_lists());
        let mut failures = Vec::new();
        if let Some(code) = unhealthy {
            failures.push(format!("the health probe failed with status code {code}"));
        }
        let mut findings = Findings {
            unhealthy,
            provider_failure: self.provider_failure.clone(),
            ..Findings::default()
        };
        if let Err(reason) = lists {
            failures.push(reason);
            return (findings, Some(failures.join("; ")));
        }
        let nodes: Vec<NodeFacts> = self.nodes.all().iter().map(|node| **node).collect();
        let pods: Vec<PodFacts> = self.pods.all().iter().map(|pod| **pod).collect();
        let mut facts = vec![(properties::NODE_COUNT, nodes.len().to_string())];
        facts.extend(self.ca.clone().map(|ca| (properties::CA_DATA, ca)));
        facts.extend(version.map(|version| (properties::KUBERNETES_VERSION, version)));
        findings.properties = Some(facts);
        let now = clock.now();
        let now = api::Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
        findings.namespaces = self.namespaces.as_ref().map(|index| {
            Namespaces::of(
                index
                    .entries()
                    .into_iter()
                    .map(|(key, owner)| (key.name, (*owner).clone())),
            )
        });
        findings.usage = Some(usage(&nodes, &pods, &now));
        (findings, (!failures.is_empty()).then(|| failures.join("; ")))
    }

    /// The status code of the health probe unless it is good; 0 when there was no answer.
    async fn probe(&self) -> Option<u16> {
        let probe = Call::new(Method::GET, "/readyz", "probe the member's health").deadline(DEADLINE);
        probe.send(&self.client).await.err().map(|err| err.code().unwrap_or(0))
    }

    async fn version(&self) -> Option<String> {
        let known = self.version.lock().clone();
        if let Some((version, until)) = known
            && Instant::now() < until
        {
            return Some(version);
        }
        let call = Call::new(Method::GET, "/version", "get the member's version").deadline(DEADLINE);
        match call.json::<Version>(&self.client).await {
            Ok(Version { git_version }) => {
                *self.version.lock() = Some((git_version.clone(), Instant::now() + VERSION_FRESH));
                Some(git_version)
            }
            Err(err) => {
                tracing::info!(error = %err, "The member's version is left out of this heartbeat.");
                None
            }
        }
    }

    async fn wait_for_lists(&self) -> Result<(), String> {
        let both = async {
            self.nodes.synced().await;
            self.pods.synced().await;
            if let Some(namespaces) = &self.namespaces {
                namespaces.synced().await;
            }
        };
        tokio::time::timeout(FIRST_LIST, both)
            .await
            .map_err(|_| "nodes and pods could not be listed".to_owned())
    }
}
