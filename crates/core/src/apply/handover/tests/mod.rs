//! Tables of single decisions; lives of whole placements are in [`lives`].

mod lives;

use super::*;
use crate::apply::work_group::ObjectSet;
use api::text::{annotations, labels};
use serde_json::json;

/// A Work of the placement `p` that lists ConfigMaps.
fn work(name: &str, revision: u32, number: Option<usize>, objects: &[&str]) -> Work {
    let mut annotations = json!({});
    if let Some(number) = number {
        annotations[annotations::NUMBER_OF_WORKS] = json!(number.to_string());
    }
    let manifest =
        |name: &&str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}});
    let manifests: Vec<_> = objects.iter().map(manifest).collect();
    Work::decode(json!({
        "metadata": {"name": name, "annotations": annotations, "labels": {
            labels::PARENT_PLACEMENT: "p", labels::PARENT_BINDING: "b",
            labels::PARENT_SNAPSHOT_INDEX: revision.to_string(),
        }},
        "spec": {"workload": {"manifests": manifests}},
    }))
    .unwrap()
}

fn deleting(mut work: Work) -> Work {
    work.is_deleting = true;
    work
}

fn object(name: &str) -> Identity {
    Identity {
        version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: "n".to_owned(),
        name: name.to_owned(),
        ..Identity::default()
    }
}

#[test]
fn objects_are_known_in_every_version_of_their_api() {
    let manifest = |version: &str| json!({"apiVersion": version, "kind": "Deployment", "metadata": {"name": "a"}});
    let set = ObjectSet::of(&[manifest("apps/v1"), json!({"kind": "Deployment"}), json!("text")]);
    let contains = |version| set.contains(&Identity::of_manifest(&manifest(version)).unwrap());
    assert!(contains("apps/v1") && contains("apps/v1beta2"));
    assert!(!contains("extensions/v1beta1"));
    assert_eq!(set.0.len(), 1, "what has no name is no object");
}

#[test]
fn works_of_other_placements_and_of_none_are_no_siblings() {
    let own = work("own", 1, Some(1), &[]);
    let mut foreign = work("foreign", 1, Some(1), &["x"]);
    foreign.group.as_mut().unwrap().placement.1 = "q".to_owned();
    let mut namesake = work("namesake", 1, Some(1), &["x"]);
    namesake.group.as_mut().unwrap().placement.0 = "team".to_owned();
    let none = Work::decode(json!({"metadata": {"name": "none"}})).unwrap();
    let all = [own.clone(), foreign, namesake, none.clone()];
    let siblings = Siblings::of(&own, &all);
    assert!(!siblings.list(&object("x")) && !siblings.any_stays());
    assert_eq!(siblings.claim("foreign", &object("x")), None);
    let alone = Siblings::of(&none, &all);
    assert!(!alone.any_stays());
    assert_eq!(
        (alone.arrival(), alone.fate(&object("x"), Duration::ZERO)),
        (Arrival::Complete, Fate::Release)
    );
}

#[test]
fn works_have_arrived_when_as_many_as_there_are_say_the_same_revision() {
    use Arrival::*;
    let cases: Vec<(&str, Work, Vec<Work>, Arrival)> = vec![
        ("alone", work("a", 1, Some(1), &[]), vec![], Complete),
        ("one is missing", work("a", 1, Some(2), &[]), vec![], Expected),
        (
            "both are there",
            work("a", 1, Some(2), &[]),
            vec![work("b", 1, Some(2), &[])],
            Complete,
        ),
        (
            "one is older",
            work("a", 2, Some(2), &[]),
            vec![work("b", 1, Some(2), &[])],
            Expected,
        ),
        (
            "one is newer",
            work("a", 1, Some(2), &[]),
            vec![work("b", 2, Some(2), &[])],
            Expected,
        ),
        (
            "an old hub",
            work("a", 1, None, &[]),
            vec![work("b", 1, None, &[])],
            Unknown,
        ),
        (
            "an old hub amid writes",
            work("a", 2, None, &[]),
            vec![work("b", 1, None, &[])],
            Expected,
        ),
        (
            "one was written by an older hub",
            work("a", 1, None, &[]),
            vec![work("b", 1, Some(2), &[])],
            Complete,
        ),
        (
            "surplus that goes",
            work("a", 2, Some(1), &[]),
            vec![deleting(work("b", 1, Some(2), &[]))],
            Complete,
        ),
        (
            "surplus that is still to go",
            work("a", 2, Some(1), &[]),
            vec![work("b", 1, Some(2), &[])],
            Complete,
        ),
        (
            "one of two that are to go",
            deleting(work("a", 1, Some(3), &[])),
            vec![work("b", 2, Some(1), &[]), work("c", 1, Some(3), &[])],
            Complete,
        ),
        (
            "deleted by hand",
            deleting(work("a", 1, Some(2), &[])),
            vec![work("b", 1, Some(2), &[])],
            Complete,
        ),
        (
            "its name may be needed",
            deleting(work("a", 1, Some(2), &[])),
            vec![work("b", 2, Some(2), &[])],
            Complete,
        ),
        (
            "one may gain what it has",
            deleting(work("a", 1, Some(3), &[])),
            vec![work("b", 3, Some(2), &[]), work("c", 2, Some(2), &[])],
            Expected,
        ),
        (
            "surplus, one is missing",
            deleting(work("a", 1, Some(2), &[])),
            vec![work("b", 2, Some(3), &[])],
            Expected,
        ),
        (
            "all go",
            deleting(work("a", 1, Some(2), &[])),
            vec![deleting(work("b", 1, Some(2), &[]))],
            Complete,
        ),
        (
            "all go, one has gone",
            deleting(work("a", 1, Some(2), &[])),
            vec![],
            Complete,
        ),
    ];
    for (name, own, others, wanted) in cases {
        assert_eq!(Siblings::of(&own, &others).arrival(), wanted, "{name}");
    }
}

#[test]
fn an_object_is_kept_while_another_work_lists_it_or_may_list_it_soon() {
    let x = object("x");
    let own = work("a", 2, Some(2), &[]);
    let fate = |own: &Work, other: Work, waited| Siblings::of(own, &[other]).fate(&x, waited);
    let later = LONGEST_WAIT;
    assert_eq!(
        fate(&own, work("b", 2, Some(2), &["x"]), later),
        Fate::Keep,
        "it is listed"
    );
    assert_eq!(
        fate(&own, work("b", 2, Some(2), &["y"]), Duration::ZERO),
        Fate::Release,
        "nobody lists it"
    );
    assert_eq!(
        fate(&own, work("b", 1, Some(1), &[]), later - Duration::from_secs(1)),
        Fate::Keep,
        "b is to come"
    );
    assert_eq!(
        fate(&own, work("b", 1, Some(1), &[]), later),
        Fate::Release,
        "b does not come"
    );
    assert_eq!(
        fate(&own, deleting(work("b", 1, Some(1), &["x"])), later),
        Fate::Release,
        "b goes"
    );
    let old = work("a", 2, None, &[]);
    assert_eq!(
        fate(&old, work("b", 2, None, &[]), Duration::from_secs(1)),
        Fate::Keep,
        "there may be more"
    );
    assert_eq!(fate(&old, work("b", 2, None, &[]), UNKNOWN_WAIT), Fate::Release);
}

#[test]
fn a_work_waits_a_moment_for_one_that_is_about_to_give_its_object_up() {
    let is_early = |own: &Work, other: Work, waited| Siblings::of(own, &[other]).is_early(waited);
    let own = work("a", 2, Some(2), &["x", "y"]);
    assert!(is_early(&own, work("b", 1, Some(2), &["x"]), Duration::ZERO));
    assert!(
        !is_early(&own, work("b", 1, Some(2), &["x"]), EARLY_WAIT),
        "for a moment only"
    );
    assert!(
        !is_early(&own, work("b", 2, Some(2), &["x"]), Duration::ZERO),
        "b is as it will be: a conflict"
    );
    assert!(
        !is_early(&own, work("b", 1, Some(2), &["z"]), Duration::ZERO),
        "b has nothing that a wants"
    );
    assert!(
        !is_early(&own, deleting(work("b", 1, Some(2), &["x"])), Duration::ZERO),
        "b yields already"
    );
}

#[test]
fn a_work_keeps_what_it_lists_and_yields_the_rest() {
    let own = work("a", 2, Some(2), &["x"]);
    let claim = |other: Work| Siblings::of(&own, &[other]).claim("b", &object("x"));
    assert_eq!(claim(work("b", 2, Some(2), &["x"])), Some(WorkClaim::Keeps));
    assert_eq!(claim(work("b", 2, Some(2), &["y"])), Some(WorkClaim::Yields));
    assert_eq!(claim(deleting(work("b", 2, Some(2), &["x"]))), Some(WorkClaim::Yields));
    assert_eq!(claim(work("c", 2, Some(2), &["x"])), None);
}
