//! Tests of policy and resource snapshots.

use std::sync::Arc;
use std::time::Duration;

use api::text::{annotations, labels};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::objects::{Manifest, PolicySnapshot, ResourceSnapshot};

fn placement(generation: i64) -> Meta {
    Meta {
        name: "web".to_owned(),
        uid: "u".to_owned(),
        generation,
        ..Meta::default()
    }
}

/// What a list of tracked snapshots will be: name and label of the latest, with a sign for what happens to it.
fn short<T: Versioned>(snapshots: &[Tracked<T>]) -> Vec<String> {
    let mut all: Vec<String> = snapshots
        .iter()
        .filter_map(|s| {
            let sign = match (s.before(), s.get()) {
                (Some(_), None) => "-",
                (None, Some(_)) => "+",
                (Some(before), Some(now)) if Arc::ptr_eq(before, now) => "=",
                _ => "~",
            };
            let meta = s.get().or(s.before())?.meta();
            let latest = if meta.label(labels::IS_LATEST_SNAPSHOT) == Some("true") {
                "*"
            } else {
                ""
            };
            Some(format!("{sign}{}{latest}", meta.name))
        })
        .collect();
    all.sort_by(|a, b| a[1..].cmp(&b[1..]));
    all
}

mod policies {
    use super::*;

    fn run(stored: &[PolicySnapshot], policy_value: Value, limit: usize) -> Vec<Tracked<PolicySnapshot>> {
        let mut snapshots: Vec<_> = stored.iter().map(|s| Tracked::stored(Arc::new(s.clone()))).collect();
        let value = serde_json::from_value(policy_value).unwrap();
        let meta = placement(7);
        let input = PolicyInput {
            placement: &meta,
            policy: Some(&value),
            limit,
        };
        let current = policy(&mut snapshots, &input).unwrap();
        assert!(snapshots[current].get().unwrap().is_latest());
        snapshots
    }

    /// The stored snapshots that a series of policies leaves behind.
    fn history(policies: &[Value]) -> Vec<PolicySnapshot> {
        let mut stored: Vec<PolicySnapshot> = Vec::new();
        for value in policies {
            stored = run(&stored, value.clone(), 10)
                .iter()
                .filter_map(|s| s.get())
                .map(|s| (**s).clone())
                .collect();
        }
        stored
    }

    fn fixed(cluster: &str) -> Value {
        json!({"placementType": "PickFixed", "clusterNames": [cluster]})
    }

    #[test]
    fn a_changed_policy_makes_the_next_snapshot() {
        let stored = history(&[fixed("a"), fixed("b")]);
        assert_eq!(short(&run(&stored, fixed("b"), 10)), ["=web-0", "=web-1*"]);
        assert_eq!(short(&run(&stored, fixed("c"), 10)), ["=web-0", "~web-1", "+web-2*"]);
        assert_eq!(short(&run(&stored, fixed("c"), 2)), ["-web-0", "~web-1", "+web-2*"]);
        assert_eq!(short(&run(&stored, fixed("c"), 1)), ["-web-0", "-web-1*", "+web-2*"]);
        let new = run(&[], fixed("a"), 10).remove(0).get().cloned().unwrap();
        assert_eq!(new.policy_hash.0.len(), 64);
        assert_eq!(new.meta.annotation(annotations::PLACEMENT_GENERATION), Some("7"));
        assert_eq!(new.meta.annotation(annotations::NUMBER_OF_CLUSTERS), None);
        assert_eq!(new.meta.label(labels::PARENT_PLACEMENT), Some("web"));
    }

    #[test]
    fn another_number_of_clusters_is_an_annotation() {
        let pick = |n: i32| json!({"placementType": "PickN", "numberOfClusters": n});
        let stored = history(&[pick(2)]);
        let after = run(&stored, pick(3), 10);
        assert_eq!(short(&after), ["~web-0*"]);
        assert_eq!(after[0].get().unwrap().number_of_clusters(), Some(3));
        assert_eq!(
            after[0].get().unwrap().policy.as_ref().unwrap().number_of_clusters,
            Some(2)
        );
    }

    #[test]
    fn labels_are_repaired() {
        let mut stored = history(&[fixed("a"), fixed("b")]);
        let latest = |s: &mut PolicySnapshot, value: &str| {
            s.meta
                .labels
                .insert(labels::IS_LATEST_SNAPSHOT.to_owned(), value.to_owned());
        };
        latest(&mut stored[1], "false");
        assert_eq!(
            short(&run(&stored, fixed("b"), 10)),
            ["=web-0", "~web-1*"],
            "a crash before the next one was made"
        );
        latest(&mut stored[1], "true");
        latest(&mut stored[0], "true");
        assert_eq!(
            short(&run(&stored, fixed("b"), 10)),
            ["~web-0", "=web-1*"],
            "a crash before the old one was changed"
        );
        assert_eq!(
            short(&run(&stored[..1], fixed("b"), 10)),
            ["~web-0", "+web-1*"],
            "the latest was deleted by hand"
        );
        stored[0].meta.labels.remove(labels::POLICY_INDEX);
        let mut snapshots: Vec<_> = stored.into_iter().map(|s| Tracked::stored(Arc::new(s))).collect();
        let meta = placement(1);
        assert!(
            policy(
                &mut snapshots,
                &PolicyInput {
                    placement: &meta,
                    policy: None,
                    limit: 1
                }
            )
            .is_err()
        );
    }
}

mod contents {
    use super::*;

    fn manifest(name: &str, bytes: usize) -> Arc<Manifest> {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "x".repeat(bytes)}});
        Arc::new(Manifest::from_value(&value).unwrap())
    }

    struct Run {
        limit: usize,
        collection: u64,
        interval: u64,
        now: Timestamp,
    }

    impl Default for Run {
        fn default() -> Self {
            Self {
                limit: 10,
                collection: 0,
                interval: 0,
                now: at(0),
            }
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    impl Run {
        fn on(
            &self,
            stored: &[ResourceSnapshot],
            manifests: &[Arc<Manifest>],
        ) -> (Vec<Tracked<ResourceSnapshot>>, ResourcesResult) {
            let mut snapshots: Vec<_> = stored.iter().map(|s| Tracked::stored(Arc::new(s.clone()))).collect();
            let meta = placement(1);
            let input = ResourcesInput {
                placement: &meta,
                manifests,
                envelopes: 1,
                limit: self.limit,
                collection: Duration::from_secs(self.collection),
                minimum_interval: Duration::from_secs(self.interval),
                now: self.now,
            };
            let outcome = resources(&mut snapshots, &input).unwrap();
            (snapshots, outcome)
        }
    }

    fn stored(snapshots: &[Tracked<ResourceSnapshot>]) -> Vec<ResourceSnapshot> {
        let store = |s: &Arc<ResourceSnapshot>| {
            let mut s = (**s).clone();
            s.meta.created.get_or_insert(at(0));
            s
        };
        snapshots.iter().filter_map(Tracked::get).map(store).collect()
    }

    #[test]
    fn content_is_cut_at_800_kib() {
        let sizes = |manifests: &[Arc<Manifest>], limit| -> Vec<usize> {
            split(manifests, limit).iter().map(Vec::len).collect()
        };
        let size = manifest("a", 10).text().len();
        let three: Vec<_> = ["a", "b", "c"].map(|n| manifest(n, 10)).into();
        assert_eq!(sizes(&three, 2 * size), [2, 1]);
        assert_eq!(sizes(&three, 2 * size - 1), [1, 1, 1]);
        assert_eq!(
            sizes(&three, 1),
            [1, 1, 1],
            "an object beyond the limit is a part of its own"
        );
        assert_eq!(sizes(&[], 1), [0], "there is always a master");
        assert_eq!(SPLIT_LIMIT, 819_200);
    }

    #[test]
    fn the_hash_is_over_the_list_in_order() {
        // SHA-256 of {"selectedResources":[]}.
        assert_eq!(
            content_hash(&[]),
            api::hash::of(&json!({"selectedResources": []})).unwrap()
        );
        let (a, b) = (manifest("a", 1), manifest("b", 1));
        let both = api::hash::resources(&[&a.value(), &b.value()]).unwrap();
        assert_eq!(content_hash(&[a.clone(), b.clone()]), both);
        assert_ne!(content_hash(&[b, a]), both);
    }

    #[test]
    fn large_content_makes_a_group() {
        let manifests: Vec<_> = ["a", "b", "c"].map(|n| manifest(n, 500_000)).into();
        let (snapshots, outcome) = Run::default().on(&[], &manifests);
        assert_eq!(short(&snapshots), ["+web-0-0", "+web-0-1", "+web-0-snapshot*"]);
        assert_eq!(outcome, ResourcesResult { index: 0, wait: None });
        let master = latest_master(&snapshots).unwrap();
        assert_eq!((master.group_size(), master.index()), (Some(3), Some(0)));
        assert_eq!(master.meta.annotation(annotations::NUMBER_OF_ENVELOPES), Some("1"));
        let order: Vec<_> = group(&snapshots, 0)
            .iter()
            .map(|s| s.manifests[0].id.name.clone())
            .collect();
        assert_eq!(order, ["a", "b", "c"]);
        // A crash between the creations: only what is missing is made, under the same index.
        let all = stored(&snapshots);
        let (snapshots, _) = Run::default().on(&all[..2], &manifests);
        assert_eq!(short(&snapshots), ["=web-0-0", "+web-0-1", "=web-0-snapshot*"]);
        // Wherever in the group it is missing.
        let (snapshots, _) = Run::default().on(&[all[0].clone(), all[2].clone()], &manifests);
        assert_eq!(short(&snapshots), ["+web-0-0", "=web-0-1", "=web-0-snapshot*"]);
        let (snapshots, _) = Run::default().on(&all, &manifests);
        assert_eq!(short(&snapshots), ["=web-0-0", "=web-0-1", "=web-0-snapshot*"]);
    }

    #[test]
    fn history_counts_groups_and_starts_with_the_number_of_objects() {
        let mut all = Vec::new();
        for content in ["a", "b", "c"] {
            all = stored(&Run::default().on(&all, &[manifest(content, 1)]).0);
        }
        let d = [manifest("d", 1)];
        let on = |limit: usize| {
            short(
                &Run {
                    limit,
                    ..Run::default()
                }
                .on(&all, &d)
                .0,
            )
        };
        assert_eq!(
            on(4),
            [
                "=web-0-snapshot",
                "=web-1-snapshot",
                "~web-2-snapshot",
                "+web-3-snapshot*"
            ]
        );
        assert_eq!(
            on(3),
            [
                "-web-0-snapshot",
                "=web-1-snapshot",
                "~web-2-snapshot",
                "+web-3-snapshot*"
            ]
        );
        assert_eq!(
            on(1),
            [
                "-web-0-snapshot",
                "-web-1-snapshot",
                "-web-2-snapshot*",
                "+web-3-snapshot*"
            ]
        );
    }

    #[test]
    fn new_content_waits() {
        let (old, new) = ([manifest("a", 1)], [manifest("b", 1)]);
        let all = stored(&Run::default().on(&[], &old).0);
        let run = |now: i64| Run {
            collection: 15,
            interval: 30,
            now: at(now),
            ..Run::default()
        };
        // Seen after 5 s: the interval since the last snapshot lasts longer than the collection.
        let (seen, outcome) = run(5).on(&all, &new);
        assert_eq!(outcome.wait, Some(Duration::from_secs(25)));
        assert_eq!(short(&seen), ["~web-0-snapshot*"]);
        let seen = stored(&seen);
        let (again, outcome) = run(29).on(&seen, &new);
        assert_eq!(
            (outcome.wait, short(&again)),
            (Some(Duration::from_secs(1)), vec!["=web-0-snapshot*".to_owned()])
        );
        let (made, outcome) = run(30).on(&seen, &new);
        assert_eq!(outcome.wait, None);
        assert_eq!(short(&made), ["~web-0-snapshot", "+web-1-snapshot*"]);
        // Reverted: the stamp goes, so that the next change is collected anew.
        let (back, _) = run(20).on(&seen, &old);
        assert_eq!(back[0].get().unwrap().detection_time(), None);
        assert_eq!(short(&back), ["~web-0-snapshot*"]);
        // Without the label of the latest there is no delay, and a malformed stamp is overwritten.
        let mut unlabelled = seen.clone();
        unlabelled[0]
            .meta
            .labels
            .insert(labels::IS_LATEST_SNAPSHOT.to_owned(), "false".to_owned());
        assert_eq!(run(5).on(&unlabelled, &new).1.wait, None);
        let mut odd = seen;
        odd[0]
            .meta
            .annotations
            .insert(annotations::NEXT_SNAPSHOT_DETECTION_TIME.to_owned(), "soon".to_owned());
        assert_eq!(run(20).on(&odd, &new).1.wait, Some(Duration::from_secs(15)));
    }

    #[test]
    fn a_group_without_master_is_a_broken_invariant() {
        let mut all = stored(&Run::default().on(&[], &[manifest("a", 1)]).0);
        all[0].meta.annotations.remove(annotations::RESOURCE_HASH);
        let mut snapshots: Vec<_> = all.into_iter().map(|s| Tracked::stored(Arc::new(s))).collect();
        let meta = placement(1);
        let input = ResourcesInput {
            placement: &meta,
            manifests: &[],
            envelopes: 0,
            limit: 10,
            collection: Duration::ZERO,
            minimum_interval: Duration::ZERO,
            now: at(0),
        };
        assert!(resources(&mut snapshots, &input).is_err());
    }
}
