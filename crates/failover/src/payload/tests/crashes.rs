//! Whatever the executor was about to write when it ended, the next one brings the work to its end.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::*;

/// What payloads are made of.
fn candidates() -> Vec<Value> {
    let mut inside = object("v1", "ConfigMap", "inside");
    inside["metadata"]["namespace"] = json!("shop");
    let mut settings = object("v1", "ConfigMap", "settings");
    settings["data"] = json!({ "a": "1" });
    let crd = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.example.com" } });
    vec![
        object("v1", "Namespace", "shop"),
        inside,
        settings,
        object("v1", "Service", "web"),
        object("apps/v1", "Deployment", "web"),
        crd,
        object("v1", "Namespace", "kube-system"),
    ]
}

/// For each candidate whether it is in the payload, and whether somebody else has one: no (0), an equal one, another one.
fn world(parts: &[(bool, u8)]) -> (World, std::collections::BTreeMap<crate::payload::ObjectId, Value>) {
    let all: Vec<(Value, u8)> = candidates()
        .into_iter()
        .zip(parts)
        .filter(|(_, (there, _))| *there)
        .map(|(o, (_, f))| (o, *f))
        .collect();
    let objects: Vec<Value> = all.iter().map(|(object, _)| object.clone()).collect();
    let mut world = World::new(&objects);
    let inside = all
        .iter()
        .any(|(object, foreign)| *foreign > 0 && object["metadata"]["namespace"] == "shop");
    for (mut object, foreign) in all {
        if foreign == 2 && !object["data"].is_null() {
            object["data"] = json!({ "a": "2" });
        }
        // That namespace is in every cluster, and others have things only in namespaces that exist.
        let name = &object["metadata"]["name"];
        if foreign > 0 || name == "kube-system" || (inside && name == "shop") {
            world.foreign(object);
        }
    }
    let before = world.contents();
    (world, before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Crashes at every write of applying and of removing. The world itself verifies after each write that nothing is
    /// untracked, and at each deletion that the UID is `Applied` in what is stored.
    #[test]
    fn applying_and_removing_leaves_the_cluster_as_it_was(
        parts in prop::collection::vec((any::<bool>(), 0_u8..3), 7),
    ) {
        let (mut whole, before) = world(&parts);
        whole.lead();
        let applied = whole.contents();
        whole.remove();
        prop_assert_eq!(&whole.contents(), &before);
        prop_assert!(whole.stored.is_clear());
        for crash in 0..2 * whole.writes {
            let (mut world, _) = world(&parts);
            world.crash_at = Some(crash);
            let mut crashed = false;
            if world.try_lead().is_err() {
                crashed = true;
                world.restart();
                // Another try, or the removal right away.
                if crash % 4 < 2 {
                    world.lead();
                    prop_assert!(world.contents().keys().eq(applied.keys()));
                }
            }
            world.restart();
            if world.try_remove().is_err() {
                prop_assert!(!crashed);
                world.restart();
                world.try_remove().unwrap();
            }
            prop_assert_eq!(&world.contents(), &before, "crash {}", crash);
            prop_assert!(world.stored.is_clear() && world.pods.is_empty());
        }
    }

    /// A plan that is done stays done, and a second leader's round writes the same objects again and no inventory.
    #[test]
    fn applying_again_changes_nothing(parts in prop::collection::vec((any::<bool>(), 0_u8..3), 7)) {
        let (mut world, _) = world(&parts);
        world.lead();
        let (objects, stored) = (world.objects.clone(), world.stored.clone());
        world.restart();
        world.lead();
        prop_assert_eq!(world.objects, objects);
        prop_assert_eq!(world.stored, stored);
    }
}
