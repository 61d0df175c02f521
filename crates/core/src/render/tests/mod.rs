//! Works of a binding, pass by pass. A small store plays the API server.

mod moves;
mod obstacles;

use std::collections::BTreeMap;

use api::kinds;
use serde_json::{Value, json};

use super::*;
use crate::objects::ResourceSnapshot;

fn object(kind: &str, namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}})
}

fn resources(name: &str, index: u64, sub: Option<u64>, size: usize, objects: Vec<Value>) -> ResourceSnapshot {
    let annotations = match sub {
        Some(sub) => json!({"kubernetes-fleet.io/subindex-of-resource-snapshot": sub.to_string()}),
        None => json!({
            "kubernetes-fleet.io/resource-hash": "h",
            "kubernetes-fleet.io/number-of-resource-snapshots": size.to_string(),
        }),
    };
    let labels =
        json!({"kubernetes-fleet.io/parent-CRP": "crp", "kubernetes-fleet.io/resource-index": index.to_string()});
    ResourceSnapshot::from_value(json!({
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"selectedResources": objects},
    }))
    .unwrap()
}

fn binding(cluster: &str, snapshot: &str) -> Binding {
    Binding::from_value(json!({
        "metadata": {"name": format!("crp-{cluster}-01234567"), "uid": "b", "generation": 2},
        "spec": {
            "state": "Bound", "resourceSnapshotName": snapshot, "schedulingPolicySnapshotName": "crp-0",
            "targetCluster": cluster, "clusterDecision": {"clusterName": cluster, "selected": true, "reason": ""},
        },
    }))
    .unwrap()
}

fn over(name: &str, selectors: Value, rule: Value) -> Arc<OverrideSnapshot> {
    Arc::new(
        OverrideSnapshot::from_value(json!({
            "metadata": {"name": name},
            "spec": {"overrideSpec": {"clusterResourceSelectors": selectors, "policy": {"overrideRules": [rule]}}},
        }))
        .unwrap(),
    )
}

fn namespace_rule(op: &str, path: &str, value: Value) -> Arc<OverrideSnapshot> {
    let selectors = json!([{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}]);
    let patch = json!({"op": op, "path": path, "value": value});
    over(
        "cro-0",
        selectors,
        json!({"clusterSelector": {"clusterSelectorTerms": []}, "jsonPatchOverrides": [patch]}),
    )
}

/// The hub as far as one placement's Works are concerned.
struct World {
    key: PlacementKey,
    snapshots: Vec<ResourceSnapshot>,
    overrides: Vec<Arc<OverrideSnapshot>>,
    stored: BTreeMap<Target, Value>,
    labels: BTreeMap<String, String>,
    refused: Refusals,
    unreadable: BTreeSet<Target>,
    adds_finalizer: bool,
    report_back: Option<ReportBackStrategy>,
}

impl World {
    fn new(snapshots: Vec<ResourceSnapshot>) -> Self {
        Self {
            key: PlacementKey::cluster("crp"),
            snapshots,
            overrides: Vec::new(),
            stored: BTreeMap::new(),
            labels: BTreeMap::new(),
            refused: Refusals::new(),
            unreadable: BTreeSet::new(),
            adds_finalizer: false,
            report_back: None,
        }
    }

    fn works(&self) -> Vec<Arc<Work>> {
        self.stored
            .values()
            .map(|work| Arc::new(Work::from_value(work.clone()).unwrap()))
            .collect()
    }

    fn render(&self, binding: &Binding) -> Rendered {
        let mut member = Member::default();
        member.meta.name = binding.cluster().to_owned();
        member.meta.labels = self.labels.clone();
        let works = self.works();
        let input = Input {
            key: &self.key,
            binding,
            member: &member,
            report_back: self.report_back.as_ref(),
            works: &works,
            unreadable: &self.unreadable,
            overrides: &self.overrides,
            refused: &self.refused,
            adds_finalizer: self.adds_finalizer,
        };
        render(&input, &mut Groups::new(&self.key, &self.snapshots))
    }

    fn pass(&mut self, binding: &Binding) -> Rendered {
        let rendered = self.render(binding);
        for write in &rendered.writes {
            self.execute(write);
        }
        rendered
    }

    fn execute(&mut self, write: &Write) {
        let target = write.target().clone();
        match write {
            Write::Create { object, .. } => {
                let mut object = object.clone();
                object["metadata"]["generation"] = json!(1);
                object["metadata"]["uid"] = json!(target.name);
                assert!(self.stored.insert(target, object).is_none());
            }
            Write::MergePatch { body, .. } => {
                let work = self.stored.get_mut(&target).unwrap();
                merge_into(work, body);
                if body.get("spec").is_some() {
                    let generation = work["metadata"]["generation"].as_i64().unwrap();
                    work["metadata"]["generation"] = json!(generation + 1);
                }
            }
            Write::ReplaceStatus { .. } => panic!("{write:?}"),
            Write::Delete { .. } => {
                self.stored.remove(&target);
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.stored.keys().map(|target| target.name.as_str()).collect()
    }

    fn work(&mut self, name: &str) -> &mut Value {
        self.stored
            .iter_mut()
            .find(|(target, _)| target.name == name)
            .unwrap()
            .1
    }
}

fn merge_into(object: &mut Value, patch: &Value) {
    *object = merge::merge_patch(object, patch);
}

fn synced(changed: bool, works: &[&str]) -> RenderResult {
    RenderResult::Synchronized {
        changed,
        works: works.iter().map(|w| (*w).to_owned()).collect(),
    }
}

fn one_snapshot() -> World {
    World::new(vec![resources(
        "crp-0-snapshot",
        0,
        None,
        1,
        vec![object("ConfigMap", "app", "a"), object("Secret", "app", "b")],
    )])
}

fn config_map_envelope() -> Value {
    let mut envelope = object("ConfigMap", "app", "sealed");
    envelope["metadata"]["annotations"] = json!({"kubernetes-fleet.io/envelope-configmap": "true"});
    envelope["data"] = json!({"a": object("Deployment", "other", "inner").to_string()});
    envelope
}

#[test]
fn a_work_is_created_once_and_then_left_alone() {
    let mut world = one_snapshot();
    world.report_back = serde_json::from_value(json!({"type": "Mirror", "destination": "WorkAPI"})).unwrap();
    let binding = binding("m1", "crp-0-snapshot");
    assert_eq!(world.pass(&binding).result, synced(true, &[]));
    let no_overrides = api::hash::of(&Value::Null).unwrap();
    let work = world.work("crp-work").clone();
    assert_eq!(
        work,
        json!({
            "apiVersion": "placement.kubernetes-fleet.io/v1beta1", "kind": "Work",
            "metadata": {
                "name": "crp-work", "namespace": "fleet-member-m1", "generation": 1, "uid": "crp-work",
                "labels": {
                    "kubernetes-fleet.io/parent-CRP": "crp",
                    "kubernetes-fleet.io/parent-resource-binding": "crp-m1-01234567",
                    "kubernetes-fleet.io/parent-resource-snapshot-index": "0",
                },
                "annotations": {
                    "kubernetes-fleet.io/parent-resource-snapshot-name": "crp-0-snapshot",
                    "kubernetes-fleet.io/parent-cluster-resource-override-snapshot-hash": no_overrides,
                    "kubernetes-fleet.io/parent-resource-override-snapshot-hash": no_overrides,
                    "kubernetes-fleet.io/number-of-works": "1",
                },
            },
            "spec": {
                "workload": {"manifests": [object("ConfigMap", "app", "a"), object("Secret", "app", "b")]},
                "applyStrategy": {"comparisonOption": "PartialComparison", "type": "ClientSideApply", "whenToApply": "Always", "whenToTakeOver": "Always"},
                "reportBackStrategy": {"type": "Mirror", "destination": "WorkAPI"},
            },
        })
    );
    let again = world.pass(&binding);
    assert_eq!((again.writes.len(), again.result), (0, synced(false, &["crp-work"])));
}

#[test]
fn works_of_a_namespaced_placement_carry_its_namespace() {
    let mut world = one_snapshot();
    world.key = PlacementKey::namespaced("app", "crp");
    let binding = binding("m1", "crp-0-snapshot");
    world.pass(&binding);
    assert_eq!(world.names(), ["app.crp-work"]);
    assert_eq!(
        world.work("app.crp-work")["metadata"]["labels"]["kubernetes-fleet.io/parent-placement-namespace"],
        "app"
    );
    assert_eq!(world.pass(&binding).result, synced(false, &["app.crp-work"]));
}

#[test]
fn every_part_and_every_envelope_has_its_work() {
    let mut envelope = object("ResourceEnvelope", "app", "sealed");
    envelope["apiVersion"] = json!("placement.kubernetes-fleet.io/v1beta1");
    envelope["data"] = json!({"a": object("A", "app", "x"), "b": object("B", "app", "y")});
    let mut world = World::new(vec![
        resources("crp-0-1", 0, Some(1), 3, vec![]),
        resources(
            "crp-0-snapshot",
            0,
            None,
            3,
            vec![object("Namespace", "", "app"), config_map_envelope()],
        ),
        resources("crp-0-0", 0, Some(0), 3, vec![envelope]),
        resources("crp-1-snapshot", 1, None, 1, vec![]),
    ]);
    let first = binding("m1", "crp-0-snapshot");
    world.pass(&first);
    let sealed = api::names::envelope_work("crp-work", "ConfigMap", "app", "sealed");
    let other = api::names::envelope_work("crp-0", "ResourceEnvelope", "app", "sealed");
    let mut wanted = ["crp-work", &sealed, "crp-0", &other, "crp-1"];
    wanted.sort();
    assert_eq!(world.names(), wanted);
    assert_eq!(
        world.work("crp-work")["spec"]["workload"]["manifests"],
        json!([object("Namespace", "", "app")])
    );
    let inner = world.work(&sealed).clone();
    assert_eq!(
        inner["spec"]["workload"]["manifests"],
        json!([object("Deployment", "other", "inner")])
    );
    assert_eq!(
        inner["metadata"]["labels"]["kubernetes-fleet.io/envelope-work"],
        "ConfigMap"
    );
    assert_eq!(
        inner["metadata"]["labels"]["kubernetes-fleet.io/envelope-namespace"],
        "app"
    );
    let both = world.work(&other)["spec"]["workload"]["manifests"].clone();
    assert_eq!(
        both,
        json!([object("B", "app", "y"), object("A", "app", "x")]),
        "sorted by text, descending"
    );
    assert_eq!(world.render(&first).writes, []);

    // The next group holds nothing: its one Work stays, the others go.
    let second = binding("m1", "crp-1-snapshot");
    assert_eq!(world.pass(&second).result, synced(true, &["crp-work"]));
    assert_eq!(world.names(), ["crp-work"]);
    assert_eq!(world.work("crp-work")["metadata"]["generation"], 2);
    assert_eq!(world.pass(&second).result, synced(false, &["crp-work"]));
}

#[test]
fn a_new_index_with_equal_content_does_not_disturb_the_member() {
    let mut world = one_snapshot();
    let same = world.snapshots[0].manifests.iter().map(|m| m.value()).collect();
    world.snapshots.push(resources("crp-1-snapshot", 1, None, 1, same));
    world.pass(&binding("m1", "crp-0-snapshot"));
    let moved = world.pass(&binding("m1", "crp-1-snapshot"));
    assert_eq!((moved.writes.len(), moved.result), (1, synced(false, &["crp-work"])));
    let work = world.work("crp-work").clone();
    assert_eq!(work["metadata"]["generation"], 1);
    assert_eq!(
        work["metadata"]["labels"]["kubernetes-fleet.io/parent-resource-snapshot-index"],
        "1"
    );
    assert_eq!(
        work["metadata"]["annotations"]["kubernetes-fleet.io/parent-resource-snapshot-name"],
        "crp-1-snapshot"
    );
}

#[test]
fn a_work_edited_by_hand_is_repaired_and_strategies_are_pushed() {
    let mut world = one_snapshot();
    let mut bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    let good = world.work("crp-work")["spec"].clone();
    world.work("crp-work")["spec"]["workload"]["manifests"] = json!([]);
    assert_eq!(world.pass(&bound).result, synced(true, &["crp-work"]));
    assert_eq!(world.work("crp-work")["spec"], good);

    bound.spec.apply_strategy = serde_json::from_value(json!({"type": "ReportDiff"})).unwrap();
    let pushed = world.pass(&bound);
    let Write::MergePatch { body, .. } = &pushed.writes[0] else {
        panic!()
    };
    assert_eq!(body, &json!({"spec": {"applyStrategy": {"type": "ReportDiff"}}}));
    assert_eq!(pushed.result, synced(true, &["crp-work"]));
    assert_eq!(world.render(&bound).writes, []);
}

#[test]
fn overrides_are_rendered_at_a_rollout_only() {
    let mut world = one_snapshot();
    world.labels.insert("zone".to_owned(), "a".to_owned());
    world.overrides = vec![namespace_rule(
        "add",
        "/data",
        json!({"z": "${MEMBER-CLUSTER-LABEL-KEY-zone}"}),
    )];
    let mut bound = binding("m1", "crp-0-snapshot");
    bound.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    world.pass(&bound);
    assert_eq!(
        world.work("crp-work")["spec"]["workload"]["manifests"][0]["data"],
        json!({"z": "a"})
    );
    // A label changes without a rollout: nothing happens, also when the rule would fail now.
    world.labels.clear();
    assert_eq!(world.pass(&bound).result, synced(false, &["crp-work"]));
    // Without the override the Work is rendered again.
    bound.spec.cluster_resource_override_snapshots.clear();
    assert_eq!(world.pass(&bound).result, synced(true, &["crp-work"]));
    assert_eq!(
        world.work("crp-work")["spec"]["workload"]["manifests"][0].get("data"),
        None
    );
}

#[test]
fn a_bad_override_leaves_the_works_and_other_clusters_alone() {
    let mut world = one_snapshot();
    let mut good = binding("m1", "crp-0-snapshot");
    world.pass(&good);
    let before = world.stored.clone();
    world.overrides = vec![namespace_rule("replace", "/data/missing", json!(1))];
    good.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    let failed = world.pass(&good);
    let RenderResult::NotOverridden(problem) = &failed.result else {
        panic!("{failed:?}")
    };
    assert!(
        problem.message.starts_with(
            "The ClusterResourceOverrideSnapshot \"cro-0\" cannot be applied to the ConfigMap \"app/a\": "
        ),
        "{}",
        problem.message
    );
    assert_eq!((failed.writes.len(), failed.requeue), (0, None));
    assert_eq!(world.stored, before);
    assert_eq!(world.pass(&binding("m2", "crp-0-snapshot")).result, synced(true, &[]));
}

#[test]
fn a_deleted_object_leaves_an_empty_work() {
    let mut world = one_snapshot();
    let selectors = json!([{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}]);
    let rule = json!({"clusterSelector": {"clusterSelectorTerms": []}, "overrideType": "Delete"});
    world.overrides = vec![over("cro-0", selectors, rule)];
    let mut bound = binding("m1", "crp-0-snapshot");
    bound.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    world.pass(&bound);
    assert_eq!(world.work("crp-work")["spec"]["workload"]["manifests"], json!([]));
}

#[test]
fn content_that_outgrows_a_work_is_split() {
    let mut world = one_snapshot();
    world.overrides = vec![namespace_rule("add", "/data", json!({"big": "x".repeat(700 * 1024)}))];
    let mut bound = binding("m1", "crp-0-snapshot");
    bound.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    world.pass(&bound);
    assert_eq!(world.names(), ["crp-work", "crp-work-part-1"]);
    assert_eq!(
        world.pass(&bound).result,
        synced(false, &["crp-work", "crp-work-part-1"])
    );
    bound.spec.cluster_resource_override_snapshots.clear();
    assert_eq!(world.pass(&bound).result, synced(true, &["crp-work"]));
    assert_eq!(world.names(), ["crp-work"]);

    world.overrides = vec![namespace_rule("add", "/data", json!({"big": "x".repeat(1_500_000)}))];
    bound.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    let RenderResult::NotSynchronized(problem) = world.pass(&bound).result else {
        panic!()
    };
    assert!(
        problem.message.contains("more than the API server can store"),
        "{}",
        problem.message
    );
}

/// A ResourceEnvelope with one object; a cluster-scoped one has no place in it.
fn resource_envelope(name: &str, wrapped: Value) -> Value {
    let mut envelope = object("ResourceEnvelope", "app", name);
    envelope["apiVersion"] = json!("placement.kubernetes-fleet.io/v1beta1");
    envelope["data"] = json!({"x.yaml": wrapped});
    envelope
}

fn with_content(content: &str) -> Value {
    let mut object = object("ConfigMap", "app", "a");
    object["data"] = json!({ "k": content });
    object
}

#[test]
fn a_faulty_envelope_stops_itself_and_not_its_neighbours() {
    let (good, bad) = (object("ConfigMap", "app", "inner"), object("Namespace", "", "other"));
    let work_of = |name: &str| api::names::envelope_work("crp-work", "ResourceEnvelope", "app", name);
    let snapshot = |name: &str, index, bad: &Value, content: &str| {
        let envelopes = [
            resource_envelope("good", good.clone()),
            resource_envelope("bad", bad.clone()),
        ];
        resources(
            name,
            index,
            None,
            1,
            [with_content(content)].into_iter().chain(envelopes).collect(),
        )
    };
    // From the start.
    let mut world = World::new(vec![snapshot("crp-0-snapshot", 0, &bad, "1")]);
    let failed = world.pass(&binding("m1", "crp-0-snapshot"));
    let RenderResult::NotSynchronized(problem) = &failed.result else {
        panic!("{failed:?}")
    };
    assert!(
        problem
            .message
            .contains("\"x.yaml\" of the ResourceEnvelope \"app/bad\""),
        "{}",
        problem.message
    );
    assert_eq!(problem.class.label(), "user");
    let mut wanted = ["crp-work".to_owned(), work_of("good")];
    wanted.sort();
    assert_eq!(world.names(), wanted);
    // What has become bad keeps the Work that it had, and gets the apply strategy like the others.
    let mut world = World::new(vec![snapshot("crp-0-snapshot", 0, &good, "1")]);
    world.pass(&binding("m1", "crp-0-snapshot"));
    let before = world.work(&work_of("bad"))["spec"]["workload"].clone();
    world.snapshots = vec![snapshot("crp-1-snapshot", 1, &bad, "2")];
    let mut bound = binding("m1", "crp-1-snapshot");
    bound.spec.apply_strategy = serde_json::from_value(json!({"type": "ServerSideApply"})).unwrap();
    assert!(matches!(world.pass(&bound).result, RenderResult::NotSynchronized(_)));
    assert_eq!(
        world.work("crp-work")["spec"]["workload"]["manifests"][0]["data"]["k"],
        "2"
    );
    assert_eq!(world.work(&work_of("bad"))["spec"]["workload"], before);
    assert_eq!(
        world.work(&work_of("bad"))["spec"]["applyStrategy"]["type"],
        "ServerSideApply"
    );
    assert_eq!(world.pass(&bound).writes, [], "nothing more happens while it stays bad");
    // It is deleted with the envelope, and changed again once the envelope is mended.
    let mended = snapshot("crp-1-snapshot", 1, &good, "2");
    world.snapshots = vec![mended];
    assert!(matches!(world.pass(&bound).result, RenderResult::Synchronized { .. }));
    assert_eq!(
        world.work(&work_of("bad"))["metadata"]["labels"]["kubernetes-fleet.io/parent-resource-snapshot-index"],
        "1"
    );
}

#[test]
fn a_faulty_envelope_is_reported_where_overrides_are_rendered_already() {
    let envelopes = vec![
        with_content("1"),
        resource_envelope("bad", object("Namespace", "", "other")),
    ];
    let mut world = World::new(vec![resources("crp-0-snapshot", 0, None, 1, envelopes)]);
    world.labels.insert("zone".to_owned(), "a".to_owned());
    world.overrides = vec![namespace_rule(
        "replace",
        "/data/k",
        json!("${MEMBER-CLUSTER-LABEL-KEY-zone}"),
    )];
    let mut bound = binding("m1", "crp-0-snapshot");
    bound.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    world.pass(&bound);
    // Neither a changed label nor a deleted override reaches the Work without a rollout.
    world.labels.clear();
    world.overrides.clear();
    let again = world.pass(&bound);
    assert!(
        matches!(&again.result, RenderResult::NotSynchronized(p) if p.message.contains("app/bad")),
        "{again:?}"
    );
    assert_eq!(again.writes, []);
    assert_eq!(
        world.work("crp-work")["spec"]["workload"]["manifests"][0]["data"]["k"],
        "a"
    );
}

#[test]
fn a_bad_override_stops_the_work_that_it_concerns_and_not_its_neighbours() {
    let envelopes = vec![
        with_content("1"),
        resource_envelope("e", object("ConfigMap", "app", "inner")),
    ];
    let mut world = World::new(vec![resources("crp-0-snapshot", 0, None, 1, envelopes)]);
    let selectors = json!([{"group": "", "version": "v1", "kind": "Namespace", "name": "app"}]);
    let rule = |path: &str| {
        json!({"clusterSelector": {"clusterSelectorTerms": []},
               "jsonPatchOverrides": [{"op": "replace", "path": path, "value": "over"}]})
    };
    // Only the plain ConfigMap has data.
    world.overrides = vec![over("cro-0", selectors, rule("/data/k"))];
    let mut bound = binding("m1", "crp-0-snapshot");
    bound.spec.cluster_resource_override_snapshots = vec!["cro-0".to_owned()];
    let failed = world.pass(&bound);
    let RenderResult::NotOverridden(problem) = &failed.result else {
        panic!("{failed:?}")
    };
    assert!(problem.message.contains("\"app/inner\""), "{}", problem.message);
    assert_eq!(world.names(), ["crp-work"]);
    assert_eq!(
        world.work("crp-work")["spec"]["workload"]["manifests"][0]["data"]["k"],
        "over"
    );
}

#[test]
fn an_envelopes_work_is_known_by_its_labels() {
    let mut world = World::new(vec![resources(
        "crp-0-snapshot",
        0,
        None,
        1,
        vec![config_map_envelope()],
    )]);
    let bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    let name = api::names::envelope_work("crp-work", "ConfigMap", "app", "sealed");
    let rename = |world: &mut World, from: &str, to: &str| {
        let mut work = world.work(from).clone();
        work["metadata"]["name"] = json!(to);
        world
            .stored
            .insert(Target::new(kinds::WORK, Some("fleet-member-m1"), to), work);
    };
    rename(&mut world, &name, "crp-work-configmap-0a1b");
    world.stored.retain(|target, _| target.name != name);
    assert_eq!(
        world.pass(&bound).result,
        synced(false, &["crp-work", "crp-work-configmap-0a1b"])
    );

    rename(&mut world, "crp-work-configmap-0a1b", "crp-work-configmap-2c3d");
    let doubled = world.pass(&bound);
    let RenderResult::NotSynchronized(problem) = &doubled.result else {
        panic!()
    };
    assert!(
        problem
            .message
            .ends_with(": crp-work-configmap-0a1b, crp-work-configmap-2c3d."),
        "{}",
        problem.message
    );
    assert_eq!(
        (doubled.events[0].reason, doubled.events[0].warning),
        ("DuplicateEnvelopeWorks", true)
    );
    // The Work of the ordinary objects is no part of it.
    assert_eq!((doubled.writes.len(), world.stored.len()), (0, 3));
}
