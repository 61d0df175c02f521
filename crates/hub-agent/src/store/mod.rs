//! What the hub agent knows of the fleet's own objects: one index per kind, and what belongs to what.
//!
//! Views are decoded once, when a watch delivers the object or a write is answered. Nothing here sends requests to the API server.

mod any;
mod build;
mod finalizers;
mod groups;
mod interest;
mod named;
mod unreadable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::names;
use api::placement::v1beta1::PlacementStatus;
use api::resource::Resource;
use fairway_core::effects::Target;
use fairway_core::objects::{
    Binding, Interner, Member, OverrideSnapshot, Placement, PlacementKey, PolicySnapshot, ResourceSnapshot, Work,
};
use fairway_core::overrides::snapshots::Override;
use kit::ObjectKey;
use kit::clock::Clock;
use kit::controller::Indexes;
use kit::index::Index;
use serde_json::Value;

pub use any::AnyIndex;
pub use finalizers::MembersWithFinalizers;
pub use groups::{Groups, Roster};
pub use interest::Interest;

use crate::queues::Queues;

/// How often members send heartbeats where nothing says otherwise (placement-api 4.2).
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(60);

/// Indexes of one kind of objects in both scopes, grouped by placement.
pub struct ScopedIndexes<T> {
    cluster: Arc<Index<T>>,
    namespaced: Option<Arc<Index<T>>>,
    groups: Arc<Groups<PlacementKey, T>>,
}

/// A MemberCluster: whole, because patches are made from differences, and as placements see it.
pub struct MemberObject {
    /// The object.
    pub value: Value,
    /// The view.
    pub view: Arc<Member>,
}

/// All fixed indexes.
pub struct Store {
    /// Placements and what their selectors name.
    pub interest: Arc<Interest>,
    /// Content of manifests, held once.
    pub interner: Arc<Interner>,
    placements: ScopedIndexes<Placement>,
    policy_snapshots: ScopedIndexes<PolicySnapshot>,
    resource_snapshots: ScopedIndexes<ResourceSnapshot>,
    bindings: ScopedIndexes<Binding>,
    works: ScopedIndexes<Work>,
    with_finalizers: Arc<MembersWithFinalizers>,
    status_copies: ScopedIndexes<StatusCopy>,
    overrides: (Arc<Index<Override>>, Arc<Index<Override>>),
    override_snapshots: (Arc<Index<OverrideSnapshot>>, Arc<Index<OverrideSnapshot>>),
    snapshots_of_override: Arc<Groups<ObjectKey, OverrideSnapshot>>,
    all_override_snapshots: Arc<Roster<ObjectKey, OverrideSnapshot>>,
    members: Arc<Index<MemberObject>>,
    all_members: Arc<Roster<String, Member>>,
    internal_members: Arc<Index<Value>>,
    namespaces: Arc<Index<Value>>,
    roles: Arc<Index<Value>>,
    role_bindings: Arc<Index<Value>>,
}

/// One placement's part of the store.
pub struct Gathered {
    /// The placement, unless it is gone.
    pub placement: Option<Arc<Placement>>,
    /// All members by name.
    pub members: Arc<Vec<Arc<Member>>>,
    /// Its policy snapshots.
    pub policy_snapshots: Vec<Arc<PolicySnapshot>>,
    /// Its resource snapshots.
    pub resource_snapshots: Vec<Arc<ResourceSnapshot>>,
    /// Snapshots that cannot be read, with names as its own have.
    pub unreadable_snapshots: BTreeSet<Target>,
    /// Its bindings.
    pub bindings: Vec<Arc<Binding>>,
    /// Names of bindings in its namespace that cannot be read.
    pub unreadable_bindings: BTreeSet<String>,
    /// Its Works.
    pub works: Vec<Arc<Work>>,
    /// Works that cannot be read, with names like those of its own.
    pub unreadable_works: BTreeSet<Target>,
    /// Namespaces of members whose agent has put its finalizer on a Work.
    pub with_finalizers: Arc<BTreeSet<String>>,
    /// All override snapshots.
    pub overrides: Arc<Vec<Arc<OverrideSnapshot>>>,
    /// The copy of its status in the namespace that it selects.
    pub status_copy: Option<Arc<PlacementStatus>>,
}

/// A ClusterResourcePlacementStatus.
pub struct StatusCopy {
    /// Name of it and of its placement.
    pub name: String,
    /// Where it is.
    pub namespace: String,
    /// What it says.
    pub status: Arc<PlacementStatus>,
}

/// The objects of one member.
pub struct GatheredMember {
    /// The MemberCluster.
    pub member: Arc<MemberObject>,
    /// Its namespace.
    pub namespace: Option<Arc<Value>>,
    /// The Role in it.
    pub role: Option<Arc<Value>>,
    /// The RoleBinding in it.
    pub role_binding: Option<Arc<Value>>,
    /// The InternalMemberCluster in it.
    pub internal: Option<Arc<Value>>,
    /// Names of the Works in it that carry a finalizer.
    pub held_works: Vec<String>,
}

/// The objects of one override.
pub struct GatheredOverride {
    /// The override.
    pub over: Arc<Override>,
    /// Its snapshots.
    pub snapshots: Vec<Arc<OverrideSnapshot>>,
    /// Names of snapshots in its namespace that bindings use.
    pub in_use: BTreeSet<String>,
    /// Whether there is a ClusterResourcePlacement of the name that it gives.
    pub has_cluster_placement: bool,
    /// Namespaces in which there is a ResourcePlacement of that name, sorted.
    pub placement_namespaces: Vec<String>,
}

impl Store {
    /// Empty indexes that feed the queues; ResourcePlacements and their kin only if they are served.
    pub fn new(queues: &Arc<Queues>, namespaced: bool, clock: Clock) -> Self {
        build::store(queues, namespaced, clock)
    }

    /// All indexes by kind. Kinds that are written without being read have none.
    pub fn indexes(&self) -> BTreeMap<Resource, Arc<dyn AnyIndex>> {
        let mut all: BTreeMap<Resource, Arc<dyn AnyIndex>> = BTreeMap::new();
        self.placements.collect(&mut all);
        self.policy_snapshots.collect(&mut all);
        self.resource_snapshots.collect(&mut all);
        self.bindings.collect(&mut all);
        self.works.collect(&mut all);
        self.status_copies.collect(&mut all);
        all.insert(kinds::CLUSTER_RESOURCE_OVERRIDE, Arc::clone(&self.overrides.0) as _);
        all.insert(kinds::RESOURCE_OVERRIDE, Arc::clone(&self.overrides.1) as _);
        all.insert(
            kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT,
            Arc::clone(&self.override_snapshots.0) as _,
        );
        all.insert(
            kinds::RESOURCE_OVERRIDE_SNAPSHOT,
            Arc::clone(&self.override_snapshots.1) as _,
        );
        all.insert(kinds::MEMBER_CLUSTER, Arc::clone(&self.members) as _);
        all.insert(kinds::INTERNAL_MEMBER_CLUSTER, Arc::clone(&self.internal_members) as _);
        all.insert(kinds::NAMESPACE, Arc::clone(&self.namespaces) as _);
        all.insert(kinds::ROLE, Arc::clone(&self.roles) as _);
        all.insert(kinds::ROLE_BINDING, Arc::clone(&self.role_bindings) as _);
        all
    }

    /// Has answers to writes folded into all of its indexes.
    pub fn fold_into(&self, indexes: &Indexes) {
        for index in self.indexes().into_values() {
            indexes.add(index);
        }
    }

    /// Everything that belongs to a placement.
    pub fn gather(&self, key: &PlacementKey) -> Gathered {
        let placement = self.interest.placement(key);
        Gathered {
            status_copy: placement.as_ref().and_then(|placement| self.status_copy(placement)),
            placement,
            members: self.all_members.list(),
            policy_snapshots: self.policy_snapshots.groups.of(key),
            resource_snapshots: self.resource_snapshots.groups.of(key),
            unreadable_snapshots: self.unreadable_snapshots(key),
            bindings: self.bindings.groups.of(key),
            unreadable_bindings: self.bindings.unreadable(key.namespace.as_deref()),
            works: self.works.groups.of(key),
            unreadable_works: self.unreadable_works(key),
            with_finalizers: self.with_finalizers.list(),
            overrides: self.all_override_snapshots.list(),
        }
    }

    /// The copy of a placement's status; one of the same name in another namespace than the selected one is not ours.
    fn status_copy(&self, placement: &Placement) -> Option<Arc<PlacementStatus>> {
        let selected = placement.selected_namespace()?;
        let copies = self.status_copies.groups.of(&placement.key());
        copies
            .iter()
            .find(|copy| copy.namespace == selected)
            .map(|copy| Arc::clone(&copy.status))
    }

    /// One member.
    pub fn member(&self, name: &str) -> Option<Arc<Member>> {
        let member = self.members.get(&ObjectKey::cluster(name))?;
        Some(Arc::clone(&member.view))
    }

    /// How often a member is to send heartbeats.
    pub fn heartbeat_period(&self, name: &str) -> Duration {
        let key = ObjectKey::namespaced(&names::member_namespace(name), name);
        let internal = self.internal_members.get(&key);
        let seconds = internal.and_then(|object| object.pointer("/spec/heartbeatPeriodSeconds")?.as_u64());
        seconds.map_or(HEARTBEAT_PERIOD, Duration::from_secs)
    }

    /// Everything that belongs to a member.
    pub fn gather_member(&self, name: &str) -> Option<GatheredMember> {
        let member = self.members.get(&ObjectKey::cluster(name))?;
        let namespace = names::member_namespace(name);
        let inside = |name: &str| ObjectKey::namespaced(&namespace, name);
        let works = self.works.cluster.in_namespace(&namespace);
        let held = works
            .iter()
            .filter(|work| !work.meta.finalizers.is_empty())
            .map(|work| work.meta.name.clone());
        Some(GatheredMember {
            member,
            namespace: self.namespaces.get(&ObjectKey::cluster(&namespace)),
            role: self.roles.get(&inside(&names::member_role(name))),
            role_binding: self.role_bindings.get(&inside(&names::member_role_binding(name))),
            internal: self.internal_members.get(&inside(name)),
            held_works: held.collect(),
        })
    }

    /// Everything that belongs to an override.
    pub fn gather_override(&self, key: &ObjectKey) -> Option<GatheredOverride> {
        let index = if key.namespace.is_some() {
            &self.overrides.1
        } else {
            &self.overrides.0
        };
        let over = index.get(key)?;
        let snapshots = self.snapshots_of_override.of(key);
        let name = named::placement_of(&over).unwrap_or_default();
        let cluster = self.placements.cluster.get(&ObjectKey::cluster(name));
        let namespaced = self.placements.namespaced.iter().flat_map(|index| index.all());
        let mut placement_namespaces: Vec<String> = namespaced
            .filter(|placement| placement.meta.name == name)
            .filter_map(|placement| placement.meta.namespace.clone())
            .collect();
        placement_namespaces.sort();
        Some(GatheredOverride {
            has_cluster_placement: cluster.is_some(),
            placement_namespaces,
            over,
            snapshots,
            in_use: self.snapshots_in_use(key.namespace.as_deref()),
        })
    }

    /// Override snapshots of a namespace (or the cluster-scoped ones) that bindings name.
    fn snapshots_in_use(&self, namespace: Option<&str>) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for binding in self.bindings.everything() {
            match namespace {
                None => used.extend(binding.spec.cluster_resource_override_snapshots.iter().cloned()),
                Some(namespace) => {
                    let named = binding.spec.resource_override_snapshots.iter();
                    used.extend(named.filter(|n| n.namespace == namespace).map(|n| n.name.clone()));
                }
            }
        }
        used
    }
}

impl<T: Send + Sync + 'static> ScopedIndexes<T> {
    fn collect(&self, all: &mut BTreeMap<Resource, Arc<dyn AnyIndex>>) {
        all.insert(self.cluster.resource().clone(), Arc::clone(&self.cluster) as _);
        if let Some(index) = &self.namespaced {
            all.insert(index.resource().clone(), Arc::clone(index) as _);
        }
    }

    /// Names of the objects of a namespace (or the cluster-scoped ones) that cannot be read now.
    fn unreadable(&self, namespace: Option<&str>) -> BTreeSet<String> {
        let index = match namespace {
            None => Some(&self.cluster),
            Some(_) => self.namespaced.as_ref(),
        };
        let all = index.map(|index| index.unreadable()).unwrap_or_default();
        all.into_keys()
            .filter(|key| key.namespace.as_deref() == namespace)
            .map(|key| key.name)
            .collect()
    }

    fn everything(&self) -> impl Iterator<Item = Arc<T>> {
        let namespaced = self.namespaced.iter().flat_map(|index| index.all());
        self.cluster.all().into_iter().chain(namespaced.collect::<Vec<_>>())
    }
}
