//! Every text that users, scripts and tests match: each exists once, here, and is pinned by a test.

pub mod annotations;
pub mod conditions;
pub mod events;
pub mod finalizers;
pub mod labels;
pub mod messages;
pub mod multicluster;
pub mod reasons;

/// Prefix of labels, annotations and finalizers.
pub const PREFIX: &str = "kubernetes-fleet.io/";

/// API groups.
pub mod groups {
    /// Placements and everything made from them.
    pub const PLACEMENT: &str = "placement.kubernetes-fleet.io";
    /// Member clusters.
    pub const CLUSTER: &str = "cluster.kubernetes-fleet.io";
    /// Multi-cluster services.
    pub const NETWORKING: &str = "networking.fleet.azure.com";
    /// Cluster profiles of the cluster inventory.
    pub const INVENTORY: &str = "multicluster.x-k8s.io";
    /// The declared successor group, without controllers.
    pub const KUBEFLEET: &str = "placement.kubefleet.dev";
    /// Payloads of which one cluster of a fleet runs one copy.
    pub const MULTICLUSTER: &str = "kube-vip.io";
}

/// Field managers. They must not change, because conflicts are computed per manager.
pub mod managers {
    /// Server-side apply of placed objects on members.
    pub const WORK_AGENT: &str = "work-api-agent";
    /// The hub's member cluster controller.
    pub const MEMBER_CLUSTER: &str = "member-cluster-controller";
    /// The hub's override controllers.
    pub const OVERRIDE: &str = "override-controller";
    /// The hub's staged update run controllers.
    pub const UPDATE_RUN: &str = "cluster-staged-update-run-controller";
}

/// Names of member properties (keys of `status.properties`).
pub mod properties {
    /// Number of nodes.
    pub const NODE_COUNT: &str = "kubernetes-fleet.io/node-count";
    /// Version of the member's API server.
    pub const KUBERNETES_VERSION: &str = "k8s.io/k8s-version";
    /// Address of the member's API server.
    pub const ENTRY_POINT: &str = "k8s.io/cluster-entrypoint";
    /// Certificate authority of the member's API server.
    pub const CA_DATA: &str = "k8s.io/cluster-certificate-authority-data";
    /// Cost of a CPU core.
    pub const CPU_COST: &str = "kubernetes.azure.com/per-cpu-core-cost";
    /// Cost of a gigabyte of memory.
    pub const MEMORY_COST: &str = "kubernetes.azure.com/per-gb-memory-cost";
    /// Begins the names of the properties that count nodes by the size of their machines.
    pub const SIZE_PREFIX: &str = "kubernetes.azure.com/vm-sizes/";
    /// Ends the names of the properties that count nodes by the size of their machines.
    pub const SIZE_SUFFIX: &str = "/count";
    /// Prefix of the properties that selectors resolve from `status.resourceUsage`.
    pub const RESOURCE_PREFIX: &str = "resources.kubernetes-fleet.io/";
}

#[cfg(test)]
mod tests;
