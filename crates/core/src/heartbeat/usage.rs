//! What a cluster has and what is free (member-behaviour 3.5).

use std::borrow::Borrow;

use api::Quantity;
use api::Time;
use api::cluster::v1beta1::{ResourceList, ResourceUsage};
use serde_json::Value;

const CPU: &str = "cpu";
const MEMORY: &str = "memory";

/// A processor and memory amount.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Amounts {
    cpu: Quantity,
    memory: Quantity,
}

impl Amounts {
    fn decode(list: Option<&Value>) -> Self {
        let amount = |name: &str| {
            let text = list.and_then(|list| list.get(name)).map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Self {
            cpu: amount(CPU),
            memory: amount(MEMORY),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
        }
    }

    fn minus_down_to_zero(self, other: Self) -> Self {
        let floor = |left: Quantity, right: Quantity| {
            if left > right {
                left - right
            } else {
                Quantity::from_int(0)
            }
        };
        Self {
            cpu: floor(self.cpu, other.cpu),
            memory: floor(self.memory, other.memory),
        }
    }

    fn list(self) -> ResourceList {
        ResourceList::from([(CPU.to_owned(), self.cpu), (MEMORY.to_owned(), self.memory)])
    }
}

/// Label with the size of a node's machine.
const SIZE_LABEL: &str = "beta.kubernetes.io/instance-type";

/// Label with the region of a node.
const REGION_LABEL: &str = "topology.kubernetes.io/region";

/// Stands for the size of nodes that have none.
const NO_SIZE: &str = "undefined";

/// What is kept of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeFacts {
    capacity: Amounts,
    allocatable: Amounts,
    size: Option<Box<str>>,
    region: Option<Box<str>>,
}

impl NodeFacts {
    /// Reads a Node.
    pub fn decode(node: &Value) -> Self {
        let label = |name: &str| {
            let labels = node.pointer("/metadata/labels")?;
            labels
                .get(name)?
                .as_str()
                .filter(|text| !text.is_empty())
                .map(Box::from)
        };
        Self {
            capacity: Amounts::decode(node.pointer("/status/capacity")),
            allocatable: Amounts::decode(node.pointer("/status/allocatable")),
            size: label(SIZE_LABEL),
            region: label(REGION_LABEL),
        }
    }

    /// Size of its machine.
    pub fn size(&self) -> &str {
        self.size.as_deref().unwrap_or(NO_SIZE)
    }

    /// Where it is.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Cores that it has.
    pub fn cores(&self) -> f64 {
        self.capacity.cpu.approximate_f64()
    }

    /// Bytes of memory that it has.
    pub fn bytes(&self) -> f64 {
        self.capacity.memory.approximate_f64()
    }
}

/// What is kept of a pod: the requests of its containers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PodFacts {
    requests: Amounts,
}

impl PodFacts {
    /// Reads a Pod; `None` for pods that hold nothing, because they have no node or are finished.
    pub fn decode(pod: &Value) -> Option<Self> {
        let text = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
        if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed") {
            return None;
        }
        let containers = pod
            .pointer("/spec/containers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let requests = containers.map(|container| Amounts::decode(container.pointer("/resources/requests")));
        Some(Self {
            requests: requests.fold(Amounts::default(), Amounts::plus),
        })
    }
}

/// Sums over all nodes, also those that are cordoned or going, and over the pods that hold something. Without pods nothing is
/// said of what is available.
pub fn usage<N: Borrow<NodeFacts>, P: Borrow<PodFacts>>(nodes: &[N], pods: Option<&[P]>, now: &Time) -> ResourceUsage {
    let sum = |amounts: &mut dyn Iterator<Item = Amounts>| amounts.fold(Amounts::default(), Amounts::plus);
    let allocatable = sum(&mut nodes.iter().map(|node| node.borrow().allocatable));
    let available = pods.map(|pods| {
        let requested = sum(&mut pods.iter().map(|pod| pod.borrow().requests));
        allocatable.minus_down_to_zero(requested).list()
    });
    ResourceUsage {
        capacity: sum(&mut nodes.iter().map(|node| node.borrow().capacity)).list(),
        allocatable: allocatable.list(),
        available: available.unwrap_or_default(),
        observation_time: Some(now.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sums_and_what_is_left() {
        let node = NodeFacts::decode(&json!({"status": {
            "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"}, "allocatable": {"cpu": "3900m", "memory": "15Gi"}}}));
        let pod = |node_name: &str, phase: &str, cpu: &str, memory: &str| {
            PodFacts::decode(
                &json!({"spec": {"nodeName": node_name, "initContainers": [{"resources": {"requests": {"cpu": "9"}}}],
                "containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}, {}]}, "status": {"phase": phase}}),
            )
        };
        assert_eq!(pod("", "Pending", "1", "1Gi"), None);
        assert_eq!(pod("n", "Succeeded", "1", "1Gi"), None);
        let pods: Vec<_> = [pod("n", "Running", "300m", "20Gi"), pod("n", "Running", "1", "20Gi")]
            .into_iter()
            .flatten()
            .collect();
        let now: Time = serde_json::from_value(json!("2025-01-01T00:00:00Z")).unwrap();
        let got = serde_json::to_value(usage(&[&node, &node], Some(&pods), &now)).unwrap();
        assert_eq!(
            got,
            json!({
                "capacity": {"cpu": "8", "memory": "32Gi"},
                "allocatable": {"cpu": "7800m", "memory": "30Gi"},
                "available": {"cpu": "6500m", "memory": "0"},
                "observationTime": "2025-01-01T00:00:00Z"
            })
        );
        let empty = serde_json::to_value(usage::<NodeFacts, _>(&[], Some(&pods), &now)).unwrap();
        assert_eq!(empty["available"], json!({"cpu": "0", "memory": "0"}));
        let silent = serde_json::to_value(usage::<_, PodFacts>(&[&node], None, &now)).unwrap();
        assert_eq!(
            (&silent["capacity"]["cpu"], silent.get("available")),
            (&json!("4"), None)
        );
    }
}
