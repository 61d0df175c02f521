//! Bindings, Works and snapshots that cannot be read: their placements say so, and are worked on again when that changes.

use std::collections::BTreeSet;

use api::{kinds, names};
use fairway_core::effects::Target;
use fairway_core::objects::PlacementKey;
use kit::ObjectKey;

use super::Store;
use crate::queues::Queues;

impl Store {
    /// Queues the placements whose bindings become unreadable, or readable again, for as long as it is polled.
    pub async fn follow_unreadable_bindings(&self, queues: &Queues) {
        let mut cluster = self.bindings.cluster.unreadable_changes();
        let mut namespaced = self
            .bindings
            .namespaced
            .as_ref()
            .map(|index| index.unreadable_changes());
        let mut known = BTreeSet::new();
        loop {
            let now = self.unreadable_bindings();
            for key in known.symmetric_difference(&now) {
                self.placements_of(key)
                    .into_iter()
                    .for_each(|placement| queues.placements.add(placement));
            }
            known = now;
            let in_namespaces = async {
                match &mut namespaced {
                    Some(changes) => changes.changed().await,
                    None => std::future::pending().await,
                }
            };
            // The senders live as long as the indexes, which this borrows.
            let changed = tokio::select! {
                changed = cluster.changed() => changed,
                changed = in_namespaces => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Works that may be the placement's, by the form of their names: what they say themselves cannot be read.
    pub(super) fn unreadable_works(&self, placement: &PlacementKey) -> BTreeSet<Target> {
        let PlacementKey { namespace, name } = placement;
        let unreadable = self.works.cluster.unreadable().into_keys();
        unreadable
            .filter(|work| names::begins_work(namespace.as_deref(), name, &work.name))
            .map(|work| Target::new(kinds::WORK, work.namespace.as_deref(), &work.name))
            .collect()
    }

    /// Snapshots that are the placement's by the form of their names.
    pub(super) fn unreadable_snapshots(&self, placement: &PlacementKey) -> BTreeSet<Target> {
        let namespace = placement.namespace.as_deref();
        let policies = self.policy_snapshots.unreadable(namespace).into_iter();
        let policies = policies
            .filter(|name| names::policy_snapshot_index(&placement.name, name).is_some())
            .map(|name| {
                let kind = placement.pick(
                    kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
                    kinds::SCHEDULING_POLICY_SNAPSHOT,
                );
                Target::new(kind, namespace, &name)
            });
        let resources = self.resource_snapshots.unreadable(namespace).into_iter();
        let resources = resources
            .filter(|name| names::resource_snapshot_index(&placement.name, name).is_some())
            .map(|name| {
                let kind = placement.pick(kinds::CLUSTER_RESOURCE_SNAPSHOT, kinds::RESOURCE_SNAPSHOT);
                Target::new(kind, namespace, &name)
            });
        policies.chain(resources).collect()
    }

    fn unreadable_bindings(&self) -> BTreeSet<ObjectKey> {
        let namespaced = self.bindings.namespaced.iter().flat_map(|index| index.unreadable());
        let all = self.bindings.cluster.unreadable().into_iter().chain(namespaced);
        all.map(|(key, _)| key).collect()
    }

    /// The placements that a binding may belong to, by the form of its name: what it says itself cannot be read.
    fn placements_of(&self, binding: &ObjectKey) -> Vec<PlacementKey> {
        let placements = match (&binding.namespace, &self.placements.namespaced) {
            (None, _) => self.placements.cluster.all(),
            (Some(namespace), Some(index)) => index.in_namespace(namespace),
            (Some(_), None) => Vec::new(),
        };
        let of_name = placements
            .iter()
            .filter(|placement| names::begins_binding(&placement.meta.name, &binding.name));
        of_name.map(|placement| placement.key()).collect()
    }
}
