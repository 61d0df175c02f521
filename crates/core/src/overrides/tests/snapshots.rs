//! How the snapshots of an override are kept, plan by plan.

use std::collections::BTreeSet;

use super::*;
use crate::effects::Write;
use crate::objects::{Meta, OverrideKind};
use crate::overrides::snapshots::{self, Override};

fn an_override(rule_value: i64) -> Override {
    let spec = json!({
        "resourceSelectors": select("", "v1", "Service", "web"),
        "policy": {"overrideRules": [patch("add", "/spec/x", json!(rule_value))]},
    });
    Override {
        meta: Meta {
            name: "ro".to_owned(),
            namespace: Some("app".to_owned()),
            uid: "u1".to_owned(),
            resource_version: "5".to_owned(),
            finalizers: vec!["kubernetes-fleet.io/override-cleanup".to_owned()],
            ..Meta::default()
        },
        kind: OverrideKind::Namespaced(serde_json::from_value(spec.clone()).unwrap()),
        spec,
    }
}

/// Executes a plan over the list of snapshots.
fn execute(steps: &[Vec<Write>], snapshots: &mut Vec<Arc<OverrideSnapshot>>) {
    for write in steps.iter().flatten() {
        let name = write.target().name.clone();
        match write {
            Write::Create { object, .. } => snapshots.push(read(object.clone())),
            Write::ReplaceStatus { .. } => panic!("{write:?}"),
            Write::Delete { .. } => snapshots.retain(|s| s.meta.name != name),
            Write::MergePatch { body, .. } => {
                let Some(found) = snapshots.iter_mut().find(|s| s.meta.name == name) else {
                    continue;
                };
                let latest = body["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"]
                    .as_str()
                    .unwrap();
                let mut copy = OverrideSnapshot::clone(found);
                copy.meta
                    .labels
                    .insert("kubernetes-fleet.io/is-latest-snapshot".to_owned(), latest.to_owned());
                *found = Arc::new(copy);
            }
        }
    }
}

fn names(snapshots: &[Arc<OverrideSnapshot>]) -> Vec<String> {
    let mut names: Vec<_> = snapshots
        .iter()
        .map(|s| format!("{}{}", s.meta.name, if s.is_latest() { "*" } else { "" }))
        .collect();
    names.sort();
    names
}

#[test]
fn each_change_of_an_override_makes_one_snapshot() {
    let mut kept = Vec::new();
    let none = BTreeSet::new();
    for value in 0..3 {
        let over = an_override(value);
        let steps = snapshots::plan(&over, &kept, &none).steps;
        assert!(
            matches!(&steps[0][..], [Write::Create { .. }]),
            "the new one comes first: {steps:?}"
        );
        execute(&steps, &mut kept);
        assert_eq!(snapshots::plan(&over, &kept, &none).steps, Vec::<Vec<Write>>::new());
    }
    assert_eq!(names(&kept), ["ro-0", "ro-1", "ro-2*"]);
    let Write::Create { object, .. } = &snapshots::plan(&an_override(9), &kept, &none).steps[0][0] else {
        panic!()
    };
    assert_eq!(object["spec"]["overrideSpec"], an_override(9).spec);
    assert_eq!(object["metadata"]["ownerReferences"][0]["kind"], "ResourceOverride");
    assert_eq!(
        object["spec"]["overrideHash"].as_str().map(str::len),
        Some(88),
        "base64 of 64 digits"
    );

    // Going back to an earlier content is a new snapshot; a lost label comes back.
    execute(&snapshots::plan(&an_override(1), &kept, &none).steps, &mut kept);
    assert_eq!(names(&kept), ["ro-0", "ro-1", "ro-2", "ro-3*"]);
    let mut copy = OverrideSnapshot::clone(&kept[3]);
    copy.meta
        .labels
        .insert("kubernetes-fleet.io/is-latest-snapshot".to_owned(), "false".to_owned());
    kept[3] = Arc::new(copy);
    execute(&snapshots::plan(&an_override(1), &kept, &none).steps, &mut kept);
    assert_eq!(names(&kept), ["ro-0", "ro-1", "ro-2", "ro-3*"]);
}

#[test]
fn history_is_trimmed_but_never_what_a_binding_uses() {
    let mut kept = Vec::new();
    let in_use = BTreeSet::from(["ro-1".to_owned()]);
    for value in 0..12 {
        execute(&snapshots::plan(&an_override(value), &kept, &in_use).steps, &mut kept);
    }
    let left: BTreeSet<_> = kept.iter().map(|s| s.index().unwrap()).collect();
    assert_eq!(left, BTreeSet::from([1, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
    assert_eq!(kept.iter().filter(|s| s.is_latest()).count(), 1);
}

#[test]
fn a_deleted_override_takes_its_snapshots_along() {
    let mut kept = Vec::new();
    execute(
        &snapshots::plan(&an_override(0), &kept, &BTreeSet::new()).steps,
        &mut kept,
    );
    let mut over = an_override(0);
    over.meta.deleted = Some("2026-11-21T12:00:00Z".parse().unwrap());
    let steps = snapshots::plan(&over, &kept, &BTreeSet::new()).steps;
    assert!(
        matches!(&steps[..], [a, b] if matches!(a[..], [Write::Delete { .. }]) && b.len() == 1),
        "{steps:?}"
    );
    let Write::MergePatch {
        body, resource_version, ..
    } = &steps[1][0]
    else {
        panic!()
    };
    assert_eq!(
        (body, resource_version.as_deref()),
        (&json!({"metadata": {"finalizers": []}}), Some("5"))
    );
    over.meta.finalizers.clear();
    assert_eq!(
        snapshots::plan(&over, &kept, &BTreeSet::new()).steps,
        Vec::<Vec<Write>>::new()
    );
}

#[test]
fn a_new_override_gets_its_finalizer_first() {
    let mut over = an_override(0);
    over.meta.finalizers = vec!["other".to_owned()];
    let steps = snapshots::plan(&over, &[], &BTreeSet::new()).steps;
    let Write::MergePatch { body, .. } = &steps[0][0] else {
        panic!()
    };
    assert_eq!(
        body,
        &json!({"metadata": {"finalizers": ["other", "kubernetes-fleet.io/override-cleanup"]}})
    );
    assert!(matches!(&steps[1][..], [Write::Create { .. }]));
}

#[test]
fn a_snapshot_without_index_is_an_error() {
    let mut value = snapshot("app/ro-0", json!([]), json!([]));
    value["metadata"]["labels"]["kubernetes-fleet.io/override-index"] = json!("x");
    let plan = snapshots::plan(&an_override(0), &[read(value)], &BTreeSet::new());
    assert_eq!(plan.steps, Vec::<Vec<Write>>::new());
    assert_eq!(plan.problems[0].class.label(), "unexpected");
}
