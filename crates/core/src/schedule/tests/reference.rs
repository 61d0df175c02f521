//! The scheduler against a naive one, on small fleets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A member, by zone and preference, and what holds it.
#[derive(Debug, Clone)]
struct Place {
    zone: u8,
    preferred: bool,
    tainted: bool,
    /// 0 nothing, 1 current, 2 obsolete, 3 unscheduled.
    held: u8,
}

fn place() -> impl Strategy<Value = Place> {
    (
        0..3_u8,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop_oneof![4 => Just(0_u8), 1 => 1..4_u8],
    )
        .prop_map(|(zone, preferred, tainted, held)| Place {
            zone,
            preferred,
            tainted,
            held,
        })
}

fn case(fleet: &[Place], number: i64, skew: Option<i32>, hard: bool) -> Case {
    let name = |i: usize| format!("m{i}");
    let members = fleet.iter().enumerate().map(|(i, place)| {
        let taints = if place.tainted {
            json!([{"key": "k", "effect": "NoSchedule"}])
        } else {
            json!([])
        };
        let labels = json!({"zone": place.zone.to_string(), "good": place.preferred.to_string()});
        member_with(&name(i), labels, taints, json!({}))
    });
    let bindings = fleet.iter().enumerate().filter_map(|(i, place)| match place.held {
        1 => Some(binding(&name(i), "Bound", "p")),
        2 => Some(binding(&name(i), "Bound", "old")),
        3 => {
            let was = json!({"annotations": {"kubernetes-fleet.io/previous-binding-state": "Scheduled"}});
            Some(binding_with(&name(i), "Unscheduled", "old", was, json!(null)))
        }
        _ => None,
    });
    let action = if hard { "DoNotSchedule" } else { "ScheduleAnyway" };
    let constraints: Vec<_> = skew
        .iter()
        .map(|skew| json!({"maxSkew": skew, "topologyKey": "zone", "whenUnsatisfiable": action}))
        .collect();
    let preference = json!([{"weight": 10, "preference": {"labelSelector": {"matchLabels": {"good": "true"}}}}]);
    let affinity = json!({"clusterAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preference}});
    let policy = json!({"placementType": "PickN", "numberOfClusters": number, "affinity": affinity,
        "topologySpreadConstraints": constraints});
    Case::new(policy, members.collect(), bindings.collect())
}

/// Picks one cluster after the other, computing every skew from scratch.
fn naive(fleet: &[Place], number: usize, skew: Option<i32>, hard: bool) -> BTreeSet<usize> {
    let mut held: BTreeSet<usize> = (0..fleet.len()).filter(|i| fleet[*i].held == 1).collect();
    let before = held.clone();
    let mut first = true;
    while held.len() < number {
        let best = (0..fleet.len())
            .filter(|i| !held.contains(i) && !fleet[*i].tainted)
            .filter_map(|i| {
                Some((
                    spread(fleet, &held, i, skew, hard)?,
                    fleet[i].preferred,
                    first && fleet[i].held == 2,
                    i,
                ))
            })
            .max_by_key(|(spread, preferred, obsolete, i)| (*spread, *preferred, *obsolete, format!("m{i}")));
        let Some((.., best)) = best else { break };
        held.insert(best);
        // Without constraints all clusters are picked in one batch, so the bonus counts for each.
        first = skew.is_none();
    }
    held.difference(&before).copied().collect()
}

fn spread(fleet: &[Place], held: &BTreeSet<usize>, candidate: usize, skew: Option<i32>, hard: bool) -> Option<i64> {
    let Some(limit) = skew else { return Some(0) };
    let skew_of = |held: &BTreeSet<usize>| {
        let mut counts: BTreeMap<u8, i64> = fleet.iter().map(|p| (p.zone, 0)).collect();
        held.iter()
            .for_each(|i| *counts.entry(fleet[*i].zone).or_default() += 1);
        let (low, high) = (counts.values().min()?, counts.values().max()?);
        Some((high - low, counts.len()))
    };
    let (old, domains) = skew_of(held)?;
    let mut with = held.clone();
    with.insert(candidate);
    // One domain alone is said to grow by one with each pick, from a skew that is always zero.
    let change = if domains == 1 { 1 } else { skew_of(&with)?.0 - old };
    match old + change > i64::from(limit) {
        true if hard => None,
        true => Some(-1000),
        false => Some(-change),
    }
}

proptest! {
    #[test]
    fn pick_n_agrees_with_a_naive_scheduler(
        fleet in prop::collection::vec(place(), 1..7),
        number in 0..7_usize,
        skew in prop::option::of(1..3_i32),
        hard in any::<bool>(),
    ) {
        let case = case(&fleet, i64::try_from(number).unwrap(), skew, hard);
        let outcome = case.run();
        let present = fleet.iter().filter(|p| p.held == 1).count();
        let position = |cluster: &str| cluster.trim_start_matches("b-").trim_start_matches('m').parse::<usize>().unwrap();
        let picked: BTreeSet<usize> = outcome.actions.iter().filter_map(|action| match action {
            Action::Create { cluster, .. } => Some(position(cluster)),
            Action::Adopt { binding, .. } => Some(position(binding)),
            _ => None,
        }).collect();
        let given_up: BTreeSet<usize> = outcome.actions.iter().filter_map(|action| match action {
            Action::Unschedule { binding } => Some(position(binding)),
            _ => None,
        }).collect();
        if number > present {
            prop_assert_eq!(&picked, &naive(&fleet, number, skew, hard));
        } else {
            prop_assert!(picked.is_empty());
            prop_assert_eq!(given_up.iter().filter(|i| fleet[**i].held == 1).count(), present - number);
        }
        // Nothing of an older policy remains, and nothing is decided twice.
        for (i, place) in fleet.iter().enumerate().filter(|(_, place)| place.held == 2) {
            prop_assert!(picked.contains(&i) != given_up.contains(&i), "{:?}", place);
        }
        let decisions = outcome.decisions.unwrap();
        let selected = decisions.decisions.iter().filter(|d| d.selected).count();
        prop_assert_eq!(selected, decisions.selected);
        prop_assert_eq!(decisions.fulfilled, selected >= number);
        let names: BTreeSet<_> = decisions.decisions.iter().map(|d| &d.cluster_name).collect();
        prop_assert_eq!(names.len(), decisions.decisions.len());
    }
}
