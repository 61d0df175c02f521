//! A tiny model of the hub's API server and of member agents, enough to run the planner against its own writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::placement::v1beta1::PlacementStatus;
use api::resource::Resource;
use fairway_core::effects::{Target, Write};
use fairway_core::objects::{
    Binding, Member, OverrideSnapshot, Placement, PlacementKey, PolicySnapshot, ResourceSnapshot, Work,
};
use fairway_core::placement::recording::Recording;
use fairway_core::placement::{Moment, Pass, Settings, Slice, Trace, explain, plan, plan_observed};
use fairway_core::render::Refusals;
use fairway_core::select::take_in;
use fairway_core::select::{Api, ApiKey, ResourceView, Selectable};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// The hub: stored objects, a clock, and what was written.
pub struct Hub {
    pub key: PlacementKey,
    pub objects: BTreeMap<Target, Value>,
    pub index: Index,
    pub members: Vec<Arc<Member>>,
    joined: Vec<Value>,
    pub settings: Settings,
    pub now: Timestamp,
    pub log: Vec<Write>,
    pub events: Vec<&'static str>,
    withheld_since: Option<Timestamp>,
    pub others_awaited: usize,
    pub unreadable_bindings: BTreeSet<String>,
    pub unreadable_works: BTreeSet<Target>,
    pub unreadable_snapshots: BTreeSet<Target>,
    pub refused: Refusals,
    pub members_with_finalizers: BTreeSet<String>,
    version: u64,
    nonce: u64,
}

/// Objects that may be selected.
#[derive(Default)]
pub struct Index {
    objects: BTreeMap<ApiKey, BTreeMap<(String, String), Arc<Selectable>>>,
    pub unsynced: Option<String>,
    /// The objects as users wrote them.
    raw: BTreeMap<String, Value>,
}

pub fn t0() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

impl Hub {
    pub fn new(members: &[&str]) -> Self {
        let mut settings = Settings {
            progress_grace: Duration::ZERO,
            ..Settings::default()
        };
        settings.snapshot_collection = Duration::ZERO;
        settings.snapshot_minimum_interval = Duration::ZERO;
        let mut index = Index::default();
        index.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app"}}));
        index.put(config_map("one", "1"));
        Self {
            key: PlacementKey::cluster("web"),
            objects: BTreeMap::new(),
            index,
            joined: Vec::new(),
            members: members.iter().map(|name| member(name, json!({}))).collect(),
            settings,
            now: t0(),
            log: Vec::new(),
            events: Vec::new(),
            withheld_since: None,
            others_awaited: 0,
            unreadable_bindings: BTreeSet::new(),
            unreadable_works: BTreeSet::new(),
            unreadable_snapshots: BTreeSet::new(),
            refused: Refusals::new(),
            members_with_finalizers: BTreeSet::new(),
            version: 0,
            nonce: 0,
        }
    }

    /// A user creates or replaces the placement.
    pub fn place(&mut self, spec: Value) {
        let target = self
            .key
            .target(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT);
        match self.objects.get_mut(&target) {
            None => {
                let mut object = json!({"metadata": {"name": self.key.name}, "spec": spec});
                if let Some(namespace) = &self.key.namespace {
                    object["metadata"]["namespace"] = json!(namespace);
                }
                self.apply(&Write::Create { target, object }).unwrap();
            }
            Some(object) => {
                if object["spec"] != spec {
                    object["spec"] = spec;
                    let generation = object["metadata"]["generation"].as_i64().unwrap();
                    object["metadata"]["generation"] = json!(generation + 1);
                    self.touch(&target);
                }
            }
        }
        self.log.clear();
    }

    /// A user deletes the placement.
    pub fn delete_placement(&mut self) {
        let target = self
            .key
            .target(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT);
        self.apply(&Write::Delete { target, uid: None }).unwrap();
        self.log.clear();
    }

    pub fn put(&mut self, target: Target, object: Value) {
        self.apply(&Write::Create { target, object }).unwrap();
    }

    /// A member joins; it is part of [`Hub::dump`].
    pub fn join(&mut self, member: Value) {
        self.members.push(Arc::new(Member::from_value(member.clone()).unwrap()));
        self.joined.push(member);
    }

    /// A snapshot of a ResourceOverride appears.
    pub fn override_snapshot(&mut self, object: Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let target = Target::new(
            kinds::RESOURCE_OVERRIDE_SNAPSHOT,
            Some(&text("/metadata/namespace")),
            &text("/metadata/name"),
        );
        self.put(target, object);
    }

    /// Everything on the hub, as `kubectl get -o json` prints it. Members are those that have joined.
    pub fn dump(&self) -> Vec<Value> {
        let stored = self.objects.iter().map(|(target, object)| {
            let mut object = object.clone();
            object["apiVersion"] = json!(target.resource.api_version());
            object["kind"] = json!(target.resource.kind);
            object
        });
        let mut all: Vec<Value> = stored.chain(self.joined.clone()).collect();
        all.extend(self.index.raw.values().cloned());
        all
    }

    /// Plans once, and says why.
    pub fn explain(&self) -> (Pass, Trace) {
        self.with_slice(|slice| explain(slice, &self.settings, self.now, self.nonce))
    }

    /// Plans once, and records what the pass went by.
    pub fn record(&self) -> (Pass, Recording) {
        self.with_slice(|slice| Recording::of(slice, &self.settings, self.now, self.nonce))
    }

    /// Plans once.
    pub fn plan(&self) -> Pass {
        self.with_slice(|slice| plan(slice, &self.settings, self.now, self.nonce))
    }

    /// Plans once, and answers the moments that whoever measures the pass sees.
    pub fn moments(&self) -> (Pass, Vec<Moment>) {
        let mut seen = Vec::new();
        let mut observe = |moment| seen.push(moment);
        let pass = self.with_slice(|slice| plan_observed(slice, &self.settings, self.now, self.nonce, &mut observe));
        (pass, seen)
    }

    pub fn with_slice<T>(&self, f: impl FnOnce(&Slice<'_>) -> T) -> T {
        let key = &self.key;
        let overrides = self.all(
            &[
                kinds::CLUSTER_RESOURCE_OVERRIDE_SNAPSHOT,
                kinds::RESOURCE_OVERRIDE_SNAPSHOT,
            ],
            OverrideSnapshot::from_value,
        );
        f(&Slice {
            key,
            placement: self
                .all(
                    &[key.pick(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT)],
                    Placement::from_value,
                )
                .pop(),
            members: &self.members,
            policy_snapshots: self.all(
                &[key.pick(
                    kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
                    kinds::SCHEDULING_POLICY_SNAPSHOT,
                )],
                PolicySnapshot::from_value,
            ),
            resource_snapshots: self.all(
                &[key.pick(kinds::CLUSTER_RESOURCE_SNAPSHOT, kinds::RESOURCE_SNAPSHOT)],
                ResourceSnapshot::from_value,
            ),
            bindings: self.all(
                &[key.pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING)],
                Binding::from_value,
            ),
            unreadable_bindings: &self.unreadable_bindings,
            unreadable_works: &self.unreadable_works,
            unreadable_snapshots: &self.unreadable_snapshots,
            works: self.all(&[kinds::WORK], Work::from_value),
            members_with_finalizers: &self.members_with_finalizers,
            overrides: &overrides,
            resources: &self.index,
            status_copy: self.status_copy(),
            refused: &self.refused,
            withheld_since: self.withheld_since,
            others_awaited: self.others_awaited,
        })
    }

    /// The copy of the status in the namespace that the placement selects.
    fn status_copy(&self) -> Option<Arc<PlacementStatus>> {
        let selected = self
            .placement_or_none()?
            .pointer("/spec/resourceSelectors/0/name")?
            .as_str()?;
        let target = Target::new(kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS, Some(selected), &self.key.name);
        let copy = self.objects.get(&target)?;
        Some(Arc::new(serde_json::from_value(copy["sourceStatus"].clone()).unwrap()))
    }

    /// Plans and executes, as the shell does. Returns the pass.
    pub fn pass(&mut self) -> Pass {
        let pass = self.plan();
        self.nonce += 1;
        self.withheld_since = if pass.facts.withheld {
            self.withheld_since.or(Some(self.now))
        } else {
            None
        };
        for write in pass.writes() {
            self.apply(write).unwrap_or_else(|err| panic!("{err}: {write:?}"));
        }
        self.events.extend(pass.events.iter().map(|event| event.reason));
        pass
    }

    /// Plans and executes. One pass answers everything: the next one has nothing to write. Returns that one.
    pub fn settle(&mut self) -> Pass {
        self.pass();
        let next = self.plan();
        let left: Vec<&Write> = next.writes().collect();
        assert!(left.is_empty(), "the pass has left something to do: {left:#?}");
        next
    }

    pub fn wait(&mut self, time: Duration) {
        self.now = self.now.checked_add(SignedDuration::try_from(time).unwrap()).unwrap();
    }

    /// All Works on the hub.
    pub fn works(&self) -> Vec<Target> {
        let works = self.objects.keys().filter(|target| target.resource == kinds::WORK);
        works.cloned().collect()
    }

    /// All members with a new Work generation answer.
    pub fn answer(&mut self, applied: bool, available: Option<&str>) {
        for target in self.works() {
            self.answer_work(&target, applied, available);
        }
    }

    /// One member answers about one Work; `available` is the reason of Available, False when it names a failure.
    pub fn answer_work(&mut self, target: &Target, applied: bool, available: Option<&str>) {
        let now = self.now.to_string();
        let Some(work) = self.objects.get_mut(target) else {
            return;
        };
        let generation = work["metadata"]["generation"].clone();
        let condition = |type_: &str, holds: bool, reason: &str| {
            json!({"type": type_, "status": if holds { "True" } else { "False" }, "reason": reason, "message": "",
                   "observedGeneration": generation, "lastTransitionTime": now})
        };
        let mut conditions = vec![condition(
            "Applied",
            applied,
            if applied {
                "AllManifestsApplied"
            } else {
                "SomeManifestsAreNotApplied"
            },
        )];
        if let Some(reason) = available {
            conditions.push(condition("Available", reason != "SomeManifestsAreNotAvailable", reason));
        }
        work["status"] = json!({ "conditions": conditions });
        self.touch(target);
    }

    /// Members finish the deletion of Works.
    pub fn finish_works(&mut self) {
        self.objects.retain(|target, object| {
            target.resource != kinds::WORK || object.pointer("/metadata/deletionTimestamp").is_none()
        });
    }

    pub fn get(&self, kind: Resource, name: &str) -> Option<&Value> {
        self.objects
            .iter()
            .find(|(t, _)| t.resource == kind && t.name == name)
            .map(|(_, v)| v)
    }

    pub fn placement(&self) -> &Value {
        self.placement_or_none().expect("the placement exists")
    }

    fn placement_or_none(&self) -> Option<&Value> {
        self.objects.get(
            &self
                .key
                .target(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT),
        )
    }

    pub fn count(&self, kind: Resource) -> usize {
        self.objects.keys().filter(|t| t.resource == kind).count()
    }

    /// The binding of a cluster.
    pub fn binding(&self, cluster: &str) -> Option<&Value> {
        let mut bindings = self.objects.iter().filter(|(t, v)| {
            t.resource == self.key.pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING)
                && v["spec"]["targetCluster"] == json!(cluster)
        });
        bindings.next().map(|(_, v)| v)
    }

    /// Status and reason of a condition of the placement, type without prefix.
    pub fn condition(&self, type_: &str) -> Option<(String, String)> {
        let prefix = if self.key.namespace.is_some() {
            "ResourcePlacement"
        } else {
            "ClusterResourcePlacement"
        };
        let full = format!("{prefix}{type_}");
        find_condition(self.placement(), &full)
    }

    fn all<T>(
        &self,
        kinds: &[Resource],
        read: impl Fn(Value) -> Result<T, fairway_core::objects::DecodeError>,
    ) -> Vec<Arc<T>> {
        let objects = self
            .objects
            .iter()
            .filter(|(target, _)| kinds.contains(&target.resource));
        objects
            .map(|(_, value)| Arc::new(read(value.clone()).unwrap()))
            .collect()
    }

    fn touch(&mut self, target: &Target) {
        self.version += 1;
        let version = self.version.to_string();
        if let Some(object) = self.objects.get_mut(target) {
            object["metadata"]["resourceVersion"] = json!(version);
        }
    }

    /// What the API server does with a write.
    pub fn apply(&mut self, write: &Write) -> Result<(), String> {
        self.log.push(write.clone());
        match write {
            Write::Create { target, object } => self.create(target, object.clone()),
            Write::MergePatch {
                target,
                body,
                status,
                resource_version,
            } => self.patch(target, body, *status, resource_version.as_deref()),
            Write::ReplaceStatus { .. } => Err("no object of the hub's own".to_owned()),
            Write::Delete { target, .. } => {
                let now = self.now.to_string();
                let Some(object) = self.objects.get_mut(target) else {
                    return Ok(());
                };
                let held = object["metadata"]["finalizers"]
                    .as_array()
                    .is_some_and(|f| !f.is_empty());
                if held {
                    object["metadata"]["deletionTimestamp"] = json!(now);
                    self.touch(target);
                } else {
                    self.objects.remove(target);
                }
                Ok(())
            }
        }
    }

    fn create(&mut self, target: &Target, mut object: Value) -> Result<(), String> {
        if self.objects.contains_key(target) {
            return Err("AlreadyExists".to_owned());
        }
        self.version += 1;
        let meta = object["metadata"].as_object_mut().ok_or("no metadata")?;
        meta.insert("uid".to_owned(), json!(format!("uid-{}", self.version)));
        meta.insert("generation".to_owned(), json!(1));
        meta.insert("creationTimestamp".to_owned(), json!(self.now.to_string()));
        meta.insert("resourceVersion".to_owned(), json!(self.version.to_string()));
        if target.resource == kinds::WORK {
            meta.insert("finalizers".to_owned(), json!(["kubernetes-fleet.io/work-cleanup"]));
        }
        self.objects.insert(target.clone(), object);
        Ok(())
    }

    fn patch(&mut self, target: &Target, body: &Value, status: bool, version: Option<&str>) -> Result<(), String> {
        let Some(object) = self.objects.get_mut(target) else {
            return if version.is_some() {
                Err("Conflict: gone".to_owned())
            } else {
                Ok(())
            };
        };
        if version.is_some_and(|version| object["metadata"]["resourceVersion"] != json!(version)) {
            return Err("Conflict".to_owned());
        }
        let before = object.clone();
        let keys: Vec<&String> = body.as_object().ok_or("no object")?.keys().collect();
        assert_eq!(status, keys == ["status"], "status and spec are written apart: {body}");
        merge(object, body);
        assert_ne!(*object, before, "a patch that changes nothing: {body}");
        if object["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap();
            object["metadata"]["generation"] = json!(generation + 1);
        }
        let gone = object.pointer("/metadata/deletionTimestamp").is_some()
            && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if gone {
            self.objects.remove(target);
        } else {
            self.touch(target);
        }
        Ok(())
    }
}

pub fn find_condition(object: &Value, type_: &str) -> Option<(String, String)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|c| c["type"] == json!(type_))?;
    assert_eq!(
        found["observedGeneration"], object["metadata"]["generation"],
        "{type_} is stale"
    );
    Some((
        found["status"].as_str()?.to_owned(),
        found["reason"].as_str()?.to_owned(),
    ))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A member that is joined and healthy for all time.
pub fn member(name: &str, labels: Value) -> Arc<Member> {
    member_with(name, labels, json!({}), "2036-01-01T00:00:00Z")
}

pub fn member_with(name: &str, labels: Value, spec: Value, heartbeat: &str) -> Arc<Member> {
    Arc::new(Member::from_value(member_value(name, labels, spec, heartbeat)).unwrap())
}

/// The MemberCluster of [`member_with`].
pub fn member_value(name: &str, labels: Value, spec: Value, heartbeat: &str) -> Value {
    let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2025-01-01T00:00:00Z"});
    json!({
        "apiVersion": "cluster.kubernetes-fleet.io/v1beta1", "kind": "MemberCluster",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels},
        "spec": spec,
        "status": {"agentStatus": [{"type": "MemberAgent", "lastReceivedHeartbeat": heartbeat,
            "conditions": [condition("Joined"), condition("Healthy")]}]},
    })
}

pub fn config_map(name: &str, content: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "app"}, "data": {"a": content}})
}

/// Selects namespace `app` with everything in it.
pub fn spec(policy: Value) -> Value {
    let selector = json!({"group": "", "version": "v1", "kind": "Namespace", "name": "app"});
    json!({"resourceSelectors": [selector], "policy": policy, "revisionHistoryLimit": 10,
           "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%",
                        "unavailablePeriodSeconds": 60}}})
}

impl Index {
    pub fn put(&mut self, object: Value) {
        let taken = take_in(object.clone()).unwrap();
        let id = taken.manifest.id.clone();
        self.raw.insert(id.to_string(), object);
        let key = ApiKey::new(&id.group, &id.version, &id.kind);
        self.objects
            .entry(key)
            .or_default()
            .insert((id.namespace, id.name), Arc::new(taken));
    }

    pub fn remove(&mut self, kind: &str, name: &str) {
        self.raw
            .retain(|_, object| object["kind"] != kind || object["metadata"]["name"] != name);
        for (key, objects) in &mut self.objects {
            if key.kind == kind {
                objects.retain(|(_, n), _| n != name);
            }
        }
    }

    fn api(&self, key: &ApiKey) -> Api {
        let namespaced = !matches!(key.kind.as_str(), "Namespace" | "ClusterRole");
        Api {
            key: key.clone(),
            plural: format!("{}s", key.kind.to_lowercase()),
            namespaced,
            synced: self.unsynced.as_ref() != Some(&key.kind),
        }
    }
}

impl ResourceView for Index {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api> {
        self.objects
            .keys()
            .find(|k| k.group == group && k.version == version && k.kind == kind)
            .map(|k| self.api(k))
    }

    fn get(&self, api: &ApiKey, namespace: Option<&str>, name: &str) -> Option<Arc<Selectable>> {
        self.objects
            .get(api)?
            .get(&(namespace.unwrap_or_default().to_owned(), name.to_owned()))
            .cloned()
    }

    fn list(&self, api: &ApiKey, namespace: Option<&str>) -> Vec<Arc<Selectable>> {
        let objects = self.objects.get(api).into_iter().flatten();
        objects
            .filter(|((ns, _), _)| namespace.is_none_or(|wanted| wanted == ns))
            .map(|(_, o)| Arc::clone(o))
            .collect()
    }

    fn namespaced(&self) -> Vec<Api> {
        self.objects
            .keys()
            .map(|k| self.api(k))
            .filter(|api| api.namespaced)
            .collect()
    }
}
