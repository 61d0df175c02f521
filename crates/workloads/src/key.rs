//! What the simulator works on, one object at a time.

use kube::ResourceExt;

/// What a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Node,
    Pod,
    Service,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    /// The EndpointSlice of the Service of that name.
    Endpoints,
}

/// The key of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    /// Empty for nodes.
    pub namespace: String,
    pub name: String,
}

impl Key {
    /// The key of a watched object.
    pub fn of<K: ResourceExt>(kind: Kind, object: &K) -> Self {
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}
