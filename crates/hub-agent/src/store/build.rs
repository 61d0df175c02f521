//! Builds the indexes and says whose queue each change feeds (hub-behaviour 3.1, 4.2, 5.1, 7.1, all of which end in the
//! placement's one pass; 1.1 for members; 6.2 for overrides).

use std::fmt::Display;
use std::sync::Arc;

use api::kinds;
use api::names;
use api::placement::v1beta1::PlacementStatus;
use api::resource::Resource;
use api::text::labels;
use fairway_core::objects::{
    Binding, Interner, Member, Meta, OverrideKind, OverrideSnapshot, Placement, PlacementKey, PolicySnapshot,
    ResourceSnapshot, Work,
};
use fairway_core::overrides::snapshots::Override;
use kit::ObjectKey;
use kit::clock::Clock;
use kit::index::{Change, Index};
use serde_json::Value;

use super::named::NamedPlacements;
use super::{Groups, Interest, MemberObject, MembersWithFinalizers, Roster, ScopedIndexes, StatusCopy, Store};
use crate::metrics::controllers;
use crate::queues::Queues;

/// Makes a view of an object.
type Read<T> = fn(Value, &Interner) -> Result<T, String>;

/// Which of KubeFleet's watchers would be notified of a change: only counted.
type Notified<T> = fn(&Resource, &Change<T>) -> Vec<&'static str>;

pub(super) fn store(queues: &Arc<Queues>, namespaced: bool, clock: Clock) -> Store {
    let interest = Arc::new(Interest::default());
    let interner = Arc::new(Interner::default());
    let named = Arc::new(NamedPlacements::default());
    let builder = ScopedIndexesBuilder {
        queues,
        interner: &interner,
        namespaced,
    };
    let all_members = Arc::new(Roster::default());
    let with_finalizers = Arc::new(MembersWithFinalizers::default());
    let snapshots_of_override = Arc::new(Groups::default());
    let all_override_snapshots = Arc::new(Roster::default());
    let override_snapshots =
        |kind| override_snapshots(kind, queues, &interest, &snapshots_of_override, &all_override_snapshots);
    Store {
        placements: placements(queues, &interest, &named, namespaced),
        policy_snapshots: builder.of(
            (
                kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
                kinds::SCHEDULING_POLICY_SNAPSHOT,
            ),
            |value, _| text(PolicySnapshot::from_value(value)),
            |snapshot: &PolicySnapshot| parent(&snapshot.meta),
            notified_of_policy,
        ),
        resource_snapshots: builder.of(
            (kinds::CLUSTER_RESOURCE_SNAPSHOT, kinds::RESOURCE_SNAPSHOT),
            |value, interner| {
                let mut snapshot = text(ResourceSnapshot::from_value(value))?;
                snapshot.intern(interner);
                Ok(snapshot)
            },
            |snapshot: &ResourceSnapshot| parent(&snapshot.meta),
            |_, _| Vec::new(),
        ),
        bindings: builder.of(
            (kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING),
            |value, _| text(Binding::from_value(value)),
            |binding: &Binding| parent(&binding.meta),
            notified_of_binding,
        ),
        works: works(&builder, &with_finalizers),
        with_finalizers,
        status_copies: ScopedIndexesBuilder {
            namespaced: false,
            ..builder
        }
        .of(
            (
                kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS,
                kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS,
            ),
            |value, _| read_status_copy(value),
            |copy: &StatusCopy| Some(PlacementKey::cluster(&copy.name)),
            |_, change| {
                change
                    .new
                    .is_none()
                    .then_some(controllers::STATUS_COPY_WATCHER)
                    .into_iter()
                    .collect()
            },
        ),
        overrides: (
            overrides(kinds::CLUSTER_RESOURCE_OVERRIDE, queues, &named),
            overrides(kinds::RESOURCE_OVERRIDE, queues, &named),
        ),
        override_snapshots: (
            override_snapshots(kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT),
            override_snapshots(kinds::RESOURCE_OVERRIDE_SNAPSHOT),
        ),
        members: members(queues, &interest, &all_members, clock),
        internal_members: whole(kinds::INTERNAL_MEMBER_CLUSTER, queues, clock),
        namespaces: whole(kinds::NAMESPACE, queues, clock),
        roles: whole(kinds::ROLE, queues, clock),
        role_bindings: whole(kinds::ROLE_BINDING, queues, clock),
        interest,
        interner,
        snapshots_of_override,
        all_override_snapshots,
        all_members,
    }
}

/// What indexes grouped by placement have in common.
#[derive(Clone, Copy)]
struct ScopedIndexesBuilder<'a> {
    queues: &'a Arc<Queues>,
    interner: &'a Arc<Interner>,
    namespaced: bool,
}

impl ScopedIndexesBuilder<'_> {
    fn of<T: Send + Sync + 'static>(
        &self,
        kinds: (Resource, Resource),
        read: Read<T>,
        owner: fn(&T) -> Option<PlacementKey>,
        notified: Notified<T>,
    ) -> ScopedIndexes<T> {
        let groups = Arc::new(Groups::default());
        let index = |kind| self.index(kind, read, owner, notified, &groups, |_| {});
        ScopedIndexes {
            cluster: index(kinds.0),
            namespaced: self.namespaced.then(|| index(kinds.1)),
            groups,
        }
    }

    /// `also` is called with each change before queues are notified.
    fn index<T: Send + Sync + 'static>(
        &self,
        kind: Resource,
        read: Read<T>,
        owner: fn(&T) -> Option<PlacementKey>,
        notified: Notified<T>,
        groups: &Arc<Groups<PlacementKey, T>>,
        also: impl Fn(&Change<T>) + Send + Sync + 'static,
    ) -> Arc<Index<T>> {
        let (queues, groups, interner) = (Arc::clone(self.queues), Arc::clone(groups), Arc::clone(self.interner));
        Index::builder(kind.clone(), move |value| read(value, &interner).map(Some))
            .on_change(move |change: &Change<T>| {
                groups.apply(change, owner);
                also(change);
                queues.watched(&notified(&kind, change), || {
                    let sides = [&change.old, &change.new].into_iter().flatten();
                    queues
                        .placements
                        .changed(&kind, change, sides.filter_map(|item| owner(item)));
                });
            })
            .build()
    }
}

fn works(builder: &ScopedIndexesBuilder<'_>, with_finalizers: &Arc<MembersWithFinalizers>) -> ScopedIndexes<Work> {
    let (groups, with_finalizers) = (Arc::default(), Arc::clone(with_finalizers));
    let read: Read<Work> = |value, _| text(Work::from_value(value));
    let also = move |change: &Change<Work>| with_finalizers.apply(change);
    ScopedIndexes {
        cluster: builder.index(kinds::WORK, read, Work::placement, |_, _| Vec::new(), &groups, also),
        namespaced: None,
        groups,
    }
}

fn placements(
    queues: &Arc<Queues>,
    interest: &Arc<Interest>,
    named: &Arc<NamedPlacements>,
    namespaced: bool,
) -> ScopedIndexes<Placement> {
    let build = |kind: Resource| {
        let (queues, interest, named) = (Arc::clone(queues), Arc::clone(interest), Arc::clone(named));
        Index::builder(kind.clone(), |value| text(Placement::from_value(value)).map(Some))
            .on_change(move |change: &Change<Placement>| {
                let key = PlacementKey {
                    namespace: change.key.namespace.clone(),
                    name: change.key.name.clone(),
                };
                interest.set(&key, change.new.as_ref());
                // Overrides warn of placements that do not exist.
                if change.old.is_some() != change.new.is_some() {
                    named
                        .of(&key.name)
                        .into_iter()
                        .for_each(|over| queues.overrides.add(over));
                }
                queues.watched(&notified_of_placement(&kind, change), || {
                    queues.placements.changed(&kind, change, [key]);
                });
            })
            .build()
    };
    ScopedIndexes {
        cluster: build(kinds::CLUSTER_RESOURCE_PLACEMENT),
        namespaced: namespaced.then(|| build(kinds::RESOURCE_PLACEMENT)),
        groups: Arc::default(),
    }
}

/// The placement controller is notified of new generations and of the end, the scheduler of deletions.
fn notified_of_placement(kind: &Resource, change: &Change<Placement>) -> Vec<&'static str> {
    let generation = |placement: &Option<Arc<Placement>>| placement.as_ref().map(|p| p.meta.generation);
    let is_deleting = change.new.as_ref().is_some_and(|p| p.meta.is_deleting());
    notified(kind, generation(&change.old) != generation(&change.new), is_deleting)
}

/// The placement controller is notified of updates, the scheduler of all but the end.
fn notified_of_policy(kind: &Resource, change: &Change<PolicySnapshot>) -> Vec<&'static str> {
    let is_there = change.new.is_some();
    notified(kind, is_there && change.old.is_some(), is_there)
}

/// The placement controller is notified of updates while the binding stays, the scheduler once it is to go.
fn notified_of_binding(kind: &Resource, change: &Change<Binding>) -> Vec<&'static str> {
    let Some(new) = &change.new else { return Vec::new() };
    let is_deleting = new.meta.is_deleting();
    notified(kind, change.old.is_some() && !is_deleting, is_deleting)
}

fn notified(kind: &Resource, by_placement: bool, by_scheduler: bool) -> Vec<&'static str> {
    let Some(watchers) = controllers::of_kind(kind) else {
        return Vec::new();
    };
    let all = [(by_placement, watchers.placement), (by_scheduler, watchers.scheduler)];
    all.into_iter()
        .filter(|(is_notified, _)| *is_notified)
        .map(|(_, name)| name)
        .collect()
}

fn overrides(kind: Resource, queues: &Arc<Queues>, named: &Arc<NamedPlacements>) -> Arc<Index<Override>> {
    let (queues, named, reads) = (Arc::clone(queues), Arc::clone(named), kind.clone());
    Index::builder(kind.clone(), move |value| read_override(&reads, value).map(Some))
        .on_change(move |change: &Change<Override>| {
            named.set(&change.key, change.old.as_deref(), change.new.as_deref());
            queues.overrides.changed(&kind, change, [change.key.clone()]);
        })
        .build()
}

fn override_snapshots(
    kind: Resource,
    queues: &Arc<Queues>,
    interest: &Arc<Interest>,
    groups: &Arc<Groups<ObjectKey, OverrideSnapshot>>,
    roster: &Arc<Roster<ObjectKey, OverrideSnapshot>>,
) -> Arc<Index<OverrideSnapshot>> {
    let (queues, interest) = (Arc::clone(queues), Arc::clone(interest));
    let (groups, roster) = (Arc::clone(groups), Arc::clone(roster));
    let parent =
        |snapshot: &OverrideSnapshot| Some(ObjectKey::new(snapshot.meta.namespace.as_deref(), snapshot.parent()?));
    Index::builder(kind.clone(), |value| {
        text(OverrideSnapshot::from_value(value)).map(Some)
    })
    .on_change(move |change: &Change<OverrideSnapshot>| {
        groups.apply(change, parent);
        roster.set(change.key.clone(), change.new.clone());
        let sides = || [&change.old, &change.new].into_iter().flatten();
        // Placements never write these, so whoever did: it concerns them.
        sides()
            .flat_map(|snapshot| interest.in_override(snapshot))
            .for_each(|key| queues.placements.add(key));
        queues
            .overrides
            .changed(&kind, change, sides().filter_map(|snapshot| parent(snapshot)));
    })
    .build()
}

fn members(
    queues: &Arc<Queues>,
    interest: &Arc<Interest>,
    roster: &Arc<Roster<String, Member>>,
    clock: Clock,
) -> Arc<Index<MemberObject>> {
    let (queues, interest, roster) = (Arc::clone(queues), Arc::clone(interest), Arc::clone(roster));
    let read = |value: Value| {
        let view = Arc::new(text(Member::from_value(value.clone()))?);
        Ok(Some(MemberObject { value, view }))
    };
    Index::builder(kinds::MEMBER_CLUSTER, read)
        .on_change(move |change: &Change<MemberObject>| {
            let [old, new] = [&change.old, &change.new].map(|side| side.as_ref().map(|member| &member.view));
            roster.set(change.key.name.clone(), new.cloned());
            let standing = |member: Option<&Arc<Member>>| member.map(|member| member.meta.is_deleting());
            if standing(old) != standing(new) {
                // Without a receiver nothing is lost: a later one reads the state first.
                let _ = queues.membership.send(change.key.name.clone());
            }
            // Placements never write members, so whoever did: it concerns them.
            let concerned = interest.in_member(old.map(|m| &**m), new.map(|m| &**m), clock.now());
            if new.is_none() || !concerned.is_empty() {
                queues.watched(&[controllers::MEMBER_WATCHER], || {
                    concerned.into_iter().for_each(|key| queues.placements.add(key));
                });
            }
            queues
                .members
                .changed(&kinds::MEMBER_CLUSTER, change, [change.key.name.clone()]);
        })
        .build()
}

/// Whole objects in (or being) the namespaces of members.
fn whole(kind: Resource, queues: &Arc<Queues>, clock: Clock) -> Arc<Index<Value>> {
    let queues = Arc::clone(queues);
    let keeps = kind.clone();
    let keep = move |value: Value| {
        let member = member_of(&ObjectKey::of(&value)).map(str::to_owned);
        let name = value
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let ours = member.is_some_and(|member| match &*keeps.kind {
            "Role" => name == names::member_role(&member),
            "RoleBinding" => name == names::member_role_binding(&member),
            _ => true,
        });
        Ok(ours.then_some(value))
    };
    Index::builder(kind.clone(), keep)
        .on_change(move |change: &Change<Value>| {
            let Some(member) = member_of(&change.key) else { return };
            if kind == kinds::ROLE || kind == kinds::ROLE_BINDING {
                // Without a receiver nothing is lost: a later one reads the state first.
                let _ = queues.rights.send(member.to_owned());
            }
            if has_new_heartbeat(change) {
                queues.presence.heartbeat(member, clock.now());
            }
            queues.members.changed(&kind, change, [member.to_owned()]);
        })
        .build()
}

/// Whether an agent of the member has written another heartbeat; the first one that is seen may be old.
fn has_new_heartbeat(change: &Change<Value>) -> bool {
    let heartbeats = |object: &Option<Arc<Value>>| -> Option<Vec<Value>> {
        let agents = object.as_ref()?.pointer("/status/agentStatus")?.as_array()?;
        Some(
            agents
                .iter()
                .map(|agent| agent["lastReceivedHeartbeat"].clone())
                .collect(),
        )
    };
    let (old, new) = (heartbeats(&change.old), heartbeats(&change.new));
    old.is_some() && new.is_some() && old != new
}

/// The member that a namespace, or an object in it, belongs to.
fn member_of(key: &ObjectKey) -> Option<&str> {
    names::member_of_namespace(key.namespace.as_deref().unwrap_or(&key.name))
}

/// The placement that a snapshot or binding belongs to.
fn parent(meta: &Meta) -> Option<PlacementKey> {
    let name = meta.label(labels::PARENT_PLACEMENT)?.to_owned();
    Some(PlacementKey {
        namespace: meta.namespace.clone(),
        name,
    })
}

fn read_status_copy(mut value: Value) -> Result<StatusCopy, String> {
    let key = ObjectKey::of(&value);
    let status = value.get_mut("sourceStatus").map(Value::take).unwrap_or_default();
    let status: Option<PlacementStatus> = text(serde_json::from_value(status))?;
    let namespace = key.namespace.unwrap_or_default();
    Ok(StatusCopy {
        name: key.name,
        namespace,
        status: Arc::new(status.unwrap_or_default()),
    })
}

fn read_override(kind: &Resource, mut value: Value) -> Result<Override, String> {
    let spec = value.get_mut("spec").map(Value::take).unwrap_or_default();
    let meta: Meta = text(serde_json::from_value(
        value.get_mut("metadata").map(Value::take).unwrap_or_default(),
    ))?;
    let what = if kind.namespaced {
        OverrideKind::Namespaced(text(serde_json::from_value(spec.clone()))?)
    } else {
        OverrideKind::Cluster(text(serde_json::from_value(spec.clone()))?)
    };
    Ok(Override { meta, kind: what, spec })
}

fn text<T, E: Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::backoff::Backoff;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_member_that_begins_to_leave_is_announced() {
        let queues = Arc::new(Queues::new(Backoff::new(
            Duration::from_millis(5),
            Duration::from_secs(1),
        )));
        let indexes = store(&queues, false, Clock::System).indexes();
        let mut membership = queues.membership.subscribe();
        let mut announced = |version: &str, metadata: Value| {
            let mut object = json!({"metadata": {"name": "m1", "uid": "u", "resourceVersion": version}, "spec": {
                "identity": {"kind": "User", "name": "m1-agent"}}});
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .extend(metadata.as_object().unwrap().clone());
            indexes[&kinds::MEMBER_CLUSTER].fold(object).unwrap();
            membership.try_recv().ok()
        };
        assert_eq!(announced("1", json!({})).as_deref(), Some("m1"));
        assert_eq!(announced("2", json!({"labels": {"tier": "a"}})), None);
        let leaves = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"]});
        assert_eq!(announced("3", leaves).as_deref(), Some("m1"));
    }

    #[test]
    fn a_heartbeat_of_a_silent_member_is_noticed() {
        let queues = Arc::new(Queues::new(Backoff::new(
            Duration::from_millis(5),
            Duration::from_secs(1),
        )));
        let indexes = store(&queues, false, Clock::System).indexes();
        queues.presence.silenced("m1", jiff::Timestamp::UNIX_EPOCH);
        let beat = |version: &str, heartbeat: &str| {
            let object = json!({
                "metadata": {"name": "m1", "namespace": "fleet-member-m1", "uid": "u", "resourceVersion": version},
                "status": {"agentStatus": [{"type": "MemberAgent", "lastReceivedHeartbeat": heartbeat}]},
            });
            indexes[&kinds::INTERNAL_MEMBER_CLUSTER].fold(object).unwrap();
            queues.presence.silence("m1").unwrap().heartbeat.is_some()
        };
        assert!(!beat("1", "2026-01-01T00:00:00Z"), "it may be from before");
        assert!(!beat("2", "2026-01-01T00:00:00Z"));
        assert!(beat("3", "2026-01-01T00:00:15Z"));
    }

    #[test]
    fn a_changed_role_or_binding_of_a_member_is_announced() {
        let queues = Arc::new(Queues::new(Backoff::new(
            Duration::from_millis(5),
            Duration::from_secs(1),
        )));
        let indexes = store(&queues, false, Clock::System).indexes();
        let mut rights = queues.rights.subscribe();
        let object = |name: String| json!({"metadata": {"name": name, "namespace": "fleet-member-m1", "uid": "u", "resourceVersion": "1"}});
        for (kind, name, announced) in [
            (kinds::ROLE_BINDING, names::member_role_binding("m1"), true),
            (kinds::ROLE, names::member_role("m1"), true),
            (kinds::ROLE, "another".to_owned(), false),
            (kinds::INTERNAL_MEMBER_CLUSTER, "m1".to_owned(), false),
        ] {
            indexes[&kind].fold(object(name.clone())).unwrap();
            let notified = rights.try_recv().ok();
            assert_eq!(notified.as_deref(), announced.then_some("m1"), "{kind:?} {name}");
        }
    }
}
