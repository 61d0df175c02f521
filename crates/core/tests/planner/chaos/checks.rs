//! What holds after each step, and in the end.

use std::collections::BTreeSet;

use api::kinds;
use fairway_core::effects::Target;
use proptest::prelude::*;
use serde_json::Value;

use super::life::{Cluster, Life};
use super::{Apply, Envelope, Mode};

/// Conditions come in order, are about the current generation, and end with the first that is not True.
/// Those that show the status in the namespace are taken out first.
fn well_formed(conditions: &Value, generation: &Value, prefix: &str, placeholder: bool) -> Result<(), TestCaseError> {
    let order = [
        "Scheduled",
        "RolloutStarted",
        "Overridden",
        "WorkSynchronized",
        "Applied",
        "Available",
        "DiffReported",
    ];
    let mut last = 0;
    let mut ended = false;
    let of_rollout = |c: &&Value| !c["type"].as_str().unwrap().ends_with("StatusSynced");
    for condition in conditions.as_array().unwrap().iter().filter(of_rollout) {
        let type_ = condition["type"].as_str().unwrap().strip_prefix(prefix).unwrap();
        let rank = order.iter().position(|known| *known == type_).unwrap() + 1;
        prop_assert!(rank > last && !ended, "{conditions:#}");
        prop_assert_eq!(&condition["observedGeneration"], generation, "{:#}", conditions);
        last = rank;
        // A placement that lacks clusters is rolled out to those that it has.
        ended = condition["status"] != "True" && (type_ != "Scheduled" || placeholder);
    }
    Ok(())
}

pub fn check(life: &Life, before: &Value) -> Result<(), TestCaseError> {
    let placement = life.hub.placement();
    let generation = &placement["metadata"]["generation"];
    let prefix = if life.hub.key.namespace.is_some() {
        "ResourcePlacement"
    } else {
        "ClusterResourcePlacement"
    };
    let pending = life
        .hub
        .condition("Scheduled")
        .is_some_and(|(status, _)| status == "Unknown");
    if !pending {
        well_formed(&placement["status"]["conditions"], generation, prefix, false)?;
    }
    let none = Vec::new();
    for entry in placement["status"]["placementStatuses"].as_array().unwrap_or(&none) {
        well_formed(&entry["conditions"], generation, "", entry.get("clusterName").is_none())?;
    }
    // The time of a condition moves with its status only.
    let conditions = |object: &Value| object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for old in conditions(before) {
        for new in conditions(placement) {
            if old["type"] == new["type"] && old["status"] == new["status"] {
                prop_assert_eq!(&old["lastTransitionTime"], &new["lastTransitionTime"], "{}", new);
            }
        }
    }
    if life.accessible {
        let copy = life.hub.get(kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS, "web");
        prop_assert_eq!(copy.is_some(), life.namespace);
        let wanted = if life.namespace { "True" } else { "False" };
        prop_assert_eq!(life.hub.condition("StatusSynced").unwrap().0, wanted);
        let mut shown = placement["status"].clone();
        shown["conditions"]
            .as_array_mut()
            .unwrap()
            .retain(|c| c["type"] != "ClusterResourcePlacementStatusSynced");
        prop_assert!(copy.is_none_or(|copy| copy["sourceStatus"] == shown), "{:#?}", copy);
    }
    let key = &life.hub.key;
    for (kind, at_most) in [
        (
            key.pick(kinds::CLUSTER_RESOURCE_SNAPSHOT, kinds::RESOURCE_SNAPSHOT),
            life.largest_limit,
        ),
        (
            key.pick(
                kinds::CLUSTER_SCHEDULING_POLICY_SNAPSHOT,
                kinds::SCHEDULING_POLICY_SNAPSHOT,
            ),
            life.largest_limit,
        ),
    ] {
        let of_kind = || life.hub.objects.iter().filter(|(target, _)| target.resource == kind);
        let latest =
            of_kind().filter(|(_, o)| o["metadata"]["labels"]["kubernetes-fleet.io/is-latest-snapshot"] == "true");
        prop_assert_eq!(latest.count(), 1);
        prop_assert!(of_kind().count() <= usize::from(at_most));
    }
    Ok(())
}

/// A bad envelope and a bad override stop themselves: every Work that they do not concern has the latest content.
pub fn check_neighbours(life: &Life) -> Result<(), TestCaseError> {
    let hub = &life.hub;
    if hub.condition("Scheduled").unwrap().0 != "True" {
        // Too few clusters leave no room for updates either.
        return Ok(());
    }
    let kind = hub.key.pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING);
    let index = hub.placement()["status"]["observedResourceIndex"].as_str().unwrap();
    let latest = format!("web-{index}-snapshot");
    let (mut stopped, mut behind) = ((false, false), false);
    for (_, binding) in hub.objects.iter().filter(|(target, _)| target.resource == kind) {
        // The rollout stops at clusters where something is wrong, so that others may be behind.
        if binding["spec"]["state"] != "Bound" || binding["spec"]["resourceSnapshotName"] != latest {
            behind |= binding["spec"]["state"] != "Unscheduled";
            continue;
        }
        let cluster = binding["spec"]["targetCluster"].as_str().unwrap();
        let namespace = format!("fleet-member-{cluster}");
        let of_cluster =
            |target: &&Target| target.resource == kinds::WORK && target.namespace.as_ref() == Some(&namespace);
        let envelopes = hub
            .objects
            .keys()
            .filter(of_cluster)
            .filter(|target| target.name.contains("-envelope-"))
            .count();
        if life.envelope == Envelope::Good {
            prop_assert_eq!(envelopes, 1, "{}", cluster);
        }
        if life.is_overridden_badly(cluster) {
            stopped.0 = true;
            continue;
        }
        stopped.1 |= life.envelope == Envelope::Broken;
        let target = Target::new(kinds::WORK, Some(&namespace), plain_work(life));
        let manifests = hub.objects[&target]["spec"]["workload"]["manifests"]
            .as_array()
            .unwrap();
        prop_assert_eq!(manifests, &life.manifests(cluster), "{}", cluster);
    }
    let open = match stopped {
        _ if behind => "RolloutStarted",
        (true, _) => "Overridden",
        (false, true) => "WorkSynchronized",
        (false, false) => return Ok(()),
    };
    prop_assert_eq!(hub.condition(open).unwrap().0, "False");
    Ok(())
}

fn plain_work(life: &Life) -> &'static str {
    if life.hub.key.namespace.is_some() {
        "app.web-work"
    } else {
        "web-work"
    }
}

pub fn check_end(life: &Life) -> Result<(), TestCaseError> {
    let hub = &life.hub;
    let kind = hub.key.pick(kinds::CLUSTER_RESOURCE_BINDING, kinds::RESOURCE_BINDING);
    // What is no longer wanted may stay where too few clusters take its place (hub-behaviour 5.5).
    let (left, bindings): (Vec<&Value>, Vec<&Value>) = hub
        .objects
        .iter()
        .filter(|(target, _)| target.resource == kind)
        .map(|(_, object)| object)
        .partition(|binding| binding["spec"]["state"] == "Unscheduled");
    let held: BTreeSet<&str> = bindings
        .iter()
        .map(|b| b["spec"]["targetCluster"].as_str().unwrap())
        .collect();
    prop_assert_eq!(held.len(), bindings.len());
    let present = |name: &&str| life.clusters.contains_key(name);
    let wanted = match life.mode {
        Mode::All => held.len(),
        Mode::Number => usize::from(life.count),
        Mode::Fixed => {
            let names: BTreeSet<&str> = life.names().into_iter().filter(present).collect();
            prop_assert_eq!(&held, &names);
            usize::from(life.count)
        }
    };
    let fits = |cluster: &Cluster| !cluster.tainted && (cluster.x || !life.only_x);
    if life.mode == Mode::All {
        for (name, cluster) in &life.clusters {
            prop_assert!(!fits(cluster) || held.contains(name), "{name} lacks a binding");
        }
    }
    let (scheduled, reason) = hub.condition("Scheduled").unwrap();
    if life.mode == Mode::Fixed && life.count == 0 {
        prop_assert_eq!(reason, "SchedulePending");
    } else {
        prop_assert_eq!(scheduled == "True", held.len() >= wanted);
        if scheduled == "False" {
            // Too few clusters leave no room for updates either.
            return Ok(());
        }
        if !held.is_empty() {
            let last = if life.apply == Apply::Diff {
                "DiffReported"
            } else {
                "Available"
            };
            prop_assert_eq!(hub.condition(last).unwrap().0, "True");
        }
    }
    prop_assert_eq!(left.len(), 0);
    let works = if life.envelope == Envelope::Good { 2 } else { 1 };
    prop_assert_eq!(hub.count(kinds::WORK), works * held.len());
    for cluster in held {
        let target = Target::new(kinds::WORK, Some(&format!("fleet-member-{cluster}")), plain_work(life));
        let manifests = hub.objects[&target]["spec"]["workload"]["manifests"]
            .as_array()
            .unwrap();
        prop_assert_eq!(manifests, &life.manifests(cluster), "{}", cluster);
    }
    Ok(())
}
