//! Crashes, and how placements end.

use std::time::Duration;

use api::kinds;
use fairway_core::effects::{Target, Write};
use serde_json::json;

use crate::hub::{Hub, config_map, spec};
use crate::life::yes;

/// Brings a placement on two members to a point, executes the next pass without one write and everything that comes in
/// later steps, and lets a new agent carry on.
fn crash(prepare: impl Fn(&mut Hub), check: impl Fn(&mut Hub, &str)) {
    let mut lost = 0;
    loop {
        let mut hub = Hub::new(&["a", "b"]);
        hub.place(spec(json!({"placementType": "PickAll"})));
        prepare(&mut hub);
        let pass = hub.plan();
        let mut seen = 0;
        let mut description = String::new();
        for step in pass.steps.iter().chain([&pass.deferrable]) {
            for write in step {
                if seen == lost {
                    description = format!("without write {lost}, {:?}", write.target());
                } else {
                    hub.apply(write).unwrap();
                }
                seen += 1;
            }
            if seen > lost {
                break;
            }
        }
        if description.is_empty() {
            assert!(lost > 5, "the passes under test have several writes");
            return;
        }
        // A young Work without binding is left alone, in case only a watch is slow.
        hub.settle();
        hub.wait(Duration::from_secs(61));
        hub.settle();
        check(&mut hub, &description);
        lost += 1;
    }
}

fn available_on_both(hub: &mut Hub, description: &str) {
    for _ in 0..3 {
        hub.answer(true, Some("AllManifestsAvailable"));
        hub.settle();
    }
    assert_eq!(hub.condition("Available"), yes("ResourceAvailable"), "{description}");
    assert_eq!(hub.count(kinds::WORK), 2, "{description}");
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_BINDING), 2, "{description}");
}

#[test]
fn a_crash_at_any_write_heals() {
    crash(|_| {}, available_on_both);
    crash(
        |hub| {
            hub.settle();
            hub.answer(true, Some("AllManifestsAvailable"));
            hub.settle();
            hub.index.put(config_map("one", "2"));
        },
        |hub, description| {
            available_on_both(hub, description);
            assert_eq!(hub.placement()["status"]["observedResourceIndex"], "1", "{description}");
        },
    );
    crash(
        |hub| {
            hub.settle();
            hub.delete_placement();
        },
        |hub, description| {
            hub.finish_works();
            assert!(hub.objects.is_empty(), "{description}");
        },
    );
}

#[test]
fn a_crash_while_a_large_group_is_made_heals() {
    for lost in ["web-0-snapshot", "web-0-0"] {
        let mut hub = Hub::new(&[]);
        for name in ["large-1", "large-2"] {
            hub.index.put(config_map(name, &"x".repeat(450 * 1024)));
        }
        hub.place(spec(json!({"placementType": "PickAll"})));
        for step in hub.plan().steps {
            let (missed, done): (Vec<_>, Vec<_>) = step.iter().partition(|write| write.target().name == lost);
            done.iter().for_each(|write| hub.apply(write).unwrap());
            if !missed.is_empty() {
                break;
            }
        }
        let pass = hub.settle();
        assert_eq!(pass.problems, [], "without {lost}");
        assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_SNAPSHOT), 2, "without {lost}");
        assert_eq!(
            hub.placement()["status"]["observedResourceIndex"],
            "0",
            "without {lost}"
        );
    }
}

#[test]
fn a_work_whose_binding_was_never_made_keeps_its_place() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    let pass = hub.plan();
    for write in pass
        .writes()
        .filter(|write| write.target().resource != kinds::CLUSTER_RESOURCE_BINDING)
    {
        hub.apply(write).unwrap();
    }
    hub.wait(Duration::from_secs(3600));
    hub.log.clear();
    hub.settle();
    assert!(
        hub.log.iter().all(|write| write.target().resource != kinds::WORK),
        "what the member applies is not touched"
    );
    let work = hub.get(kinds::WORK, "web-work").unwrap();
    let named = &work["metadata"]["labels"]["kubernetes-fleet.io/parent-resource-binding"];
    assert_eq!(&hub.binding("a").unwrap()["metadata"]["name"], named);
}

#[test]
fn abandoned_works_are_marked_before_they_are_deleted() {
    let mut hub = Hub::new(&["a"]);
    let mut abandon = spec(json!({"placementType": "PickAll"}));
    abandon["strategy"]["deleteStrategy"] = json!({"propagationPolicy": "Abandon"});
    hub.place(abandon);
    hub.settle();
    hub.delete_placement();
    let pass = hub.pass();
    let at = |deleted: bool| {
        let is = |w: &Write| w.target().resource == kinds::WORK && matches!(w, Write::Delete { .. }) == deleted;
        pass.steps.iter().position(|step| step.iter().any(is)).unwrap()
    };
    assert!(at(false) < at(true), "{:?}", pass.steps);
    let work = hub.get(kinds::WORK, "web-work").unwrap();
    assert_eq!(
        work["metadata"]["annotations"]["kubernetes-fleet.io/abandon-on-delete"],
        "true"
    );
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_BINDING), 0);
}

#[test]
fn bindings_of_a_placement_that_is_gone_are_let_go() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    let name = hub.binding("a").unwrap()["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    hub.apply(&Write::Delete {
        target: Target::new(kinds::CLUSTER_RESOURCE_BINDING, None, &name),
        uid: None,
    })
    .unwrap();
    hub.objects
        .retain(|target, _| target.resource != kinds::CLUSTER_RESOURCE_PLACEMENT);
    hub.settle();
    assert_eq!(hub.count(kinds::CLUSTER_RESOURCE_BINDING), 0);
    hub.finish_works();
    assert_eq!(hub.count(kinds::WORK), 0);
}

#[test]
fn works_stay_while_a_binding_cannot_be_read() {
    let mut hub = Hub::new(&["a"]);
    hub.place(spec(json!({"placementType": "PickAll"})));
    hub.settle();
    hub.answer(true, Some("AllManifestsAvailable"));
    hub.settle();
    // What cannot be read is not there for the planner. Nor is the member, so that no other binding takes its place.
    hub.objects
        .retain(|target, _| target.resource != kinds::CLUSTER_RESOURCE_BINDING);
    hub.members.clear();
    hub.unreadable_bindings.insert("other".to_owned());
    hub.wait(Duration::from_secs(3600));
    hub.settle();
    assert_eq!(hub.count(kinds::WORK), 1);
    hub.finish_works();
    assert_eq!(hub.count(kinds::WORK), 1);
    hub.unreadable_bindings.clear();
    hub.settle();
    hub.finish_works();
    assert_eq!(hub.count(kinds::WORK), 0, "it is known to be left behind");
}

#[test]
fn a_deselected_cluster_whose_objects_cannot_go_is_warned_about() {
    let mut hub = Hub::new(&["a", "b"]);
    let on = |names: &[&str]| spec(json!({"placementType": "PickFixed", "clusterNames": names}));
    hub.place(on(&["a", "b"]));
    for _ in 0..3 {
        hub.pass();
        hub.answer(true, Some("AllManifestsAvailable"));
    }
    hub.place(on(&["a"]));
    for _ in 0..3 {
        hub.pass();
    }
    let going = Target::new(kinds::WORK, Some("fleet-member-b"), "web-work");
    assert!(
        hub.objects[&going]["metadata"].get("deletionTimestamp").is_some(),
        "its member still has the objects"
    );
    assert_eq!(hub.settle().standing, [], "the member has only just begun");
    let said = "These objects on the member are held: ConfigMap app/one by the finalizer example.com/hold.";
    hub.objects.get_mut(&going).unwrap()["status"] = json!({"conditions": [{"type": "Applied", "status": "False",
        "reason": "DeletionBlocked", "message": said, "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:05Z"}]});
    let pass = hub.settle();
    let [warning] = pass.standing.as_slice() else {
        panic!("{:?}", pass.standing)
    };
    assert_eq!(
        warning.event.about,
        Target::new(kinds::CLUSTER_RESOURCE_PLACEMENT, None, "web")
    );
    assert_eq!((warning.event.reason, warning.generation), ("DeletionBlocked", 2));
    assert_eq!(
        warning.event.note,
        format!("The Work \"web-work\" of member cluster \"b\" is not gone yet. The member says: {said}")
    );
    hub.finish_works();
    assert_eq!(hub.settle().standing, []);
}
