//! What keeps Works from being as they should, and the end of a binding.

use super::*;
use crate::objects::Manifest;

#[test]
fn a_missing_snapshot_matters_only_to_works_that_were_not_made_from_it() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    world.snapshots.clear();
    assert_eq!(world.pass(&bound).result, synced(false, &["crp-work"]));
    let moved = world.pass(&binding("m1", "crp-1-snapshot"));
    assert!(
        matches!(&moved.result, RenderResult::NotSynchronized(p) if p.class.label() == "user"),
        "{moved:?}"
    );
    assert_eq!(moved.requeue, Some(Duration::from_secs(30)));
    // Works of old releases have no annotation; their index says it.
    world.work("crp-work")["metadata"]["annotations"] = json!({});
    assert_eq!(world.pass(&bound).result, synced(false, &["crp-work"]));
    // The apply strategy is pushed all the same.
    let mut moved = binding("m1", "crp-1-snapshot");
    moved.spec.apply_strategy = serde_json::from_value(json!({"type": "ServerSideApply"})).unwrap();
    let pushed = world.pass(&moved);
    assert!(matches!(pushed.result, RenderResult::NotSynchronized(_)));
    assert_eq!(
        world.work("crp-work")["spec"]["applyStrategy"]["type"],
        "ServerSideApply"
    );
}

#[test]
fn an_incomplete_group_is_waited_for() {
    let world = World::new(vec![resources("crp-0-snapshot", 0, None, 2, vec![])]);
    let result = world.render(&binding("m1", "crp-0-snapshot")).result;
    assert!(
        matches!(&result, RenderResult::NotSynchronized(p) if p.class.label() == "expected"),
        "{result:?}"
    );
    assert_eq!(world.render(&binding("m1", "")).result, RenderResult::Idle);
}

#[test]
fn the_work_of_an_earlier_binding_is_waited_for() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    world.work("crp-work")["metadata"]["deletionTimestamp"] = json!("2026-11-21T12:00:00Z");
    let waiting = world.pass(&bound);
    assert!(
        matches!(&waiting.result, RenderResult::NotSynchronized(p) if p.class.label() == "expected"),
        "{waiting:?}"
    );
    assert_eq!(waiting.writes, []);
    // What holds the deletion up is passed on.
    let said = "The Work is being deleted, and ConfigMap app/a is held.";
    world.work("crp-work")["status"] = json!({"conditions": [{"type": "Applied", "status": "False",
        "reason": "DeletionBlocked", "message": said, "observedGeneration": 2, "lastTransitionTime": "2026-11-21T12:00:05Z"}]});
    let RenderResult::NotSynchronized(problem) = world.pass(&bound).result else {
        panic!("it still waits");
    };
    assert!(problem.message.ends_with(said), "{}", problem.message);
    // Another member's Works are no obstacle.
    assert_eq!(world.pass(&binding("m2", "crp-0-snapshot")).result, synced(true, &[]));
}

#[test]
fn a_refused_write_is_reported_and_not_repeated() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    let wanted = world.render(&bound).writes;
    world.refused.insert(
        wanted[0].target().clone(),
        (wanted[0].fingerprint(), "spec is invalid".to_owned()),
    );
    let refused = world.pass(&bound);
    let RenderResult::NotSynchronized(problem) = &refused.result else {
        panic!("{refused:?}")
    };
    assert_eq!(
        problem.message,
        "The API server refuses the Work \"crp-work\": spec is invalid"
    );
    assert_eq!(
        (refused.writes.len(), refused.requeue),
        (0, Some(Duration::from_secs(30)))
    );
    // Other content is tried.
    world.snapshots = vec![resources("crp-0-snapshot", 0, None, 1, vec![])];
    assert_eq!(world.pass(&bound).result, synced(true, &[]));
}

#[test]
fn what_was_refused_keeps_works_that_are_no_longer_needed() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    // The next snapshot has its objects in another Work, which cannot be created.
    let mut elsewhere = world.work("crp-work").clone();
    elsewhere["metadata"]["name"] = json!("crp-left");
    let target = Target::new(api::kinds::WORK, Some("fleet-member-m1"), "crp-left");
    let wanted = Target::new(api::kinds::WORK, Some("fleet-member-m1"), "crp-work");
    world.stored.remove(&wanted);
    world.stored.insert(target.clone(), elsewhere);
    let fine = world.render(&bound).writes;
    assert!(
        fine.iter()
            .any(|write| matches!(write, Write::Delete { target: gone, .. } if *gone == target)),
        "{fine:?}"
    );
    let create = fine.iter().find(|write| *write.target() == wanted).unwrap();
    let exists = "it exists already".to_owned();
    world.refused.insert(wanted, (create.fingerprint(), exists));
    let refused = world.render(&bound);
    assert_eq!(refused.writes, []);
    assert!(
        matches!(refused.result, RenderResult::NotSynchronized(_)),
        "{refused:?}"
    );
}

#[test]
fn a_work_that_cannot_be_read_is_not_created_anew() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    let target = Target::new(api::kinds::WORK, Some("fleet-member-m1"), "crp-work");
    world.unreadable.insert(target);
    let waiting = world.render(&bound);
    let RenderResult::NotSynchronized(problem) = &waiting.result else {
        panic!("{waiting:?}")
    };
    assert_eq!(problem.class.label(), "expected");
    assert!(
        problem.message.contains("\"crp-work\" exists and cannot be read"),
        "{problem}"
    );
    assert_eq!(waiting.writes, []);
    // Other members are not concerned.
    assert_eq!(world.pass(&binding("m2", "crp-0-snapshot")).result, synced(true, &[]));
}

#[test]
fn a_binding_that_ends_withdraws_its_works() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    world.pass(&binding("m2", "crp-0-snapshot"));
    let plain = withdraw(&world.key, &bound, &world.works(), false);
    assert_eq!(plain.steps.len(), 1);
    assert!(
        matches!(&plain.steps[0][..], [Write::Delete { target, .. }] if target.namespace.as_deref() == Some("fleet-member-m1"))
    );
    let abandoned = withdraw(&world.key, &bound, &world.works(), true);
    let Write::MergePatch { body, .. } = &abandoned.steps[0][0] else {
        panic!()
    };
    assert_eq!(
        body,
        &json!({"metadata": {"annotations": {"kubernetes-fleet.io/abandon-on-delete": "true"}}})
    );
    assert_eq!(abandoned.steps[1], plain.steps[0]);
    for write in plain.steps.iter().flatten() {
        world.execute(write);
    }
    assert_eq!(
        withdraw(&world.key, &bound, &world.works(), false),
        Withdrawal::default()
    );
}

#[test]
fn manifests_are_shared_between_clusters() {
    let world = one_snapshot();
    let mut groups = Groups::new(&world.key, &world.snapshots);
    let (Found::Complete(a), Found::Complete(b)) = (groups.find("crp-0-snapshot"), groups.find("crp-0-snapshot"))
    else {
        panic!()
    };
    assert!(Arc::ptr_eq(&a, &b));
    let first: &Arc<Manifest> = &a.parts[0].plain[0];
    assert!(Arc::ptr_eq(first, &world.snapshots[0].manifests[0]));
}
