//! What users choose of endpoints: ranks for routing by `Priority`, regions for routing by `Performance`.

use std::collections::BTreeMap;

use fairway_core::services::EndpointSettings;
use fairway_core::traffic::arm::Subject;
use proptest::prelude::*;
use serde_json::json;

use super::atm::{failure, short};
use super::world::World;

const PREFIX: &str = "networking.fleet.azure.com";

/// A settled profile that routes by priority.
fn by_priority(exports: &[(&str, i64)]) -> World {
    let mut world = World::new();
    let annotation = format!("{PREFIX}/routing-method");
    world.profile.as_mut().unwrap()["metadata"]["annotations"] = json!({ annotation: "Priority" });
    world.export(exports);
    world
}

fn rank(world: &mut World, cluster: &str, priority: u16) {
    world.exporter(cluster).endpoint.priority = Some(priority);
}

/// Ranks that the traffic manager holds, by cluster.
fn ranks(world: &mut World) -> BTreeMap<String, i64> {
    let ranks = world.atm.endpoints().iter().map(|endpoint| {
        let name = short(endpoint["name"].as_str().unwrap());
        let cluster = name.split('/').next_back().unwrap().to_owned();
        (cluster, endpoint["properties"]["priority"].as_i64().unwrap())
    });
    ranks.collect()
}

fn expected(ranks: &[(&str, i64)]) -> BTreeMap<String, i64> {
    ranks
        .iter()
        .map(|(cluster, rank)| ((*cluster).to_owned(), *rank))
        .collect()
}

#[test]
fn what_is_chosen_is_written_and_repaired_and_nothing_else() {
    let mut world = World::settled();
    world.exporter("m1").endpoint = EndpointSettings {
        priority: Some(7),
        location: Some("West Europe".to_owned()),
    };
    world.settle();
    assert_eq!(world.atm.take_log(), ["put b/m1 50"]);
    let endpoint = |world: &mut World, cluster: &str| {
        let all = world.atm.endpoints().iter();
        let mut found = all.filter(|e| e["name"].as_str().unwrap().ends_with(cluster));
        found.next().unwrap()["properties"].clone()
    };
    let first = endpoint(&mut world, "m1");
    assert_eq!(
        (&first["priority"], &first["endpointLocation"]),
        (&json!(7), &json!("West Europe"))
    );
    let second = endpoint(&mut world, "m2");
    assert_eq!((second.get("priority"), second.get("endpointLocation")), (None, None));

    // Azure spells regions in its own way.
    for (property, value, is_repaired) in [
        ("endpointLocation", json!("westeurope"), false),
        ("endpointLocation", json!("North Europe"), true),
        ("priority", json!(8), true),
    ] {
        let mut all = world.atm.endpoints().iter_mut();
        let held = all.find(|e| e["name"].as_str().unwrap().ends_with("m1")).unwrap();
        held["properties"][property] = value;
        world.let_time_pass(60);
        let is_written = world.atm.take_log().iter().any(|call| call == "put b/m1 50");
        assert_eq!(is_written, is_repaired, "{property}");
    }
    assert_eq!(endpoint(&mut world, "m1"), first);

    // What nobody chooses any more stays as it is.
    world.exporter("m1").endpoint = EndpointSettings::default();
    world.settle();
    assert_eq!(world.atm.take_log(), Vec::<String>::new());
}

#[test]
fn a_backend_chooses_for_exports_that_do_not() {
    let mut world = World::settled();
    let annotations = |priority: &str| json!({format!("{PREFIX}/endpoint-priority"): priority, format!("{PREFIX}/endpoint-location"): "eastus"});
    world.backends.get_mut("b").unwrap()["metadata"]["annotations"] = annotations("5");
    rank(&mut world, "m2", 9);
    world.settle();
    let chosen: Vec<_> = world
        .atm
        .endpoints()
        .iter()
        .map(|e| {
            (
                e["properties"]["priority"].as_i64(),
                e["properties"]["endpointLocation"].clone(),
            )
        })
        .collect();
    assert_eq!(chosen, [(Some(5), json!("eastus")), (Some(9), json!("eastus"))]);

    world.atm.log.clear();
    world.backends.get_mut("b").unwrap()["metadata"]["annotations"] = annotations("high");
    world.settle();
    assert_eq!(world.accepted("b"), "False/Invalid");
    assert_eq!(
        world.accepted_message("b"),
        "Invalid backend: the annotation networking.fleet.azure.com/endpoint-priority is \"high\", but a whole number from 1 \
         to 1000 is required"
    );
    assert_eq!(world.endpoints("b").len(), 2, "what is served stays");
    assert_eq!(world.atm.take_log(), Vec::<String>::new());
}

#[test]
fn endpoints_change_their_ranks_with_each_other() {
    let mut world = by_priority(&[("m1", 1), ("m2", 1), ("m3", 1)]);
    for (cluster, priority) in [("m1", 1), ("m2", 2), ("m3", 3)] {
        rank(&mut world, cluster, priority);
    }
    world.settle();
    assert_eq!(ranks(&mut world), expected(&[("m1", 1), ("m2", 2), ("m3", 3)]));

    // A chain needs no detour, a circle one.
    world.atm.log.clear();
    for (cluster, priority) in [("m1", 2), ("m2", 3), ("m3", 4)] {
        rank(&mut world, cluster, priority);
    }
    world.settle();
    assert_eq!(ranks(&mut world), expected(&[("m1", 2), ("m2", 3), ("m3", 4)]));
    assert_eq!(world.atm.take_log(), ["put b/m3 34", "put b/m2 34", "put b/m1 34"]);
    rank(&mut world, "m1", 3);
    rank(&mut world, "m2", 2);
    world.settle();
    assert_eq!(ranks(&mut world), expected(&[("m1", 3), ("m2", 2), ("m3", 4)]));
    assert_eq!(world.atm.take_log().len(), 3);
    assert_eq!(world.accepted("b"), "True/Accepted");
}

#[test]
fn a_rank_that_was_chosen_is_free_for_the_endpoint_it_was_chosen_for() {
    let mut world = by_priority(&[("m1", 1), ("m2", 1)]);
    rank(&mut world, "m2", 1);
    world.settle();
    assert_eq!(
        ranks(&mut world),
        expected(&[("m1", 2), ("m2", 1)]),
        "the chosen one goes first"
    );
    rank(&mut world, "m2", 2);
    world.settle();
    assert_eq!(ranks(&mut world), expected(&[("m1", 1000), ("m2", 2)]));
    assert_eq!(world.accepted("b"), "True/Accepted");
}

#[test]
fn a_rank_that_is_chosen_twice_is_refused_and_said() {
    let mut world = by_priority(&[("m1", 1), ("m2", 1)]);
    rank(&mut world, "m1", 1);
    rank(&mut world, "m2", 1);
    world.settle();
    assert_eq!(world.accepted("b"), "False/Invalid");
    rank(&mut world, "m2", 2);
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
}

#[test]
fn nobody_waits_for_an_endpoint_that_cannot_be_written() {
    let mut world = by_priority(&[("m1", 1), ("m2", 1), ("m3", 1)]);
    rank(&mut world, "m1", 1);
    rank(&mut world, "m2", 2);
    world.settle();
    let subject = |cluster: &str| Subject::WriteEndpoint(format!("fleet-b#service#{cluster}"));
    world
        .atm
        .faults
        .insert(subject("m3"), failure(403, "AuthorizationFailed"));
    world.exporter("m3").weight = 5;
    world.settle();
    rank(&mut world, "m1", 2);
    rank(&mut world, "m2", 1);
    world.let_time_pass(5);
    let now = ranks(&mut world);
    assert_eq!((now["m1"], now["m2"]), (2, 1));
    // Who holds the rank cannot go: the traffic manager refuses the other one, which the status says.
    world
        .atm
        .faults
        .insert(subject("m1"), failure(403, "AuthorizationFailed"));
    rank(&mut world, "m1", 3);
    rank(&mut world, "m2", 2);
    world.let_time_pass(5);
    assert_eq!(world.accepted("b"), "False/Invalid");
    world.atm.faults.clear();
    world.let_time_pass(120);
    let now = ranks(&mut world);
    assert_eq!((now["m1"], now["m2"]), (3, 2));
    assert_eq!(world.accepted("b"), "True/Accepted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever ranks are chosen one after the other, each endpoint comes to its own without a refused call.
    #[test]
    fn all_ranks_are_reached(
        changes in proptest::collection::vec(Just((1..=5_u16).collect::<Vec<_>>()).prop_shuffle(), 1..4),
        left_out in 0..5_usize,
    ) {
        let clusters = ["m1", "m2", "m3", "m4", "m5"];
        let mut world = by_priority(&clusters.map(|cluster| (cluster, 1)));
        for chosen in changes {
            for (number, (cluster, priority)) in clusters.iter().zip(&chosen).enumerate() {
                world.exporter(cluster).endpoint.priority = (number != left_out).then_some(*priority);
            }
            world.settle();
            prop_assert_eq!(world.accepted("b"), "True/Accepted");
            let now = ranks(&mut world);
            for (number, (cluster, priority)) in clusters.iter().zip(&chosen).enumerate() {
                prop_assert!(number == left_out || now[*cluster] == i64::from(*priority), "{now:?} of {chosen:?}");
            }
            let refused = world.atm.log.iter().filter(|call| call.contains(" -> 400"));
            prop_assert_eq!(refused.count(), 0);
        }
    }
}
