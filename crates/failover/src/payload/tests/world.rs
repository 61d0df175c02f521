//! A cluster in memory, and the executor's loop over it, which can crash before and after every write.

use std::collections::{BTreeMap, BTreeSet};

use api::resource::Resource;
use api::text::multicluster::labels;
use serde_json::{Value, json};

use crate::member::MemberId;
use crate::payload::*;

pub fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } })
}

pub fn decode(objects: &[Value]) -> Payload {
    let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
    Payload::decode(&texts.join("\n---\n")).unwrap()
}

pub fn mapping() -> Mapping {
    let kinds = [
        ("", "Namespace", "namespaces", false),
        ("", "ConfigMap", "configmaps", true),
        ("", "Service", "services", true),
        ("", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        ("apps", "Deployment", "deployments", true),
        ("rbac.authorization.k8s.io", "Role", "roles", true),
        ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            false,
        ),
    ];
    let entry = |(group, kind, plural, namespaced): (&'static str, &'static str, &'static str, bool)| {
        let resource = match namespaced {
            true => Resource::namespaced(group, "v1", kind, plural),
            false => Resource::cluster(group, "v1", kind, plural),
        };
        (
            Kind {
                group: group.into(),
                version: "v1".into(),
                kind: kind.into(),
            },
            resource,
        )
    };
    kinds.into_iter().map(entry).collect()
}

pub fn entry(name: &str) -> Entry {
    Entry {
        resource: Resource::namespaced("", "v1", "ConfigMap", "configmaps"),
        namespace: Some("default".into()),
        name: name.into(),
        uid: None,
        state: State::Intended,
        owns_pods: false,
    }
}

/// The executor is gone.
#[derive(Debug)]
pub struct Crash;

pub struct World {
    pub payload: Resolved,
    pub owner: Owner,
    pub term: u64,
    pub adopt: bool,
    /// The cluster.
    pub objects: BTreeMap<ObjectId, Value>,
    pub pods: Vec<Value>,
    /// Whether pods end only when they get no time.
    pub stubborn: bool,
    parts: BTreeMap<usize, String>,
    /// What the executor knows.
    pub stored: Inventory,
    pub round: Round,
    contents: BTreeMap<ObjectId, Vec<Value>>,
    family: BTreeSet<String>,
    uids: u64,
    /// Crashes before the write with this number (even) or after it (odd), counted in halves.
    pub crash_at: Option<usize>,
    pub writes: usize,
}

impl World {
    pub fn new(payload: &[Value]) -> Self {
        Self {
            payload: decode(payload).resolve(&mapping()).unwrap(),
            owner: Owner {
                namespace: "bank".into(),
                name: "newyork".into(),
                member: MemberId::new("c", "bank", "newyork"),
            },
            term: 4,
            adopt: false,
            objects: BTreeMap::new(),
            pods: Vec::new(),
            stubborn: false,
            parts: BTreeMap::new(),
            stored: Inventory::default(),
            round: Round::default(),
            contents: BTreeMap::new(),
            family: BTreeSet::new(),
            uids: 0,
            crash_at: None,
            writes: 0,
        }
    }

    pub fn change(&mut self, payload: &[Value]) {
        self.payload = decode(payload).resolve(&mapping()).unwrap();
        self.round = Round::default();
    }

    /// Somebody else creates an object.
    pub fn foreign(&mut self, object: Value) {
        let resolved = decode(&[object]).resolve(&mapping()).unwrap();
        let mut object = resolved.objects[0].manifest.clone();
        object["metadata"]["uid"] = self.uid().into();
        object["metadata"]["managedFields"] = json!([{ "manager": "other", "operation": "Apply" }]);
        self.objects.insert(ObjectId::of(&object), object);
    }

    /// The objects without what only says who wrote them.
    pub fn contents(&self) -> BTreeMap<ObjectId, Value> {
        let mut objects = self.objects.clone();
        for object in objects.values_mut() {
            object.as_object_mut().unwrap().remove("status");
            let metadata = object["metadata"].as_object_mut().unwrap();
            for key in ["labels", "annotations"] {
                if metadata.get(key).is_some_and(|map| *map == json!({})) {
                    metadata.remove(key);
                }
            }
        }
        objects
    }

    /// Somebody deletes the ConfigMaps of the inventory.
    pub fn lose_inventory(&mut self) {
        self.parts.clear();
        self.restart();
    }

    fn uid(&mut self) -> String {
        self.uids += 1;
        format!("uid-{}", self.uids)
    }

    /// A new process: nothing but what is stored is known.
    pub fn restart(&mut self) {
        self.round = Round::default();
        self.contents.clear();
        self.family.clear();
        self.stored = Inventory::read(&self.parts).unwrap();
    }

    fn observed(&mut self) -> Observed {
        Observed {
            objects: self.objects.clone(),
            unmapped: BTreeSet::new(),
            dependents: self.pods.clone(),
            contents: std::mem::take(&mut self.contents),
        }
    }

    pub fn plan_apply(&mut self) -> Plan {
        let observed = self.observed();
        plan_apply(ApplyInput {
            payload: &self.payload,
            stored: &self.stored,
            observed: &observed,
            round: &self.round,
            owner: &self.owner,
            term: self.term,
            adopt_existing: self.adopt,
        })
    }

    pub fn plan_remove(&mut self, elapsed: u32) -> Removal {
        let observed = self.observed();
        plan_remove(RemoveInput {
            stored: &self.stored,
            observed: &observed,
            round: &self.round,
            owner: &self.owner,
            term: self.term,
            elapsed,
            family: &self.family,
        })
    }

    pub fn lead(&mut self) -> Plan {
        self.try_lead().unwrap()
    }

    pub fn remove(&mut self) -> Plan {
        self.round = Round::default();
        self.try_remove().unwrap()
    }

    pub fn try_lead(&mut self) -> Result<Plan, Crash> {
        for _ in 0..100 {
            let plan = self.plan_apply();
            if plan.done {
                return Ok(plan);
            }
            self.carry_out(&plan)?;
            self.time_passes();
        }
        panic!("applying does not end: {:?}", self.plan_apply());
    }

    pub fn try_remove(&mut self) -> Result<Plan, Crash> {
        let mut findings = Findings::default();
        for _ in 0..100 {
            let removal = self.plan_remove(0);
            self.family = removal.family;
            findings.kept.extend(removal.plan.findings.kept.clone());
            if removal.plan.done {
                return Ok(Plan {
                    findings,
                    ..removal.plan
                });
            }
            self.carry_out(&removal.plan)?;
            self.time_passes();
        }
        panic!("removing does not end: {:?}", self.plan_remove(0));
    }

    pub fn step_remove(&mut self, elapsed: u32) -> Removal {
        let removal = self.plan_remove(elapsed);
        self.family = removal.family.clone();
        self.carry_out(&removal.plan).unwrap();
        self.time_passes();
        removal
    }

    pub fn carry_out(&mut self, plan: &Plan) -> Result<(), Crash> {
        for step in &plan.steps {
            match step {
                Step::Store(wanted) => {
                    let stored = (!self.parts.is_empty()).then(|| self.stored.clone());
                    for write in writes(stored.as_ref(), wanted) {
                        self.write(|world| match write.text {
                            Some(text) => drop(world.parts.insert(write.shard, text)),
                            None => drop(world.parts.remove(&write.shard)),
                        })?;
                    }
                    self.stored = wanted.clone();
                }
                Step::Apply { id, body, force, .. } => {
                    let outcome = self.write(|world| world.apply(id, body, *force))?;
                    if let Some(outcome) = outcome {
                        self.round.note(id.clone(), outcome);
                    }
                }
                Step::Release { id, body, .. } => self.write(|world| world.release(id, body))?,
                Step::Delete {
                    id,
                    uid,
                    at_once,
                    propagation,
                    ..
                } => {
                    self.write(|world| world.delete(id, uid, *at_once, *propagation))?;
                    self.round.note(id.clone(), Outcome::Deleted { uid: uid.clone() });
                }
                Step::Inspect { id } => {
                    let inside = self
                        .objects
                        .values()
                        .filter(|o| o["metadata"]["namespace"] == id.name.as_str());
                    let inside = inside.cloned().collect();
                    self.contents.insert(id.clone(), inside);
                }
            }
        }
        Ok(())
    }

    fn write<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Crash> {
        let number = self.writes;
        self.writes += 1;
        if self.crash_at == Some(2 * number) {
            return Err(Crash);
        }
        let result = work(self);
        self.nothing_is_untracked();
        if self.crash_at == Some(2 * number + 1) {
            return Err(Crash);
        }
        Ok(result)
    }

    /// Every object that carries our labels is in what is stored, at every moment.
    fn nothing_is_untracked(&self) {
        let stored = Inventory::read(&self.parts).unwrap();
        for (id, object) in &self.objects {
            if !object["metadata"]["labels"][labels::NAME].is_null() {
                assert!(stored.get(id).is_some(), "{id} is not in the inventory");
            }
        }
    }

    fn apply(&mut self, id: &ObjectId, body: &Value, force: bool) -> Option<Outcome> {
        let manager = self.owner.manager();
        let wanted = body["metadata"]["uid"].as_str().map(str::to_owned);
        let Some(live) = self.objects.get_mut(id) else {
            assert_eq!(wanted, None, "an apply with a UID creates nothing");
            let mut object = body.clone();
            let uid = self.uid();
            object["metadata"]["uid"] = uid.clone().into();
            object["metadata"]["managedFields"] = json!([{ "manager": manager, "operation": "Apply" }]);
            if id.kind == "Deployment" {
                let pod = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "name": format!("{}-1", id.name),
                    "namespace": id.namespace, "uid": format!("{uid}-pod"), "ownerReferences": [{ "uid": uid }] } });
                self.pods.push(pod);
            }
            self.objects.insert(id.clone(), object);
            return Some(Outcome::Created { uid });
        };
        let uid = live["metadata"]["uid"].as_str().unwrap().to_owned();
        if wanted.is_some_and(|wanted| wanted != uid) {
            return None;
        }
        let differs = |key: &str| !body[key].is_null() && !live[key].is_null() && body[key] != live[key];
        let shared = live["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["manager"] == "other");
        if !force && shared && differs("data") {
            return Some(Outcome::Conflict {
                fields: vec![".data".into()],
            });
        }
        for (key, value) in body.as_object().unwrap() {
            if key != "metadata" {
                live[key] = value.clone();
            }
        }
        for key in ["labels", "annotations"] {
            for (name, value) in body["metadata"][key].as_object().unwrap() {
                live["metadata"][key][name] = value.clone();
            }
        }
        let fields = live["metadata"]["managedFields"].as_array_mut().unwrap();
        if !fields.iter().any(|field| field["manager"] == manager.as_str()) {
            fields.push(json!({ "manager": manager, "operation": "Apply" }));
        }
        Some(Outcome::Updated { uid })
    }

    fn release(&mut self, id: &ObjectId, body: &Value) {
        let live = self.objects.get_mut(id).unwrap();
        assert_eq!(live["metadata"]["uid"], body["metadata"]["uid"]);
        for key in ["labels", "annotations"] {
            if let Some(map) = live["metadata"][key].as_object_mut() {
                map.retain(|name, _| !name.starts_with("kube-vip.io/"));
            }
        }
        let fields = live["metadata"]["managedFields"].as_array_mut().unwrap();
        fields.retain(|field| field["manager"] == "other");
    }

    fn delete(&mut self, id: &ObjectId, uid: &str, at_once: bool, propagation: Propagation) {
        if at_once {
            assert_eq!(id.kind, "Pod");
            self.pods.retain(|pod| pod["metadata"]["uid"] != uid);
            return;
        }
        let stored = Inventory::read(&self.parts).unwrap();
        let entry = stored.get(id).unwrap();
        assert_eq!(
            (entry.state, entry.uid.as_deref()),
            (State::Applied, Some(uid)),
            "{id} is deleted"
        );
        if self.objects.get(id).is_none_or(|live| live["metadata"]["uid"] != uid) {
            return;
        }
        if id.kind == "Deployment" {
            assert_eq!(propagation, Propagation::Foreground);
            self.objects.get_mut(id).unwrap()["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            return;
        }
        self.objects.remove(id);
        if id.is_namespace() {
            self.objects
                .retain(|other, _| other.namespace.as_deref() != Some(&id.name));
        }
    }

    /// Pods of deleted workloads end, then the workloads.
    fn time_passes(&mut self) {
        let ending: Vec<ObjectId> = self
            .objects
            .iter()
            .filter(|(_, o)| !o["metadata"]["deletionTimestamp"].is_null())
            .map(|(id, _)| id.clone())
            .collect();
        for id in ending {
            let uid = self.objects[&id]["metadata"]["uid"].clone();
            let of = |pod: &Value| pod["metadata"]["ownerReferences"][0]["uid"] == uid;
            if !self.pods.iter().any(of) {
                self.objects.remove(&id);
            } else if !self.stubborn {
                self.pods.retain(|pod| !of(pod));
            }
        }
        for (id, object) in &mut self.objects {
            if id.is_definition() {
                object["status"]["conditions"] =
                    json!([{ "type": "Established", "status": "True" }, { "type": "NamesAccepted", "status": "True" }]);
            }
        }
    }
}
