//! Lives of profiles and backends without faults.

use std::collections::{BTreeMap, BTreeSet};

use fairway_core::services::Record;
use fairway_core::traffic::arm::{Action, Call};
use fairway_core::traffic::{self, Service};
use serde_json::json;

use super::world::{SECOND, World, backend, export, profile};

#[test]
fn a_profile_and_its_backend_come_to_be() {
    let mut world = World::new();
    world.settle();
    assert_eq!(
        world.atm.take_log(),
        ["read -> 404", "write", "put b/m1 50", "put b/m2 50"],
        "each call once"
    );
    assert_eq!(world.atm.shares(), ["b/m1 50", "b/m2 50"]);
    assert_eq!(
        world.finalizers(),
        [
            "metrics-cleanup,traffic-manager-profile-cleanup",
            "metrics-cleanup,traffic-manager-backend-cleanup"
        ]
    );
    assert_eq!(world.programmed(), "True/Programmed");
    assert_eq!(
        world.programmed_message(),
        "Successfully configured the Azure Traffic Manager profile"
    );
    assert_eq!(world.dns_name(), Some("app-web.trafficmanager.net"));
    assert_eq!(
        world.profile.as_ref().unwrap()["status"]["resourceID"],
        "/rg/rg/fleet-p"
    );
    assert_eq!(world.accepted("b"), "True/Accepted");
    assert_eq!(
        world.accepted_message("b"),
        "2 service(s) exported from clusters have been accepted as Traffic Manager endpoints"
    );
    assert_eq!(world.endpoints("b"), ["m1 50 of 1", "m2 50 of 1"]);
    let first = &world.backends["b"]["status"]["endpoints"][0];
    assert_eq!(first["name"], "fleet-b#service#m1");
    assert_eq!(first["target"], "m1.example.com");
    assert_eq!(first["resourceID"], "/rg/rg/fleet-p/azureEndpoints/fleet-b#service#m1");
    assert_eq!(
        world.events,
        [
            "web Programmed from trafficmanagerprofile-controller",
            "b Accepted from trafficmanagerbackend-controller"
        ]
    );
    let spec = &world.profile.as_ref().unwrap()["spec"];
    assert_eq!(
        *spec,
        json!({"resourceGroup": "rg"}),
        "defaults stay out of the user's object"
    );
}

#[test]
fn the_finalizer_of_a_profile_is_there_before_it_is_written() {
    let mut world = World::new();
    loop {
        let plan = world.pass();
        if world.atm.take_log().contains(&"write".to_owned()) {
            assert!(world.finalizers()[0].contains("traffic-manager-profile-cleanup"));
            assert_eq!(
                plan.steps[0].len(),
                1,
                "it is in the first step of the pass that writes"
            );
            break;
        }
        assert!(!world.finalizers()[0].contains("traffic-manager-profile-cleanup"));
    }
}

#[test]
fn what_is_idle_is_read_now_and_then_and_never_written() {
    let mut world = World::settled();
    world.let_time_pass(3600);
    let log = world.atm.take_log();
    assert!(log.iter().all(|call| call == "read"), "{log:?}");
    assert!(
        (60..=100).contains(&log.len()),
        "every 45 s give or take a fifth: {}",
        log.len()
    );
    assert_eq!((world.writes.len(), world.events.len()), (0, 0), "{:?}", world.writes);
}

#[test]
fn a_restart_costs_one_read() {
    let mut world = World::settled();
    world.restart();
    world.settle();
    assert_eq!(world.atm.take_log(), ["read"]);
    assert_eq!(world.writes, Vec::<String>::new());
}

#[test]
fn a_profile_without_a_group_gets_that_of_the_hub_once_and_first() {
    let mut world = World::new();
    world.profile = Some(profile(json!({})));
    world.default_group = Some("hub-rg".to_owned());
    let plan = world.pass();
    assert_eq!(world.writes[0], "web spec");
    assert!(plan.facts.calls.is_empty() && plan.requeue.is_some_and(|wait| wait.is_zero()));
    world.settle();
    assert_eq!(world.profile.as_ref().unwrap()["spec"]["resourceGroup"], "hub-rg");
    assert_eq!(world.programmed(), "True/Programmed", "and it observes generation 2");
    assert_eq!(world.profile.as_ref().unwrap()["metadata"]["generation"], 2);
    assert_eq!(world.writes.iter().filter(|write| *write == "web spec").count(), 1);

    let mut world = World::new();
    world.profile = Some(profile(json!({})));
    world.settle();
    assert_eq!(world.programmed(), "False/Invalid");
    assert!(world.programmed_message().contains("set spec.resourceGroup"));
    assert!(world.atm.log.is_empty());
}

#[test]
fn a_changed_weight_writes_each_endpoint_once() {
    let mut world = World::settled();
    world.change_backend("b", &json!({"weight": 10}));
    world.exporter("m1").weight = 2;
    world.settle();
    assert_eq!(world.atm.take_log(), ["put b/m1 7", "put b/m2 4"]);
    assert_eq!(world.endpoints("b"), ["m1 7 of 2", "m2 4 of 1"]);
    assert_eq!(world.events, ["b Accepted from trafficmanagerbackend-controller"]);
    world.exporter("m2").public_ip = "/moved".to_owned();
    world.settle();
    assert_eq!(world.atm.take_log(), ["put b/m2 4"], "only what changed");
}

#[test]
fn exports_come_and_go() {
    let mut world = World::settled();
    world.export(&[("m3", 1), ("m2", 1), ("m1", 2)]);
    world.settle();
    assert_eq!(world.atm.shares(), ["b/m1 50", "b/m2 25", "b/m3 25"]);
    world.export(&[("m3", 1)]);
    world.settle();
    assert_eq!(world.atm.shares(), ["b/m3 100"]);
    assert_eq!(world.accepted("b"), "True/Accepted");
    let log = world.atm.take_log();
    let drops = log.iter().position(|call| call == "drop b/m1").unwrap();
    assert!(
        log[drops + 1..].contains(&"put b/m3 100".to_owned()),
        "what goes goes first: {log:?}"
    );
    world.services.clear();
    world.settle();
    assert_eq!(world.accepted("b"), "False/Invalid");
    assert_eq!(world.accepted_message("b"), "ServiceImport \"service\" is not found");
    assert_eq!((world.atm.shares().len(), world.endpoints("b").len()), (0, 0));
    world.export(&[("m1", 1)]);
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted", "it comes back by itself");
}

#[test]
fn a_service_without_exporters_leaves_what_is_served() {
    let mut world = World::settled();
    world.services.insert("service".to_owned(), Service::default());
    world.settle();
    assert_eq!(world.accepted("b"), "Unknown/Pending");
    assert_eq!(world.accepted_message("b"), "In the process of exporting the services");
    assert_eq!(world.endpoints("b").len(), 2);
    assert_eq!(world.atm.take_log(), Vec::<String>::new());
}

#[test]
fn weight_zero_takes_all_endpoints_away_and_is_accepted() {
    let mut world = World::settled();
    world.change_backend("b", &json!({"weight": 0}));
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
    assert_eq!(
        world.accepted_message("b"),
        "0 service(s) exported from clusters have been accepted as Traffic Manager endpoints"
    );
    assert_eq!(world.atm.take_log(), ["drop b/m1", "drop b/m2"]);
    let mut fresh = World::new();
    fresh.change_backend("b", &json!({"weight": 0}));
    fresh.settle();
    assert_eq!(fresh.finalizers()[1], "metrics-cleanup", "there is nothing to clean up");
}

#[test]
fn an_export_of_weight_zero_is_not_wanted() {
    let mut world = World::settled();
    world.exporter("m1").weight = 0;
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
    assert_eq!(world.endpoints("b"), ["m2 100 of 1"]);
    world.exporter("m2").weight = 0;
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
    assert_eq!(world.endpoints("b"), Vec::<String>::new());
}

#[test]
fn a_backend_waits_for_a_profile_that_comes_later() {
    let mut world = World::new();
    let later = world.profile.take();
    world.settle();
    assert_eq!(world.accepted("b"), "False/Invalid");
    assert_eq!(
        world.accepted_message("b"),
        "TrafficManagerProfile \"web\" is not found"
    );
    assert_eq!(world.finalizers(), ["metrics-cleanup"]);
    world.profile = later;
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
}

#[test]
fn several_backends_share_a_profile() {
    let mut world = World::new();
    let mut second = backend("c", 50);
    second["spec"]["backend"]["name"] = json!("other");
    world.add(second);
    world
        .services
        .insert("other".to_owned(), super::world::service(&[("n1", 1)]));
    world.settle();
    assert_eq!(world.atm.shares(), ["b/m1 50", "b/m2 50", "c/n1 50"]);
    assert_eq!(
        (world.accepted("b"), world.accepted("c")),
        ("True/Accepted".into(), "True/Accepted".into())
    );
    world.writes.clear();
    world.change_backend("c", &json!({"weight": 10}));
    world.settle();
    assert_eq!(world.writes, ["c status"], "the other backend is left alone");
}

#[test]
fn a_second_backend_of_a_service_is_refused_until_the_first_is_gone() {
    let mut world = World::settled();
    world.add(backend("c", 100));
    world.settle();
    assert_eq!(world.accepted("c"), "False/Invalid");
    assert!(
        world.accepted_message("c").starts_with(
            "2 endpoint(s) failed to be created/updated in the Azure Traffic Manager, for example, 400 BadRequest"
        ),
        "{}",
        world.accepted_message("c")
    );
    assert_eq!(world.accepted("b"), "True/Accepted");
    world.let_time_pass(600);
    let tries = world
        .atm
        .take_log()
        .iter()
        .filter(|call| call.starts_with("put c/m1"))
        .count();
    assert!((10..30).contains(&tries), "with back-off up to a minute: {tries}");
    world.delete_backend("b");
    world.settle();
    assert_eq!(
        world.accepted("c"),
        "True/Accepted",
        "at once, not with the next attempt"
    );
    assert_eq!(world.atm.shares(), ["c/m1 50", "c/m2 50"]);
    assert!(!world.backends.contains_key("b"));
}

#[test]
fn of_two_new_backends_of_a_service_the_older_gets_the_target() {
    for reversed in [false, true] {
        let mut world = World::new();
        world.reversed = reversed;
        let mut newer = backend("a", 100);
        newer["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:01Z");
        world.add(newer);
        world.settle();
        let both = (world.accepted("b"), world.accepted("a"));
        assert_eq!(both, ("True/Accepted".into(), "False/Invalid".into()));
    }
}

#[test]
fn several_profiles_do_not_see_each_other() {
    let mut first = World::settled();
    let mut second = World::new();
    second.atm = std::mem::take(&mut first.atm);
    let profile = second.profile.as_mut().unwrap();
    profile["metadata"]["name"] = json!("other");
    profile["metadata"]["uid"] = json!("q");
    second.backends.clear();
    second.add(backend("c", 10));
    second.settle();
    assert_eq!(
        second.accepted("c"),
        "True/Accepted",
        "the same targets, in a profile of its own"
    );
    assert_eq!(second.atm.profiles.len(), 2);
    second.delete_profile();
    second.settle();
    first.atm = std::mem::take(&mut second.atm);
    first.let_time_pass(60);
    assert_eq!(first.atm.shares(), ["b/m1 50", "b/m2 50"]);
    assert!(first.writes.is_empty(), "{:?}", first.writes);
}

/// The record of an export with the hub's verdict on it.
fn record(cluster: &str, conflict: &str) -> Record {
    Record::from_value(
        &json!({
            "metadata": {"namespace": format!("fleet-member-{cluster}"), "name": "app-service", "generation": 1},
            "spec": {
                "serviceReference": {"clusterId": cluster, "namespace": "app", "name": "service"}, "ports": [],
                "type": "LoadBalancer", "publicIPResourceID": format!("/{cluster}"), "isDNSLabelConfigured": true,
            },
            "status": {"conditions": [{"type": "Conflict", "status": conflict, "reason": "R", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "2025-01-01T00:00:00Z"}]},
        }),
        true,
    )
}

#[test]
fn exports_in_conflict_and_those_of_members_that_leave_get_no_traffic() {
    let mut world = World::new();
    let mut records = vec![record("m1", "False"), record("m2", "True"), record("m3", "False")];
    let mut leaving = BTreeSet::new();
    let settle = |world: &mut World, records: &[Record], leaving: &BTreeSet<String>| {
        let service = Service::of_records(records, leaving);
        world.services = service
            .map(|service| ("service".to_owned(), service))
            .into_iter()
            .collect();
        world.settle();
        (world.atm.shares(), world.accepted("b"))
    };
    let accepted = "True/Accepted".to_owned();
    let shares = |all: &[&str]| all.iter().map(|share| (*share).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        settle(&mut world, &records, &leaving),
        (shares(&["b/m1 50", "b/m3 50"]), accepted.clone())
    );
    // The member leaves: its export counts no more, and its withdrawal while it leaves changes nothing.
    leaving.insert("m3".to_owned());
    assert_eq!(
        settle(&mut world, &records, &leaving),
        (shares(&["b/m1 100"]), accepted.clone())
    );
    world.atm.log.clear();
    world.writes.clear();
    records[2].deleting = true;
    settle(&mut world, &records, &leaving);
    records.pop();
    settle(&mut world, &records, &leaving);
    leaving.clear();
    assert_eq!(
        settle(&mut world, &records, &leaving),
        (shares(&["b/m1 100"]), accepted)
    );
    assert!(
        world.atm.log.is_empty() && world.writes.is_empty(),
        "{:?} {:?}",
        world.atm.log,
        world.writes
    );
    // The last accepted export goes: the one in conflict keeps the service alive until it is judged anew.
    records.remove(0);
    assert_eq!(settle(&mut world, &records, &leaving).1, "Unknown/Pending");
    records[0] = record("m2", "False");
    assert_eq!(settle(&mut world, &records, &leaving).0, ["b/m2 100"]);
}

#[test]
fn a_spec_change_keeps_the_endpoints_and_the_backends_as_they_are() {
    let mut world = World::settled();
    world.change_profile(&json!({"monitorConfig": {"path": "/healthz"}}));
    world.advance(20);
    world.settle();
    assert_eq!(
        world.atm.take_log(),
        ["read", "write"],
        "it is read right before it is written"
    );
    assert_eq!(world.atm.profile()["properties"]["monitorConfig"]["path"], "/healthz");
    assert_eq!(world.atm.shares(), ["b/m1 50", "b/m2 50"]);
    assert_eq!(world.writes, ["web status"], "the backend sees none of it");
    assert_eq!(world.programmed(), "True/Programmed");
}

#[test]
fn names_in_any_case_and_answers_without_details_are_taken() {
    for (upper_case, without_details) in [(true, false), (false, true), (true, true)] {
        let mut world = World::new();
        world.atm.upper_case = upper_case;
        world.atm.without_details = without_details;
        world.settle();
        assert_eq!(world.accepted("b"), "True/Accepted");
        assert_eq!(
            world.backends["b"]["status"]["endpoints"][0]["name"],
            "fleet-b#service#m1"
        );
        let puts = |world: &World| world.atm.log.iter().filter(|call| call.starts_with("put")).count();
        assert_eq!(puts(&world), 2);
        world.let_time_pass(120);
        assert_eq!(puts(&world), 2, "what was read agrees with what was sent");
        world.export(&[("m2", 1)]);
        world.settle();
        assert_eq!(world.atm.shares(), ["b/m2 100"]);
        world.delete_backend("b");
        world.settle();
        assert_eq!(world.atm.shares(), Vec::<String>::new(), "ownership knows no case");
        assert!(world.backends.is_empty());
    }
}

#[test]
fn in_flight_calls_are_waited_for() {
    let world = World::new();
    let mut slice = world.slice();
    slice.in_flight = true;
    assert!(traffic::plan(&slice, world.now).facts.calls.is_empty());
    slice.in_flight = false;
    assert_eq!(traffic::plan(&slice, world.now).facts.calls.len(), 1);
}

#[test]
fn equal_slices_give_equal_plans_and_explanations_decide_the_same() {
    let mut world = World::new();
    for _ in 0..6 {
        let slice = world.slice();
        let (explained, trace) = traffic::explain(&slice, world.now);
        assert_eq!(traffic::plan(&slice, world.now), explained);
        assert_eq!(trace.backends.entries().len(), 1);
        world.pass();
    }
    world.services.get_mut("service").unwrap().exporters.push({
        let mut internal = export("m3", 5);
        internal.export.as_mut().unwrap().is_internal = true;
        internal
    });
    world.exporter("m1").weight = 3;
    let (_, trace) = traffic::explain(&world.slice(), world.now);
    let text = serde_json::to_value(&trace).unwrap();
    assert_eq!(text["profile"], "programmed");
    let exports = text["backends"]["entries"][0]["exports"]["entries"].as_array().unwrap();
    assert_eq!(exports[0]["differences"], json!(["weight"]));
    assert_eq!(exports[2]["rejected"], "internal load balancer is not supported");
}

#[test]
fn endpoints_are_written_once_the_changes_of_exports_are_collected() {
    let mut world = World::settled();
    world.exporter("m1").weight = 3;
    world.collected.until = Some(world.now + jiff::SignedDuration::from_millis(300));
    let plan = world.settle();
    assert_eq!(world.atm.take_log(), Vec::<String>::new());
    assert_eq!(plan.requeue, Some(std::time::Duration::from_millis(300)));
    assert_eq!(world.accepted("b"), "True/Accepted", "the status stays");
    // What is withdrawn goes at once.
    world.exporter("m2").weight = 0;
    world.settle();
    assert_eq!(world.atm.take_log(), ["drop b/m2"]);
    world.advance(1);
    world.settle();
    assert_eq!(world.atm.take_log(), ["put b/m1 100"]);
    assert_eq!(world.atm.shares(), ["b/m1 100"]);
}

#[test]
fn while_calls_are_on_their_way_plans_say_what_their_writes_would_be_now() {
    let mut world = World::settled();
    world.exporter("m1").weight = 3;
    world.collected.differing = BTreeMap::from([("fleet-b#service#m2".to_owned(), world.now - SECOND)]);
    let plan = world.plan();
    let bodies = |calls: &[Call]| calls.iter().map(|call| call.intent).collect::<Vec<_>>();
    let begun = bodies(&plan.facts.calls);
    assert_eq!(begun.len(), 2);
    assert_eq!(plan.facts.revised, []);
    assert_eq!(plan.facts.differing, ["fleet-b#service#m1", "fleet-b#service#m2"]);
    let Action::WriteEndpoint { name, .. } = &plan.facts.calls[0].action else {
        panic!("{plan:?}")
    };
    assert_eq!(name, "fleet-b#service#m2", "what has differed for long goes first");

    let mut slice = world.slice();
    slice.in_flight = true;
    let plan = traffic::plan(&slice, world.now);
    assert_eq!(
        (plan.facts.calls.len(), bodies(&plan.facts.revised)),
        (0, begun.clone())
    );
    slice.services.get_mut("service").unwrap().exporters[0]
        .export
        .as_mut()
        .unwrap()
        .weight = 4;
    let plan = traffic::plan(&slice, world.now);
    assert!(
        bodies(&plan.facts.revised)
            .iter()
            .zip(&begun)
            .all(|(now, then)| now != then)
    );
    // Exports change again: nothing more is sent until they have been collected, or for too long.
    slice.collected.until = Some(world.now + SECOND);
    assert_eq!(traffic::plan(&slice, world.now).facts.revised, []);
    slice
        .collected
        .differing
        .insert("fleet-b#service#m2".to_owned(), world.now - SECOND * 30);
    assert_eq!(traffic::plan(&slice, world.now).facts.revised.len(), 1);
}

#[test]
fn an_endpoint_that_is_missing_or_points_elsewhere_waits_less_for_other_exports() {
    let mut world = World::settled();
    world.export(&[("m1", 1), ("m2", 1), ("m3", 1)]);
    world.exporter("m2").public_ip = "/elsewhere".to_owned();
    let names = ["m1", "m2", "m3"].map(|cluster| format!("fleet-b#service#{cluster}"));
    world.collected.differing = names.into_iter().map(|name| (name, world.now - SECOND * 3)).collect();
    world.collected.until = Some(world.now + SECOND);
    let mut sent = world.plan().facts.calls.into_iter().map(|call| match call.action {
        Action::WriteEndpoint { name, .. } => name,
        other => panic!("{other:?}"),
    });
    assert_eq!(sent.next().as_deref(), Some("fleet-b#service#m2"));
    assert_eq!(sent.next().as_deref(), Some("fleet-b#service#m3"));
    assert_eq!(sent.next(), None, "the other one has another weight and goes on");
}
