//! Objects that move between the Works of one binding.

use super::*;

/// A group of snapshots with these objects in each.
fn group(index: u64, parts: &[&[&str]]) -> Vec<ResourceSnapshot> {
    let master = (format!("crp-{index}-snapshot"), None);
    let others = (0..).map(|sub| (format!("crp-{index}-{sub}"), Some(sub)));
    let names = [master].into_iter().chain(others);
    let objects = |names: &[&str]| names.iter().map(|name| object("ConfigMap", "app", name)).collect();
    names
        .zip(parts)
        .map(|((name, sub), part)| resources(&name, index, sub, parts.len(), objects(part)))
        .collect()
}

/// The writes in steps, as `<verb> <Work>`.
fn words(rendered: Rendered) -> Vec<Vec<String>> {
    let word = |write: &Write| match write {
        Write::ReplaceStatus { .. } => panic!("{write:?}"),
        Write::Create { target, .. } => format!("create {}", target.name),
        Write::MergePatch { target, .. } => format!("update {}", target.name),
        Write::Delete { target, .. } => format!("delete {}", target.name),
    };
    let steps = steps(rendered.writes);
    steps.iter().map(|step| step.iter().map(word).collect()).collect()
}

fn number(world: &mut World, work: &str) -> Value {
    world.work(work)["metadata"]["annotations"]["kubernetes-fleet.io/number-of-works"].clone()
}

#[test]
fn works_that_gain_objects_are_written_before_those_that_lose_them() {
    let mut world = World::new(group(0, &[&["a", "b"]]));
    world.snapshots.extend(group(1, &[&["a"], &["b"]]));
    world.snapshots.extend(group(2, &[&["a", "b"]]));
    world.pass(&binding("m1", "crp-0-snapshot"));
    let split = world.pass(&binding("m1", "crp-1-snapshot"));
    assert_eq!(words(split), [["create crp-0"], ["update crp-work"]]);
    assert_eq!(
        (number(&mut world, "crp-work"), number(&mut world, "crp-0")),
        (json!("2"), json!("2"))
    );
    let joined = world.pass(&binding("m1", "crp-2-snapshot"));
    assert_eq!(words(joined), [["update crp-work"], ["delete crp-0"]]);
    assert_eq!(number(&mut world, "crp-work"), "1");
}

#[test]
fn works_of_older_releases_are_not_rewritten_for_their_number() {
    let mut world = one_snapshot();
    let bound = binding("m1", "crp-0-snapshot");
    world.pass(&bound);
    let annotations = |world: &mut World| {
        let work = world.work("crp-work");
        work["metadata"]["annotations"].as_object().cloned().unwrap_or_default()
    };
    let mut without = annotations(&mut world);
    without.remove("kubernetes-fleet.io/number-of-works");
    world.work("crp-work")["metadata"]["annotations"] = json!(without);
    assert_eq!(world.pass(&bound).writes, []);
    world.work("crp-work")["metadata"]["annotations"]["kubernetes-fleet.io/number-of-works"] = json!("7");
    assert_eq!(world.pass(&bound).writes.len(), 1, "a number that is wrong is repaired");
    assert_eq!(number(&mut world, "crp-work"), "1");
}

#[test]
fn works_that_are_no_longer_needed_stay_while_one_cannot_be_created() {
    let mut world = World::new(group(0, &[&["a"], &["b"], &["c"]]));
    world.snapshots.extend(group(1, &[&["a", "c"], &["b"]]));
    world.pass(&binding("m1", "crp-0-snapshot"));
    world.work("crp-0")["metadata"]["deletionTimestamp"] = json!("2026-11-21T12:00:00Z");
    let waiting = world.pass(&binding("m1", "crp-1-snapshot"));
    assert!(
        matches!(waiting.result, RenderResult::NotSynchronized(_)),
        "{waiting:?}"
    );
    assert_eq!(words(waiting), [["update crp-work"]], "b may still be in crp-1");
    world.stored.retain(|target, _| target.name != "crp-0");
    let gone = world.pass(&binding("m1", "crp-1-snapshot"));
    assert_eq!(words(gone), [["create crp-0"], ["delete crp-1"]]);
}
