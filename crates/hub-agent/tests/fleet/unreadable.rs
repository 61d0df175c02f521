//! Objects of users that cannot be read, because a definition lets more through than it should.

use std::sync::Arc;

use kit::{ObjectKey, Resource};
use serde_json::{Value, json};

use crate::world::{DEFINITION, OVERRIDE, PLACEMENT, World, is_available};

const OVERRIDE_SNAPSHOT: Resource = Resource::cluster(
    "placement.kubernetes-fleet.io",
    "v1beta1",
    "ClusterResourceOverrideSnapshot",
    "clusterresourceoverridesnapshots",
);

/// Lets the definition of a kind accept anything.
async fn relax(world: &mut World, kind: &Resource) {
    let definitions = world.follow(DEFINITION);
    let key = ObjectKey::cluster(&format!("{}.{}", kind.plural, kind.group));
    let definition = definitions.until(&key, "there", |_| true).await;
    let mut versions = definition["spec"]["versions"].clone();
    for version in versions.as_array_mut().unwrap() {
        version["schema"] =
            json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    }
    world
        .patch(&DEFINITION, &key, json!({"spec": {"versions": versions}}))
        .await;
}

fn override_of(namespace: &str) -> Value {
    json!({
        "clusterResourceSelectors": [{"group": "", "version": "v1", "kind": "Namespace", "name": namespace}],
        "policy": {"overrideRules": [{
            "clusterSelector": {"clusterSelectorTerms": []},
            "jsonPatchOverrides": [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}],
        }]},
    })
}

/// How many objects of a kind the agent cannot read now.
fn unreadable(kind: &Resource) -> i64 {
    let gauge = &kit::metrics::runtime().unwrap().unreadable;
    gauge.with_label_values(&[&kind.qualified()]).get()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_named_to_its_user_and_blocks_no_other() {
    let mut world = World::new().await;
    for kind in [OVERRIDE, PLACEMENT] {
        relax(&mut world, &kind).await;
    }
    world.start(&[]);
    world.join(&["m1"]).await;
    let (placements, snapshots) = (world.follow(PLACEMENT), world.follow(OVERRIDE_SNAPSHOT));
    let events = world.follow(kit::events::EVENTS);
    let bad = json!({"metadata": {"name": "bad"}, "spec": {"policy": "nonsense"}});
    world.create(&OVERRIDE, None, &bad).await;
    world.create(&PLACEMENT, None, &bad).await;
    for kind in ["ClusterResourceOverride", "ClusterResourcePlacement"] {
        let named = |all: &[Arc<Value>]| {
            all.iter().any(|e| {
                e["reason"] == "ObjectUnreadable"
                    && e["type"] == "Warning"
                    && e["involvedObject"]["kind"] == kind
                    && e["involvedObject"]["name"] == "bad"
                    && e["message"]
                        .as_str()
                        .is_some_and(|text| text.contains("cannot be read"))
            })
        };
        events.until_all(&format!("named: {kind}"), named).await;
    }
    assert_eq!([OVERRIDE, PLACEMENT].map(|kind| unreadable(&kind)), [1, 1]);

    // Others go on: an override is taken up and a placement is placed.
    world.application("app").await;
    let good = json!({"metadata": {"name": "good"}, "spec": override_of("app")});
    world.create(&OVERRIDE, None, &good).await;
    let is_of = |snapshot: &Value, name: &str| {
        let labels = &snapshot["metadata"]["labels"];
        labels
            .as_object()
            .is_some_and(|all| all.values().any(|value| value == name))
    };
    let of = |name: &'static str| move |all: &[Arc<Value>]| all.iter().any(|snapshot| is_of(snapshot, name));
    snapshots.until_all("that of the good one", of("good")).await;
    world.place("crp", "app").await;
    placements
        .until(&ObjectKey::cluster("crp"), "available", is_available)
        .await;

    // They are corrected, and are like all others from then on.
    let bad = ObjectKey::cluster("bad");
    world
        .patch(&OVERRIDE, &bad, json!({"spec": override_of("other")}))
        .await;
    snapshots.until_all("that of the corrected one", of("bad")).await;
    let selector = json!({"group": "", "version": "v1", "kind": "Namespace", "name": "app"});
    let spec = json!({"policy": null, "resourceSelectors": [selector], "strategy": {
        "type": "RollingUpdate", "rollingUpdate": {"unavailablePeriodSeconds": 1}}});
    world.delete(&PLACEMENT, &ObjectKey::cluster("crp")).await;
    world.patch(&PLACEMENT, &bad, json!({"spec": spec})).await;
    placements.until(&bad, "available", is_available).await;
    assert_eq!([OVERRIDE, PLACEMENT].map(|kind| unreadable(&kind)), [0, 0]);
    world.stop().await;
}
