//! A placement and everything around it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::kinds;
use api::resource::Resource;
use fairway_core::effects::{Target, Write};
use fairway_core::objects::PlacementKey;
use serde_json::{Value, json};

use super::{Answer, Apply, Envelope, Happening, MEMBERS, Mode, NAMESPACE, Override};
use crate::hub::{Hub, config_map, member_with};

/// A member as users see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cluster {
    pub x: bool,
    pub tainted: bool,
    leaving: bool,
}

pub struct Life {
    pub hub: Hub,
    pub mode: Mode,
    /// Whether users of the namespace see the status.
    pub accessible: bool,
    pub namespace: bool,
    pub clusters: BTreeMap<&'static str, Cluster>,
    content: u8,
    second: bool,
    pub envelope: Envelope,
    over: Override,
    override_index: u64,
    pub count: u8,
    pub only_x: bool,
    pub apply: Apply,
    limit: u8,
    pub largest_limit: u8,
}

impl Life {
    pub fn new(mode: Mode, namespaced: bool, accessible: bool, delayed: bool) -> Self {
        let mut hub = Hub::new(&[]);
        if namespaced {
            hub.key = PlacementKey::namespaced(NAMESPACE, "web");
        }
        if delayed {
            hub.settings.snapshot_collection = Duration::from_secs(15);
            hub.settings.snapshot_minimum_interval = Duration::from_secs(30);
        }
        hub.index.put(envelope_object(Envelope::Good));
        hub.index.remove("ResourceEnvelope", "e");
        let clusters = MEMBERS[..3].iter().map(|name| (*name, Cluster::default())).collect();
        let mut life = Self {
            hub,
            mode,
            accessible: accessible && !namespaced,
            namespace: true,
            clusters,
            content: 1,
            second: false,
            envelope: Envelope::None,
            over: Override::None,
            override_index: 0,
            count: 2,
            only_x: false,
            apply: Apply::Client,
            limit: 3,
            largest_limit: 3,
        };
        life.show_members();
        life.place();
        life
    }

    fn show_members(&mut self) {
        let now = self.hub.now;
        let shown = self.clusters.iter().map(|(name, cluster)| {
            let taints = json!([{"key": "k", "value": "v", "effect": "NoSchedule"}]);
            let spec = json!({"taints": if cluster.tainted { taints } else { json!([]) }});
            let labels = json!({"env": if cluster.x { "x" } else { "y" }});
            let mut member = (*member_with(name, labels, spec, "2036-01-01T00:00:00Z")).clone();
            member.meta.deleted = cluster.leaving.then_some(now);
            Arc::new(member)
        });
        self.hub.members = shown.collect();
    }

    pub fn names(&self) -> Vec<&'static str> {
        MEMBERS.iter().rev().take(usize::from(self.count)).copied().collect()
    }

    fn place(&mut self) {
        let mut policy = match self.mode {
            Mode::All => json!({"placementType": "PickAll"}),
            Mode::Number => json!({"placementType": "PickN", "numberOfClusters": self.count}),
            Mode::Fixed => json!({"placementType": "PickFixed", "clusterNames": self.names()}),
        };
        if self.only_x && self.mode != Mode::Fixed {
            let terms = json!([{"labelSelector": {"matchLabels": {"env": "x"}}}]);
            policy["affinity"] = json!({"clusterAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
                {"clusterSelectorTerms": terms}}});
        }
        let selector = |group: &str, version: &str, kind: &str, name: &str| json!({"group": group, "version": version, "kind": kind, "name": name});
        let selectors = if self.hub.key.namespace.is_some() {
            json!([
                selector("", "v1", "ConfigMap", ""),
                selector("placement.kubernetes-fleet.io", "v1beta1", "ResourceEnvelope", "")
            ])
        } else {
            json!([selector("", "v1", "Namespace", NAMESPACE)])
        };
        let apply = match self.apply {
            Apply::Client => "ClientSideApply",
            Apply::Server => "ServerSideApply",
            Apply::Diff => "ReportDiff",
        };
        let scope = if self.accessible {
            "NamespaceAccessible"
        } else {
            "ClusterScopeOnly"
        };
        self.hub.place(json!({
            "statusReportingScope": scope, "resourceSelectors": selectors, "policy": policy, "revisionHistoryLimit": self.limit,
            "strategy": {"type": "RollingUpdate", "applyStrategy": {"type": apply}},
        }));
    }

    pub fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Content(content) => {
                self.content = *content;
                self.show_content();
            }
            Happening::Second(there) => {
                self.second = *there;
                self.show_content();
            }
            Happening::Envelope(envelope) => {
                self.envelope = *envelope;
                self.show_content();
            }
            Happening::Namespace(there) => {
                self.namespace = *there || self.hub.key.namespace.is_some();
                self.show_content();
            }
            Happening::Override(over) => self.override_with(*over),
            Happening::Policy { count, only_x } => {
                (self.count, self.only_x) = (*count, *only_x);
                self.place();
            }
            Happening::Apply(apply) => {
                self.apply = *apply;
                self.place();
            }
            Happening::Limit(limit) => {
                self.limit = *limit;
                self.largest_limit = self.largest_limit.max(*limit);
                self.place();
            }
            Happening::Answer(answer) => self.answer(None, *answer),
            Happening::AnswerOf(who, answer) => self.answer(Some(MEMBERS[*who]), *answer),
            Happening::WorksGone => self.hub.finish_works(),
            Happening::Time(seconds) => self.hub.wait(Duration::from_secs(u64::from(*seconds))),
            Happening::DeleteWork(who) => self.delete(kinds::WORK, |_, target| {
                target.namespace == Some(format!("fleet-member-{}", MEMBERS[*who]))
            }),
            Happening::DeleteBinding(who) => {
                let kind = self
                    .hub
                    .key
                    .pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING);
                self.delete(kind, |object, _| object["spec"]["targetCluster"] == MEMBERS[*who]);
            }
            Happening::DeleteSnapshots(policies) => {
                let key = &self.hub.key;
                let kind = if *policies {
                    key.pick(
                        kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
                        kinds::SCHEDULING_POLICY_SNAPSHOT,
                    )
                } else {
                    key.pick(kinds::CLUSTER_RESOURCE_SNAPSHOT, kinds::RESOURCE_SNAPSHOT)
                };
                self.delete(kind, |object, _| {
                    object["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"] == "true"
                });
            }
            members => self.change_members(members),
        }
    }

    /// The selectable objects. What was in a namespace goes with it.
    fn show_content(&mut self) {
        let index = &mut self.hub.index;
        for (kind, name) in [
            ("Namespace", NAMESPACE),
            ("ConfigMap", "one"),
            ("ConfigMap", "two"),
            ("ResourceEnvelope", "e"),
        ] {
            index.remove(kind, name);
        }
        if !self.namespace {
            let copy = kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS;
            self.hub.objects.retain(|target, _| target.resource != copy);
            return;
        }
        index.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        index.put(config_map("one", &self.content.to_string()));
        if self.second {
            index.put(config_map("two", "2"));
        }
        if self.envelope != Envelope::None {
            index.put(envelope_object(self.envelope));
        }
    }

    fn change_members(&mut self, happening: &Happening) {
        match happening {
            Happening::Join(who) => drop(self.clusters.entry(MEMBERS[*who]).or_default()),
            Happening::Leaving(who) => {
                if let Some(cluster) = self.clusters.get_mut(MEMBERS[*who]) {
                    cluster.leaving = true;
                }
            }
            Happening::Gone(who) => self.gone(MEMBERS[*who]),
            Happening::Label(who, x) => {
                if let Some(cluster) = self.clusters.get_mut(MEMBERS[*who]) {
                    cluster.x = *x;
                }
            }
            Happening::Taint(who) => {
                if let Some(cluster) = self.clusters.get_mut(MEMBERS[*who]) {
                    cluster.tainted = !cluster.tainted;
                }
            }
            other => unreachable!("{other:?}"),
        }
        self.show_members();
    }

    /// The member's namespace went with its Works, then the member.
    fn gone(&mut self, name: &'static str) {
        self.clusters.remove(name);
        let namespace = Some(format!("fleet-member-{name}"));
        self.hub
            .objects
            .retain(|target, _| target.resource != kinds::WORK || target.namespace != namespace);
    }

    /// What the override controller does: a new snapshot, and the older ones lose their label; or none is left.
    fn override_with(&mut self, over: Override) {
        self.over = over;
        let label = "kubernetes-fleet.io/is-latest-snapshot";
        match over {
            Override::None => self
                .hub
                .objects
                .retain(|target, _| target.resource != kinds::RESOURCE_OVERRIDE_SNAPSHOT),
            Override::Good(_) | Override::Broken => {
                for (_, object) in self
                    .hub
                    .objects
                    .iter_mut()
                    .filter(|(t, _)| t.resource == kinds::RESOURCE_OVERRIDE_SNAPSHOT)
                {
                    object["metadata"]["labels"][label] = json!("false");
                }
                let index = self.override_index;
                self.override_index += 1;
                let (path, value) = match over {
                    Override::Good(value) => ("/data/a", format!("over-{value}")),
                    _ => ("/nowhere/at/all", String::new()),
                };
                let object = json!({
                    "metadata": {"name": format!("o-{index}"), "namespace": NAMESPACE, "labels": {
                        "kubernetes-fleet.io/parent-resource-override": "o",
                        "kubernetes-fleet.io/override-index": index.to_string(),
                        label: "true",
                    }},
                    "spec": {"overrideHash": "", "overrideSpec": {
                        "resourceSelectors": [{"group": "", "version": "v1", "kind": "ConfigMap", "name": "one"}],
                        "policy": {"overrideRules": [{
                            "clusterSelector": {"clusterSelectorTerms": [{"labelSelector": {"matchLabels": {"env": "x"}}}]},
                            "jsonPatchOverrides": [{"op": "replace", "path": path, "value": value}],
                        }]},
                    }},
                });
                self.hub.put(
                    Target::new(
                        kinds::RESOURCE_OVERRIDE_SNAPSHOT,
                        Some(NAMESPACE),
                        &format!("o-{index}"),
                    ),
                    object,
                );
            }
        }
    }

    fn answer(&mut self, who: Option<&str>, answer: Answer) {
        let (applied, available) = match answer {
            Answer::Available => (true, Some("AllManifestsAvailable")),
            Answer::Untrackable => (true, Some("WorkNotTrackable")),
            Answer::Unavailable => (true, Some("SomeManifestsAreNotAvailable")),
            Answer::Failed => (false, None),
        };
        let namespace = who.map(|who| format!("fleet-member-{who}"));
        let of_him =
            |target: &&Target| target.resource == kinds::WORK && (namespace.is_none() || target.namespace == namespace);
        let works: Vec<Target> = self.hub.objects.keys().filter(of_him).cloned().collect();
        for target in works {
            self.hub.answer_work(&target, applied, available);
            let work = self.hub.objects.get_mut(&target).unwrap();
            if work["spec"]["applyStrategy"]["type"] == "ReportDiff" {
                let condition = work["status"]["conditions"][0].as_object_mut().unwrap();
                condition.insert("type".to_owned(), json!("DiffReported"));
                work["status"]["conditions"].as_array_mut().unwrap().truncate(1);
            }
        }
    }

    fn delete(&mut self, kind: Resource, which: impl Fn(&Value, &Target) -> bool) {
        let found = self
            .hub
            .objects
            .iter()
            .filter(|(target, object)| target.resource == kind && which(object, target));
        let found: Vec<Target> = found.map(|(target, _)| target.clone()).collect();
        for target in found {
            self.hub.apply(&Write::Delete { target, uid: None }).unwrap();
        }
    }

    /// What is bad is mended, members answer well, and time passes. The strategy stays: whatever it is, a report that failed
    /// holds nothing up.
    pub fn recover(&mut self) {
        if self.envelope == Envelope::Broken {
            self.happen(&Happening::Envelope(Envelope::Good));
        }
        if self.over == Override::Broken {
            self.happen(&Happening::Override(Override::Good(7)));
        }
        self.calm();
    }

    /// Members answer well, and time passes; what users have broken stays broken.
    pub fn calm(&mut self) {
        self.happen(&Happening::Namespace(true));
        for name in MEMBERS {
            if self.clusters.get(name).is_some_and(|cluster| cluster.leaving) {
                self.gone(name);
            }
        }
        self.show_members();
        for _ in 0..16 {
            self.hub.settle();
            self.hub.finish_works();
            self.answer(None, Answer::Available);
            self.hub.wait(Duration::from_secs(61));
        }
        self.hub.settle();
    }

    /// Whether an override that cannot be applied concerns the cluster.
    pub fn is_overridden_badly(&self, cluster: &str) -> bool {
        self.over == Override::Broken && self.clusters[cluster].x
    }

    pub fn manifests(&self, cluster: &str) -> Vec<Value> {
        let mut all = Vec::new();
        if self.hub.key.namespace.is_none() {
            all.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        }
        let one = match self.over {
            Override::Good(value) if self.clusters[cluster].x => format!("over-{value}"),
            _ => self.content.to_string(),
        };
        all.push(config_map("one", &one));
        if self.second {
            all.push(config_map("two", "2"));
        }
        all
    }
}

fn envelope_object(envelope: Envelope) -> Value {
    let metadata = if envelope == Envelope::Good {
        json!({"name": "wrapped", "namespace": NAMESPACE})
    } else {
        json!({"name": "wrapped"})
    };
    let wrapped = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    json!({"apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "ResourceEnvelope",
        "metadata": {"name": "e", "namespace": NAMESPACE}, "data": {"w": wrapped}})
}
