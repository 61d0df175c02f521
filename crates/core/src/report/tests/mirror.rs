//! The copy of a status in the namespace that its placement places.

use super::placement::Case;
use super::*;

fn accessible(namespace: Option<&str>) -> Placement {
    let mut selector = json!({"group": "", "version": "v1", "kind": "Namespace"});
    if let Some(namespace) = namespace {
        selector["name"] = json!(namespace);
    }
    placement(json!({"statusReportingScope": "NamespaceAccessible", "resourceSelectors": [selector]}))
}

#[test]
fn the_status_is_copied_into_its_namespace() {
    let case = Case::new(accessible(Some("app")), &["m1"], vec![bound("m1", 1, all_well())]);
    let plain = case.status();
    let mut status = plain.clone();
    let seen = Mirror {
        stored: None,
        namespace_usable: true,
    };
    let write = mirror(&case.placement, &mut status, seen, now()).unwrap();
    let crate::effects::Write::Create { target, object } = write else {
        panic!()
    };
    assert_eq!(
        (target.namespace.as_deref(), target.name.as_str()),
        (Some("app"), "crp")
    );
    assert_eq!(object["lastUpdatedTime"], "2026-11-21T12:00:00Z");
    assert_eq!(object["sourceStatus"], serde_json::to_value(&plain).unwrap());
    assert_eq!(
        object["metadata"]["ownerReferences"][0]["kind"],
        "ClusterResourcePlacement"
    );
    assert_eq!(
        words(&status.conditions).last().unwrap(),
        "ClusterResourcePlacementStatusSynced=True/StatusSyncSucceeded"
    );

    // Once it is there and equal, nothing is written, and the condition survives the next computation.
    let mut next = Case::new(
        with_status(&case.placement, status.clone()),
        &["m1"],
        vec![bound("m1", 1, all_well())],
    );
    let mut again = next.status();
    let seen = Mirror {
        stored: Some(&plain),
        namespace_usable: true,
    };
    assert_eq!(mirror(&next.placement, &mut again, seen, now()), None);
    assert_eq!(again, status);

    // A change is patched.
    next.policy = policy(vec![]);
    let mut changed = next.status();
    let crate::effects::Write::MergePatch { body, status: sub, .. } =
        mirror(&next.placement, &mut changed, seen, now()).unwrap()
    else {
        panic!()
    };
    assert!(!sub && body["sourceStatus"]["placementStatuses"].is_null(), "{body}");
}

#[test]
fn the_copy_needs_a_namespace() {
    let mut status = PlacementStatus::default();
    let seen = Mirror {
        stored: None,
        namespace_usable: false,
    };
    assert_eq!(mirror(&accessible(Some("app")), &mut status, seen, now()), None);
    assert_eq!(
        words(&status.conditions),
        ["ClusterResourcePlacementStatusSynced=False/StatusSyncFailed"]
    );
    let mut status = PlacementStatus::default();
    assert_eq!(mirror(&accessible(None), &mut status, seen, now()), None);
    assert_eq!(
        words(&status.conditions),
        ["ClusterResourcePlacementScheduled=False/InvalidResourceSelectors"]
    );
    let mut status = PlacementStatus::default();
    assert_eq!(mirror(&placement(json!({})), &mut status, seen, now()), None);
    assert_eq!(words(&status.conditions).len(), 0);
}

#[test]
fn a_readable_status_cannot_move_to_another_namespace() {
    let selected = |name: &str| {
        let mut placement = accessible(Some("app"));
        placement.status.selected_resources =
            serde_json::from_value(json!([{"version": "v1", "kind": "Namespace", "name": name}])).unwrap();
        placement
    };
    assert_eq!(consistent(&accessible(Some("app"))), Ok(()));
    assert_eq!(consistent(&selected("app")), Ok(()));
    assert_eq!(
        consistent(&selected("old")),
        Err(
            "The placement shows its status in the namespace \"old\" and cannot move to the namespace \"app\"."
                .to_owned()
        )
    );
}
