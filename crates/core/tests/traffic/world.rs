//! A hub with one profile and its backends, driven as a shell does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_core::effects::Write;
use fairway_core::objects::{TrafficBackend, TrafficProfile};
use fairway_core::traffic::arm::{Call, Failure};
use fairway_core::traffic::{self, Collected, Export, Exporter, Hint, Observed, Plan, Service, Silence, Slice};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::atm::{Atm, short};

pub struct World {
    pub profile: Option<Value>,
    pub backends: BTreeMap<String, Value>,
    pub services: BTreeMap<String, Service>,
    pub others: Vec<Value>,
    pub default_group: Option<String>,
    pub atm: Atm,
    pub observed: Observed,
    pub now: Timestamp,
    /// Writes to the hub, in short.
    pub writes: Vec<String>,
    /// Events and warnings, in short.
    pub events: Vec<String>,
    warned: BTreeSet<String>,
    /// Calls of a pass are answered in the opposite order: they must not depend on each other.
    pub reversed: bool,
    /// Calls that had their effect and whose answers are not recorded yet.
    outstanding: Vec<(Call, Result<Value, Failure>)>,
    pub collected: Collected,
    pub silent: BTreeMap<String, Silence>,
    pub takes_hints: bool,
    /// No hints are taken.
    pub hints_fail: bool,
    /// Hints that were sent, in short.
    hints: Vec<String>,
}

pub const START: i64 = 1_000_000;
pub const SECOND: SignedDuration = SignedDuration::from_secs(1);

pub fn profile(spec: Value) -> Value {
    json!({
        "metadata": {"namespace": "app", "name": "web", "uid": "p", "generation": 1, "resourceVersion": "1",
            "creationTimestamp": "2025-01-01T00:00:00Z", "finalizers": []},
        "spec": spec,
    })
}

pub fn backend(name: &str, weight: i64) -> Value {
    json!({
        "metadata": {"namespace": "app", "name": name, "uid": name, "generation": 1, "resourceVersion": "1",
            "creationTimestamp": "2025-01-01T00:00:00Z", "finalizers": []},
        "spec": {"profile": {"name": "web"}, "backend": {"name": "service"}, "weight": weight},
    })
}

/// An export that can be an endpoint.
pub fn export(cluster: &str, weight: i64) -> Exporter {
    Exporter {
        cluster: cluster.to_owned(),
        export: Some(Export {
            service_type: "LoadBalancer".to_owned(),
            public_ip: format!("/{cluster}"),
            has_dns_label: true,
            weight,
            ..Export::default()
        }),
    }
}

pub fn service(exporters: &[(&str, i64)]) -> Service {
    Service {
        exporters: exporters
            .iter()
            .map(|(cluster, weight)| export(cluster, *weight))
            .collect(),
    }
}

impl World {
    /// A profile and a backend of weight 100 for a service of two clusters, before the first pass.
    pub fn new() -> Self {
        let mut world = Self {
            profile: Some(profile(json!({"resourceGroup": "rg"}))),
            backends: BTreeMap::new(),
            services: BTreeMap::new(),
            others: Vec::new(),
            default_group: None,
            atm: Atm::default(),
            observed: Observed::default(),
            now: Timestamp::from_second(START).unwrap(),
            writes: Vec::new(),
            events: Vec::new(),
            warned: BTreeSet::new(),
            reversed: false,
            outstanding: Vec::new(),
            collected: Collected::default(),
            silent: BTreeMap::new(),
            takes_hints: false,
            hints_fail: false,
            hints: Vec::new(),
        };
        world.add(backend("b", 100));
        world.export(&[("m1", 1), ("m2", 1)]);
        world
    }

    /// The same, settled.
    pub fn settled() -> Self {
        let mut world = Self::new();
        world.settle();
        assert_eq!(world.programmed(), "True/Programmed");
        assert_eq!(world.accepted("b"), "True/Accepted");
        world.writes.clear();
        world.events.clear();
        world.atm.log.clear();
        world
    }

    pub fn add(&mut self, backend: Value) {
        let name = backend["metadata"]["name"].as_str().unwrap().to_owned();
        self.backends.insert(name, backend);
    }

    pub fn export(&mut self, exporters: &[(&str, i64)]) {
        self.services.insert("service".to_owned(), service(exporters));
    }

    pub fn exporter(&mut self, cluster: &str) -> &mut Export {
        let all = &mut self.services.get_mut("service").unwrap().exporters;
        all.iter_mut()
            .find(|e| e.cluster == cluster)
            .unwrap()
            .export
            .as_mut()
            .unwrap()
    }

    pub fn slice(&self) -> Slice {
        let profile = |value: &Value| Arc::new(TrafficProfile::from_value(value.clone()).unwrap());
        Slice {
            namespace: "app".to_owned(),
            name: "web".to_owned(),
            profile: self.profile.as_ref().map(profile),
            backends: self
                .backends
                .values()
                .map(|value| Arc::new(TrafficBackend::from_value(value.clone()).unwrap()))
                .collect(),
            services: self.services.clone(),
            same_dns_name: self.others.iter().map(profile).collect(),
            observed: Arc::new(self.observed.clone()),
            in_flight: !self.outstanding.is_empty(),
            default_group: self.default_group.clone(),
            collected: self.collected.clone(),
            silent: self.silent.clone(),
            takes_hints: self.takes_hints,
            hints_in_flight: false,
        }
    }

    pub fn plan(&self) -> Plan {
        traffic::plan(&self.slice(), self.now)
    }

    /// One pass with all its writes and calls.
    pub fn pass(&mut self) -> Plan {
        let plan = self.pass_without_answers();
        self.deliver();
        plan
    }

    /// Records the answers that are outstanding.
    pub fn deliver(&mut self) {
        for (call, answer) in std::mem::take(&mut self.outstanding) {
            self.observed.record(&call, answer, self.now);
        }
    }

    /// One pass whose calls have their effect; their answers are outstanding.
    pub fn pass_without_answers(&mut self) -> Plan {
        let plan = self.plan();
        for write in plan.writes() {
            self.write(write);
        }
        for event in &plan.events {
            let from = traffic::component(event);
            self.events
                .push(format!("{} {} from {from}", event.about.name, event.reason));
        }
        let warned = plan.standing.iter().map(|standing| {
            let event = &standing.event;
            format!("{} {}: {}", event.about.name, event.reason, event.note)
        });
        let warned: BTreeSet<String> = warned.collect();
        self.events.extend(warned.difference(&self.warned).cloned());
        self.warned = warned;
        let mut calls = plan.facts.calls.clone();
        if self.reversed {
            calls.reverse();
        }
        for call in calls {
            let answer = self.atm.answer(&call);
            self.outstanding.push((call, answer));
        }
        self.send(&plan.facts.hints);
        plan
    }

    /// Passes until nothing is left to be done at this time. Fails when that takes too many.
    pub fn settle(&mut self) -> Plan {
        self.deliver();
        for _ in 0..40 {
            let plan = self.pass();
            let asked = plan.requeue.is_some_and(|wait| wait.is_zero());
            let is_quiet = plan.facts.calls.is_empty() && plan.facts.hints.is_empty();
            if plan.writes().next().is_none() && is_quiet && !asked {
                return plan;
            }
        }
        panic!("it does not settle: {:?} {:?}", self.atm.log, self.writes);
    }

    fn send(&mut self, hints: &[Hint]) {
        if hints.is_empty() {
            return;
        }
        let sent = hints.iter().map(|hint| {
            let name = hint.endpoint.rsplit('/').next().unwrap();
            match hint.cause {
                Some(cause) => format!("{} {cause:?}", short(name)),
                None => format!("{} online", short(name)),
            }
        });
        self.hints.extend(sent);
        self.observed.record_hints(hints, !self.hints_fail, self.now);
    }

    pub fn take_hints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.hints)
    }

    pub fn advance(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// Lets time pass as a shell does: a pass whenever a plan asks for it.
    pub fn let_time_pass(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        for _ in 0..10_000 {
            let next = match self.settle().requeue {
                Some(wait) => self.now + SignedDuration::try_from(wait).unwrap(),
                None => end,
            };
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
        }
        panic!("too many passes");
    }

    /// The hub agent starts anew, and answers that are outstanding are lost.
    pub fn restart(&mut self) {
        self.outstanding.clear();
        self.observed = Observed::default();
        self.warned.clear();
    }

    fn object(&mut self, kind: &str, name: &str) -> Option<&mut Value> {
        match kind {
            "TrafficManagerProfile" => self.profile.as_mut(),
            _ => self.backends.get_mut(name),
        }
    }

    pub fn write(&mut self, write: &Write) {
        let Write::MergePatch {
            target,
            body,
            status,
            resource_version,
        } = write
        else {
            panic!("{write:?}")
        };
        let kind = target.resource.kind.to_string();
        let Some(object) = self.object(&kind, &target.name) else {
            panic!("{write:?} of nothing")
        };
        if let Some(version) = resource_version {
            assert_eq!(
                object["metadata"]["resourceVersion"],
                json!(version),
                "the patch fits what was read"
            );
        }
        let before = object.clone();
        merge(object, body);
        if object["spec"] != before["spec"] {
            assert!(!status);
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
        }
        assert_ne!(*object, before, "a write changes something: {write:?}");
        bump(object);
        let what = body.as_object().unwrap().keys().next().unwrap();
        self.writes.push(format!("{} {what}", target.name));
        self.collect();
    }

    /// Removes objects that are being deleted and that nobody holds.
    pub fn collect(&mut self) {
        let is_gone = |object: &Value| {
            !object["metadata"]["deletionTimestamp"].is_null()
                && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
        };
        if self.profile.as_ref().is_some_and(is_gone) {
            self.profile = None;
        }
        self.backends.retain(|_, backend| !is_gone(backend));
    }

    pub fn delete_profile(&mut self) {
        self.profile.as_mut().unwrap()["metadata"]["deletionTimestamp"] = json!("2025-01-02T00:00:00Z");
        bump(self.profile.as_mut().unwrap());
        self.collect();
    }

    pub fn delete_backend(&mut self, name: &str) {
        let backend = self.backends.get_mut(name).unwrap();
        backend["metadata"]["deletionTimestamp"] = json!("2025-01-02T00:00:00Z");
        bump(backend);
        self.collect();
    }

    /// A user's change of a spec.
    pub fn change(object: &mut Value, spec: &Value) {
        merge(&mut object["spec"], spec);
        object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap() + 1);
        bump(object);
    }

    pub fn change_profile(&mut self, spec: &Value) {
        Self::change(self.profile.as_mut().unwrap(), spec);
    }

    pub fn change_backend(&mut self, name: &str, spec: &Value) {
        Self::change(self.backends.get_mut(name).unwrap(), spec);
    }

    pub fn finalizers(&self) -> Vec<String> {
        let text = |object: &Value| {
            let all = object["metadata"]["finalizers"].as_array().unwrap();
            let all = all
                .iter()
                .map(|f| f.as_str().unwrap().trim_start_matches("networking.fleet.azure.com/"));
            all.collect::<Vec<_>>().join(",")
        };
        self.profile.iter().chain(self.backends.values()).map(text).collect()
    }

    pub fn programmed(&self) -> String {
        condition(self.profile.as_ref().unwrap()).0
    }

    pub fn programmed_message(&self) -> String {
        condition(self.profile.as_ref().unwrap()).1
    }

    pub fn accepted(&self, backend: &str) -> String {
        condition(&self.backends[backend]).0
    }

    pub fn accepted_message(&self, backend: &str) -> String {
        condition(&self.backends[backend]).1
    }

    /// The endpoints in a backend's status: cluster, weight, weight of the export.
    pub fn endpoints(&self, backend: &str) -> Vec<String> {
        let list = self.backends[backend]["status"]["endpoints"].as_array();
        list.into_iter()
            .flatten()
            .map(|e| {
                let from = &e["from"];
                format!(
                    "{} {} of {}",
                    from["cluster"].as_str().unwrap(),
                    e["weight"],
                    from["weight"]
                )
            })
            .collect()
    }

    pub fn dns_name(&self) -> Option<&str> {
        self.profile.as_ref()?["status"]["dnsName"].as_str()
    }
}

/// Status and reason, and the message, of the only condition. It observes the object's generation.
fn condition(object: &Value) -> (String, String) {
    let all = object["status"]["conditions"].as_array();
    let Some(condition) = all.and_then(|all| all.first()) else {
        return ("none".to_owned(), String::new());
    };
    let text = |key: &str| condition[key].as_str().unwrap().to_owned();
    let stale = if condition["observedGeneration"] == object["metadata"]["generation"] {
        ""
    } else {
        " (stale)"
    };
    (format!("{}/{}{stale}", text("status"), text("reason")), text("message"))
}

fn bump(object: &mut Value) {
    let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
