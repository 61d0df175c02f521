//! What a cluster looks like.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What a cluster looks like.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many nodes to create, named `node-1` and so on.
    pub nodes: usize,
    /// What each of them has; nodes that others create keep what they say.
    pub node_size: NodeSize,
    /// Labels of the created nodes.
    pub node_labels: BTreeMap<String, String>,
    /// Whether the workload controllers are played as well, because no controller manager runs.
    pub controllers: bool,
    /// Load balancers get the addresses from 1 to 254 of this /24 network.
    pub load_balancer_network: [u8; 3],
    /// What HTTP servers answer that stand for the Pods behind load balancers, usually the cluster's name. They listen at
    /// the load balancers' addresses and the Services' TCP ports while a Pod is ready, so
    /// [`Self::load_balancer_network`] must be one on loopback. Without it nobody listens.
    pub serve_as: Option<String>,
}

/// What a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSize {
    /// Processors, as a quantity.
    pub cpu: String,
    /// Memory, as a quantity.
    pub memory: String,
    /// Pods that it can run.
    pub pods: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 2,
            node_size: NodeSize {
                cpu: "4".to_owned(),
                memory: "16Gi".to_owned(),
                pods: 110,
            },
            node_labels: BTreeMap::new(),
            controllers: false,
            load_balancer_network: [172, 18, 255],
            serve_as: None,
        }
    }
}

impl Options {
    /// The address of a load balancer by its number from 1 to 254.
    pub(crate) fn load_balancer_address(&self, number: u16) -> Ipv4Addr {
        let [a, b, c] = self.load_balancer_network;
        Ipv4Addr::from(u32::from(Ipv4Addr::new(a, b, c, 0)) + u32::from(number))
    }
}
