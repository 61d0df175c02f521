//! Decoding, order, marks, inventory and single decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::world::*;
use crate::payload::*;

#[test]
fn payloads_are_decoded_whole_or_not_at_all() {
    let fine = "---\n# nothing\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n---\n\
        {\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": [{\"kind\": \"Secret\", \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"b\"}}]}\n\
        ---\nkind: DeploymentList\napiVersion: apps/v1\nitems: [{metadata: {name: c}}]\n";
    let payload = Payload::decode(fine).unwrap();
    let found: Vec<String> = payload
        .manifests
        .iter()
        .map(|m| format!("{} {}", m.version, m.id))
        .collect();
    assert_eq!(found, ["v1 ConfigMap a", "v1 Secret b", "v1 Deployment c"]);
    assert_eq!(Payload::decode("").unwrap().manifests, []);
    assert_eq!(Payload::decode(r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a"}}{"kind":"B","apiVersion":"v1","metadata":{"name":"b"}}"#).unwrap().manifests.len(), 2);
    let named = "kind: A\napiVersion: v1\nmetadata: {name: a}\n---\n";
    for (text, document, part) in [
        (format!("{named}a: ["), Some(1), "cannot be decoded"),
        (format!("{named}just text"), Some(1), "no object"),
        (format!("{named}{named}"), Some(1), "twice"),
        (format!("{named}kind: A\napiVersion: v1\n"), Some(1), "no name"),
        (
            format!("{named}kind: A\napiVersion: v1\nmetadata: {{generateName: a-}}\n"),
            Some(1),
            "generateName",
        ),
        (
            format!("{named}apiVersion: v1\nmetadata: {{name: b}}\n"),
            Some(1),
            "no kind",
        ),
        (
            format!("{named}kind: A\nmetadata: {{name: b}}\n"),
            Some(1),
            "no apiVersion",
        ),
        (
            "kind: A\napiVersion: v1\nmetadata: {name: a/status}\n".to_owned(),
            Some(0),
            "cannot be a name",
        ),
        (
            "kind: A\napiVersion: v1\nmetadata: {name: a, labels: {b: 1}}\n".to_owned(),
            Some(0),
            "metadata.labels",
        ),
        (" ".repeat(MAX_BYTES + 1), None, "bytes"),
        (
            (0..=MAX_OBJECTS)
                .map(|n| format!("{{kind: A, apiVersion: v1, metadata: {{name: a{n}}}}}\n---\n"))
                .collect(),
            None,
            "more than 1000",
        ),
    ] {
        let error = Payload::decode(&text).unwrap_err();
        assert_eq!(error.document, document, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn the_hash_is_that_of_the_objects() {
    let yaml = Payload::decode("metadata:\n  name: a\nkind: A\napiVersion: v1\n").unwrap();
    let json = Payload::decode(r#"{"kind":"A","apiVersion":"v1","metadata":{"name":"a"}}"#).unwrap();
    assert_eq!(yaml.hash, json.hash);
    // printf '[{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}]' | sha256sum
    assert_eq!(
        yaml.hash,
        "85ffeb292e41b6bfdc99a6b53a19fa6ec508a37eb1ef3a66833967c668dedf61"
    );
}

#[test]
fn the_fence_grace_follows_the_slowest_pod() {
    let grace = |objects: &[serde_json::Value]| decode(objects).fence_grace();
    let template = |pod: serde_json::Value| json!({ "template": { "spec": pod } });
    let with = |seconds: i64| template(json!({ "containers": [{}], "terminationGracePeriodSeconds": seconds }));
    assert_eq!(grace(&[object("v1", "ConfigMap", "a")]), Duration::from_secs(10));
    let mut deployment = object("apps/v1", "Deployment", "a");
    deployment["spec"] = with(1);
    assert_eq!(grace(std::slice::from_ref(&deployment)), Duration::from_secs(10));
    let mut cron = object("batch/v1", "CronJob", "b");
    cron["spec"] = json!({ "jobTemplate": { "spec": with(60) } });
    assert_eq!(grace(&[deployment.clone(), cron]), Duration::from_secs(65));
    deployment["spec"] = template(json!({ "containers": [{}] }));
    assert_eq!(grace(&[deployment]), Duration::from_secs(35));
}

#[test]
fn objects_get_their_place_and_their_turn() {
    let mut crd = object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "things.example.com",
    );
    crd["spec"] = json!({ "group": "example.com", "scope": "Namespaced", "names": { "kind": "Thing", "plural": "things" },
        "versions": [{ "name": "v1", "served": true }, { "name": "v0", "served": false }] });
    let all = [
        object("apps/v1", "Deployment", "web"),
        object("example.com/v1", "Thing", "thing"),
        object("v1", "Service", "web"),
        object("v1", "PersistentVolumeClaim", "disk"),
        object("rbac.authorization.k8s.io/v1", "RoleBinding", "may"),
        object("rbac.authorization.k8s.io/v1", "Role", "may"),
        crd,
        object("v1", "Namespace", "shop"),
    ];
    let resolved = decode(&all).resolve(&mapping()).unwrap();
    let order: Vec<String> = resolved.objects.iter().map(|o| o.id.to_string()).collect();
    assert_eq!(
        order,
        [
            "Namespace shop",
            "CustomResourceDefinition things.example.com",
            "Role default/may",
            "RoleBinding default/may",
            "PersistentVolumeClaim default/disk",
            "Service default/web",
            "Thing default/thing",
            "Deployment default/web"
        ]
    );
    assert_eq!(resolved.objects[7].manifest["metadata"]["namespace"], "default");
    let unknown = decode(&[object("example.com/v0", "Thing", "a")])
        .resolve(&mapping())
        .unwrap_err();
    assert_eq!(unknown.to_string(), "the cluster does not serve example.com/v0 Thing");
    let mut explicit = object("v1", "Service", "web");
    explicit["metadata"]["namespace"] = json!("default");
    let twice = decode(&[object("v1", "Service", "web"), explicit])
        .resolve(&mapping())
        .unwrap_err();
    assert!(
        twice
            .to_string()
            .contains("document 1 of the payload: Service default/web"),
        "{twice}"
    );
}

#[test]
fn inventories_are_read_back_and_damage_is_noticed() {
    let mut inventory = Inventory::default();
    let mut stored = BTreeMap::new();
    let mut before = None;
    for n in 0..2500 {
        let mut entry = entry(&format!("object-{n:04}-{}", "x".repeat(40)));
        inventory.set(entry.clone());
        if n % 500 == 499 {
            entry.state = State::Applied;
            entry.uid = Some("00000000-0000-0000-0000-000000000000".into());
            inventory.set(entry);
            for write in writes(before.as_ref(), &inventory) {
                match write.text {
                    Some(text) => stored.insert(write.shard, text),
                    None => stored.remove(&write.shard),
                };
                // A crash at any point leaves something that can be read.
                Inventory::read(&stored)
                    .map(|read| assert!(read.entries().count() <= n + 1))
                    .unwrap_or_else(|damage| {
                        assert!(stored.is_empty() || !stored.contains_key(&0), "{damage}");
                    });
            }
            before = Some(inventory.clone());
        }
    }
    assert!(
        stored.len() > 1 && stored.values().all(|text| text.len() < 500 * 1024),
        "{}",
        stored.len()
    );
    assert_eq!(Inventory::read(&stored), Ok(inventory.clone()));
    assert_eq!(Inventory::read(&BTreeMap::new()), Ok(Inventory::default()));
    let last = *stored.keys().last().unwrap();
    type Break = fn(&mut BTreeMap<usize, String>, usize);
    let breaks: [Break; 5] = [
        |parts: &mut BTreeMap<usize, String>, last: usize| drop(parts.remove(&last)),
        |parts: &mut BTreeMap<usize, String>, _: usize| drop(parts.remove(&0)),
        |parts: &mut BTreeMap<usize, String>, last: usize| drop(parts.insert(last, "{".into())),
        |parts: &mut BTreeMap<usize, String>, last: usize| drop(parts.insert(last + 1, parts[&last].clone())),
        |parts: &mut BTreeMap<usize, String>, last: usize| {
            drop(parts.insert(last, parts[&last].replacen("\"version\":1", "\"version\":2", 1)))
        },
    ];
    for break_it in breaks {
        let mut parts = stored.clone();
        break_it(&mut parts, last);
        assert!(Inventory::read(&parts).is_err());
    }
    let ends: Vec<_> = writes(Some(&inventory), &Inventory::default())
        .iter()
        .map(|w| (w.shard, w.text.is_some()))
        .collect();
    assert_eq!(ends[0], (0, true), "{ends:?}");
    assert!(ends[1..].iter().all(|(_, written)| !written), "{ends:?}");
}

proptest! {
    /// Whatever bytes arrive, decoding ends, and what it takes can be resolved or refused.
    #[test]
    fn any_text_is_taken_or_refused(text in "[a-z:{}\\[\\]\",\\- \n]{0,200}") {
        if let Ok(payload) = Payload::decode(&text) {
            let _ = payload.resolve(&mapping());
            payload.fence_grace();
        }
    }
}

#[test]
fn a_workload_of_others_is_neither_changed_nor_deleted_unless_adopted() {
    let mut world = World::new(&[object("apps/v1", "Deployment", "web")]);
    world.foreign(object("apps/v1", "Deployment", "web"));
    let before = world.objects.clone();
    let plan = world.lead();
    assert_eq!(plan.findings.foreign.len(), 1);
    assert_eq!(world.objects, before);
    world.remove();
    assert_eq!(world.objects, before);
    world.adopt = true;
    world.lead();
    world.remove();
    assert!(world.objects.is_empty());
}

#[test]
fn what_others_own_is_shared_or_left_alone() {
    let mut theirs = object("v1", "ConfigMap", "settings");
    theirs["data"] = json!({ "a": "1" });
    for (value, state) in [("1", State::Shared), ("2", State::Conflict)] {
        let mut ours = theirs.clone();
        ours["data"] = json!({ "a": value });
        let mut world = World::new(&[ours, object("v1", "Namespace", "kube-system")]);
        world.foreign(theirs.clone());
        world.foreign(object("v1", "Namespace", "kube-system"));
        let before = world.contents();
        let plan = world.lead();
        assert_eq!(plan.findings.conflicts.len(), usize::from(state == State::Conflict));
        let states: Vec<State> = world.stored.entries().map(|(_, entry)| entry.state).collect();
        assert_eq!(states, [state, State::Shared]);
        world.remove();
        assert_eq!(world.contents(), before);
    }
}

#[test]
fn objects_of_a_newer_term_are_not_touched() {
    let mut world = World::new(&[object("v1", "ConfigMap", "a"), object("apps/v1", "Deployment", "web")]);
    world.lead();
    world.restart();
    world.term = 3;
    let before = world.objects.clone();
    assert_eq!(world.plan_apply().findings.outranked.len(), 2);
    assert_eq!(world.plan_remove(0).plan.findings.outranked.len(), 2);
    assert!(!world.plan_remove(0).plan.done);
    assert_eq!(world.objects, before);
}

#[test]
fn a_namespace_stays_while_others_use_it() {
    let mut inside = object("v1", "ConfigMap", "ours");
    inside["metadata"]["namespace"] = json!("shop");
    let mut theirs = object("v1", "PersistentVolumeClaim", "data");
    theirs["metadata"]["namespace"] = json!("shop");
    let payload = [object("v1", "Namespace", "shop"), inside];
    let mut world = World::new(&payload);
    world.lead();
    world.foreign(theirs);
    let kept = world.remove();
    assert_eq!(
        kept.findings.kept.into_values().collect::<Vec<_>>(),
        ["PersistentVolumeClaim shop/data"]
    );
    assert_eq!(world.objects.len(), 2);
    assert!(world.stored.is_clear());
    let mut world = World::new(&payload);
    world.lead();
    world.remove();
    assert!(world.objects.is_empty());
}

#[test]
fn what_is_no_longer_listed_goes_after_the_new_is_there() {
    let mut world = World::new(&[object("v1", "ConfigMap", "old"), object("v1", "ConfigMap", "both")]);
    world.lead();
    world.change(&[
        object("v1", "ConfigMap", "both"),
        object("apps/v1", "Deployment", "new"),
    ]);
    world.lead();
    let names: Vec<&str> = world.objects.keys().map(|id| id.name.as_str()).collect();
    assert_eq!(names, ["both", "new"]);
}

#[test]
fn an_object_that_others_create_in_the_same_moment_stays_theirs() {
    let both = [object("v1", "ConfigMap", "a"), object("apps/v1", "Deployment", "web")];
    let mut world = World::new(&both);
    let first = world.plan_apply();
    world.foreign(both[0].clone());
    world.carry_out(&first).unwrap();
    let second = world.plan_apply();
    world.foreign(both[1].clone());
    let before = world.objects.keys().cloned().collect::<Vec<_>>();
    world.carry_out(&second).unwrap();
    let last = world.lead();
    assert_eq!(last.findings.foreign.len(), 1);
    assert_eq!(
        world.stored.get(&before[0]).map(|entry| entry.state),
        Some(State::Shared)
    );
    let web = &world.objects[&before[1]];
    assert_eq!(
        web["metadata"]["labels"],
        json!({}),
        "our part of a foreign workload goes again"
    );
    world.remove();
    assert_eq!(world.objects.keys().cloned().collect::<Vec<_>>(), before);
}

#[test]
fn a_newer_term_also_protects_pods_when_time_is_over() {
    let mut world = World::new(&[object("apps/v1", "Deployment", "web")]);
    world.lead();
    world.restart();
    world.term = 3;
    let plan = world.plan_remove(100).plan;
    assert_eq!(
        (plan.steps.len(), plan.findings.pods.len(), plan.findings.forced),
        (0, 1, true)
    );
}

#[test]
fn what_others_made_in_the_place_of_ours_is_not_deleted() {
    let payload = [object("v1", "ConfigMap", "a"), object("apps/v1", "Deployment", "web")];
    let mut world = World::new(&payload);
    world.lead();
    world.objects.clear();
    world.pods.clear();
    for theirs in payload {
        world.foreign(theirs);
    }
    let theirs = world.objects.clone();
    let plan = world.remove();
    assert_eq!(world.objects, theirs);
    assert!(plan.done && world.stored.is_clear());
}

#[test]
fn shared_objects_stay_also_when_the_inventory_was_lost() {
    let mut world = World::new(&[object("v1", "ConfigMap", "theirs"), object("v1", "ConfigMap", "ours")]);
    world.foreign(object("v1", "ConfigMap", "theirs"));
    world.lead();
    world.lose_inventory();
    world.lead();
    world.remove();
    let left: Vec<&str> = world.objects.keys().map(|id| id.name.as_str()).collect();
    assert_eq!(left, ["theirs"]);
}

#[test]
fn pods_without_their_workload_are_waited_for_also_after_a_restart() {
    let mut world = World::new(&[object("apps/v1", "Deployment", "web")]);
    world.lead();
    world.objects.clear();
    assert!(!world.step_remove(0).plan.done);
    world.restart();
    let plan = world.step_remove(0).plan;
    assert_eq!(
        (plan.done, plan.findings.pods),
        (false, vec!["default/web-1".to_owned()])
    );
    world.pods.clear();
    assert!(world.remove().done && world.stored.is_clear());
}

#[test]
fn a_failed_step_comes_again_when_its_answer_is_forgotten() {
    let mut world = World::new(&[
        object("v1", "Namespace", "shop"),
        object("apps/v1", "Deployment", "web"),
    ]);
    let shop = world.payload.objects[0].id.clone();
    let first = world.plan_apply();
    world
        .carry_out(&Plan {
            steps: first.steps[..1].to_vec(),
            ..Plan::default()
        })
        .unwrap();
    world.round.note(
        shop.clone(),
        Outcome::Failed {
            message: "try later".into(),
        },
    );
    let held = world.plan_apply();
    assert_eq!(
        (held.steps.len(), held.done),
        (0, false),
        "nothing goes before its namespace"
    );
    assert_eq!(held.findings.failed[&shop], "try later");
    world.round.forget(&shop);
    assert!(world.lead().done);
}

#[test]
fn kinds_that_are_gone_count_as_removed() {
    let mut world = World::new(&[object("v1", "ConfigMap", "a")]);
    world.lead();
    let observed = Observed {
        unmapped: world.objects.keys().cloned().collect(),
        ..Observed::default()
    };
    let input = RemoveInput {
        stored: &world.stored,
        observed: &observed,
        round: &Round::default(),
        owner: &world.owner,
        term: 4,
        elapsed: 0,
        family: &Default::default(),
    };
    let plan = plan_remove(input).plan;
    assert_eq!(plan.steps, [Step::Store(Inventory::default())]);
    assert_eq!(plan.findings.unmapped.len(), 1);
}

#[test]
fn a_dry_run_leaves_out_what_needs_the_payload_itself() {
    let mut inside = object("v1", "ConfigMap", "inside");
    inside["metadata"]["namespace"] = json!("shop");
    let world = World::new(&[
        object("v1", "Namespace", "shop"),
        inside,
        object("v1", "Service", "web"),
    ]);
    let (stored, observed, round) = (Inventory::default(), Observed::default(), Round::default());
    let input = ApplyInput {
        payload: &world.payload,
        stored: &stored,
        observed: &observed,
        round: &round,
        owner: &world.owner,
        term: 1,
        adopt_existing: false,
    };
    let tried: Vec<String> = dry_run(input)
        .iter()
        .map(|step| match step {
            Step::Apply { id, .. } => id.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tried, ["Namespace shop", "Service default/web"]);
    assert!(foreign_workloads(input).is_empty());
}

#[test]
fn a_payload_is_available_when_all_of_it_is() {
    let mut observed = Observed::default();
    let mut kinds = mapping();
    let jobs = api::resource::Resource::namespaced("batch", "v1", "Job", "jobs");
    kinds.insert(
        Kind {
            group: "batch".into(),
            version: "v1".into(),
            kind: "Job".into(),
        },
        jobs,
    );
    let payload = decode(&[object("batch/v1", "Job", "a"), object("v1", "ConfigMap", "b")])
        .resolve(&kinds)
        .unwrap();
    let down = |observed: &Observed| unavailable(&payload, observed).len();
    assert_eq!(down(&observed), 2);
    let (config, job) = (payload.objects[0].id.clone(), payload.objects[1].id.clone());
    observed.objects.insert(config, json!({}));
    for (status, left) in [
        (json!({}), 1),
        (json!({ "active": 1 }), 0),
        (json!({ "conditions": [{ "type": "Complete", "status": "True" }] }), 0),
        (
            json!({ "active": 1, "conditions": [{ "type": "Failed", "status": "True" }] }),
            1,
        ),
    ] {
        observed.objects.insert(job.clone(), json!({ "status": status }));
        assert_eq!(down(&observed), left, "{status}");
    }
}

#[test]
fn pods_that_do_not_end_are_ended_and_reported() {
    let mut world = World::new(&[object("apps/v1", "Deployment", "web")]);
    world.lead();
    world.stubborn = true;
    assert!(!world.step_remove(0).plan.done);
    assert!(world.plan_remove(79).plan.steps.is_empty());
    let late = world.plan_remove(80).plan;
    assert!(
        matches!(&late.steps[..], [Step::Delete { at_once: true, .. }]),
        "{late:?}"
    );
    assert!(!late.findings.forced && world.plan_remove(100).plan.findings.forced);
    world.step_remove(80);
    assert!(world.remove().done && world.objects.is_empty() && world.pods.is_empty());
}
