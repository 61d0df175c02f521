//! The property provider `azure`: costs and sizes of the nodes' machines (member-behaviour 3.6, 3.7).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use api::text::properties;
use fairway_core::heartbeat::{Costs, NodeFacts, NotStarted, Property, Provider, costs};
use jiff::Timestamp;
use parking_lot::Mutex;

use super::prices::PriceList;
use crate::args::AzureSettings;

/// What the provider needs to know of the cluster to start.
pub(super) struct Preconditions<'a> {
    /// Nodes, pods and namespaces; `None` while they are not listed yet.
    pub(super) nodes: Option<&'a [Arc<NodeFacts>]>,
    /// Whether the server's version is known.
    pub(super) has_version: bool,
    /// Why the certificate authority cannot be read.
    pub(super) ca_failure: Option<&'a str>,
}

/// The provider.
pub(super) struct Azure {
    settings: AzureSettings,
    prices: Option<Arc<PriceList>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The region whose prices hold; `None` until the provider runs.
    region: Option<String>,
    /// What was said last about the start.
    reported: Option<Result<(), NotStarted>>,
    computed: Option<Computed>,
}

/// Costs, and what they were computed from.
struct Computed {
    nodes: u64,
    prices: Timestamp,
    costs: Result<Costs, String>,
}

impl Azure {
    pub(super) fn new(settings: AzureSettings, prices: Option<Arc<PriceList>>) -> Self {
        Self {
            settings,
            prices,
            state: Mutex::default(),
        }
    }

    /// Starts unless it runs, and collects. Answers also the facts, which only a provider that runs has.
    pub(super) fn collect(&self, cluster: &Preconditions<'_>, now: &api::Time) -> (Provider, Vec<Property>) {
        let mut state = self.state.lock();
        let started = self.start(&mut state, cluster);
        let is_new = state.reported.as_ref() != Some(&started);
        state.reported = Some(started.clone());
        let mut provider = Provider {
            started,
            is_new,
            costs: None,
        };
        let (Ok(()), Some(nodes)) = (&provider.started, cluster.nodes) else {
            return (provider, Vec::new());
        };
        let mut facts = sizes(nodes);
        if let (Some(list), Some(region)) = (&self.prices, state.region.clone()) {
            let costs = compute(&mut state.computed, nodes, list, &region, now);
            if let Ok(costs) = &costs {
                facts.push(Property::new(properties::CPU_COST, format!("{:.3}", costs.per_core)));
                facts.push(Property::new(
                    properties::MEMORY_COST,
                    format!("{:.3}", costs.per_gigabyte),
                ));
            }
            provider.costs = Some(costs);
        }
        (provider, facts)
    }

    /// A provider that could not start tries again each time.
    fn start(&self, state: &mut State, cluster: &Preconditions<'_>) -> Result<(), NotStarted> {
        if state.region.is_some() {
            return Ok(());
        }
        let failed = |why: &str| Err(NotStarted::Failed(why.to_owned()));
        let Some(nodes) = cluster.nodes else {
            return Err(NotStarted::TimedOut);
        };
        if let Some(why) = cluster.ca_failure {
            return failed(why);
        }
        if !cluster.has_version {
            return failed("the version of the API server cannot be read");
        }
        let region = match (&self.prices, self.settings.region.as_str()) {
            (Some(_), "") => nodes.iter().find_map(|node| node.region()),
            (_, region) => Some(region),
        };
        let Some(region) = region else {
            return failed("no region is given, and no node has the label topology.kubernetes.io/region");
        };
        state.region = Some(region.to_owned());
        Ok(())
    }
}

/// The number of nodes for each size of machine.
fn sizes(nodes: &[Arc<NodeFacts>]) -> Vec<Property> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        *counts.entry(node.size()).or_default() += 1;
    }
    let name = |size: &str| format!("{}{size}{}", properties::SIZE_PREFIX, properties::SIZE_SUFFIX);
    let facts = counts
        .into_iter()
        .map(|(size, count)| Property::new(name(size), count.to_string()));
    facts.collect()
}

/// The costs, computed anew only when nodes or prices have changed.
fn compute(
    computed: &mut Option<Computed>,
    nodes: &[Arc<NodeFacts>],
    list: &PriceList,
    region: &str,
    now: &api::Time,
) -> Result<Costs, String> {
    let prices = list.prices(region);
    let digest = digest(nodes);
    if let Some(known) = computed
        .as_ref()
        .filter(|c| c.nodes == digest && c.prices == prices.updated)
    {
        return known.costs.clone();
    }
    let costs = costs(nodes, &prices, now);
    *computed = Some(Computed {
        nodes: digest,
        prices: prices.updated,
        costs: costs.clone(),
    });
    costs
}

fn digest(nodes: &[Arc<NodeFacts>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for node in nodes {
        (node.size(), node.cores().to_bits(), node.bytes().to_bits()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::clock::Clock;
    use serde_json::json;

    fn node(size: &str, region: &str) -> Arc<NodeFacts> {
        Arc::new(NodeFacts::decode(&json!({
            "metadata": {"labels": {"beta.kubernetes.io/instance-type": size, "topology.kubernetes.io/region": region}},
            "status": {"capacity": {"cpu": "2", "memory": "4Gi"}}
        })))
    }

    fn azure(region: &str, costs: bool) -> Azure {
        let settings = AzureSettings {
            region: region.to_owned(),
            costs,
            available: true,
        };
        let prices = costs.then(|| Arc::new(PriceList::new(Clock::System)));
        Azure::new(settings, prices)
    }

    fn at(nodes: &[Arc<NodeFacts>]) -> Preconditions<'_> {
        Preconditions {
            nodes: Some(nodes),
            has_version: true,
            ca_failure: None,
        }
    }

    fn now() -> api::Time {
        api::Time("2025-05-16T08:00:00Z".parse().unwrap())
    }

    fn lines(facts: &[Property]) -> Vec<String> {
        facts
            .iter()
            .map(|fact| format!("{}={}", fact.name, fact.value))
            .collect()
    }

    #[test]
    fn nodes_are_counted_and_priced() {
        let nodes = [
            node("Standard_B2ats_v2", "westus"),
            node("Standard_B2ats_v2", "westus"),
            node("Standard_D8s_v5", ""),
        ];
        let (provider, facts) = azure("", true).collect(&at(&nodes), &now());
        assert_eq!((provider.started, provider.is_new), (Ok(()), true));
        assert_eq!(
            lines(&facts),
            [
                "kubernetes.azure.com/vm-sizes/Standard_B2ats_v2/count=2",
                "kubernetes.azure.com/vm-sizes/Standard_D8s_v5/count=1",
                // (2 × 0.0112 + 0.448) / 6 and / 12
                "kubernetes.azure.com/per-cpu-core-cost=0.078",
                "kubernetes.azure.com/per-gb-memory-cost=0.039",
            ]
        );
        let odd = [node("", "westus")];
        let (provider, facts) = azure("", true).collect(&at(&odd), &now());
        assert_eq!(lines(&facts), ["kubernetes.azure.com/vm-sizes/undefined/count=1"]);
        assert!(provider.costs.unwrap().unwrap_err().contains("([undefined])"));
        let (provider, facts) = azure("", false).collect(&at(&odd), &now());
        assert_eq!(
            (provider.costs, facts.len()),
            (None, 1),
            "costs are switched off, so no region is needed"
        );
    }

    #[test]
    fn what_is_missing_keeps_it_from_starting_until_it_is_there() {
        let (elsewhere, here) = ([node("a", "")], [node("a", "westus")]);
        let provider = azure("", true);
        let started = |cluster: Preconditions<'_>| {
            let (provider, facts) = provider.collect(&cluster, &now());
            assert!(provider.started.is_ok() || facts.is_empty());
            (provider.started, provider.is_new)
        };
        let lists = Preconditions {
            nodes: None,
            ..at(&here)
        };
        assert_eq!(started(lists), (Err(NotStarted::TimedOut), true));
        for (cluster, part) in [
            (at(&elsewhere), "no region"),
            (
                Preconditions {
                    has_version: false,
                    ..at(&here)
                },
                "version",
            ),
            (
                Preconditions {
                    ca_failure: Some("no such file"),
                    ..at(&here)
                },
                "no such file",
            ),
        ] {
            let (outcome, is_new) = started(cluster);
            assert!(
                matches!(outcome, Err(NotStarted::Failed(why)) if why.contains(part)),
                "{part}"
            );
            assert!(is_new);
        }
        assert_eq!(started(at(&here)), (Ok(()), true));
        assert_eq!(started(at(&elsewhere)), (Ok(()), false), "once it runs, it runs");
    }

    #[test]
    fn costs_are_judged_when_they_are_computed() {
        let nodes = [node("Standard_B2ats_v2", "")];
        let provider = azure("westus", true);
        let warned = |nodes: &[Arc<NodeFacts>], time: &str| {
            let time = api::Time(time.parse().unwrap());
            provider
                .collect(&at(nodes), &time)
                .0
                .costs
                .unwrap()
                .unwrap()
                .warning
                .is_some()
        };
        assert!(!warned(&nodes, "2025-05-16T08:00:00Z"));
        assert!(!warned(&nodes, "2025-06-01T00:00:00Z"), "nothing has changed since");
        let more = [node("Standard_B2ats_v2", ""), node("Standard_B2ats_v2", "")];
        assert!(warned(&more, "2025-06-01T00:00:00Z"));
    }
}
