//! What others do in the traffic manager, and what gets lost on the way.

use fairway_core::traffic::arm::Subject;
use serde_json::json;

use super::atm::{failure, no_answer};
use super::world::World;

/// Longest time until a change made by others is seen.
const A_MINUTE: i64 = 60;

#[test]
fn a_profile_that_was_changed_by_hand_is_repaired_within_a_minute() {
    let mut world = World::settled();
    world.atm.profile()["properties"]["profileStatus"] = json!("Disabled");
    world.atm.profile()["properties"]["monitorConfig"]["customHeaders"] = json!([{"name": "x", "value": "y"}]);
    world.atm.profile()["properties"]["monitorConfig"]["expectedStatusCodeRanges"] = json!([{"min": 200, "max": 299}]);
    world.atm.profile()["properties"]["trafficViewEnrollmentStatus"] = json!("Enabled");
    world.atm.profile()["tags"] = json!({"theirs": "yes"});
    world.let_time_pass(A_MINUTE);
    let profile = world.atm.profile().clone();
    assert_eq!(profile["properties"]["profileStatus"], "Enabled");
    assert_eq!(profile["properties"]["monitorConfig"].get("customHeaders"), None);
    assert_eq!(
        profile["properties"]["monitorConfig"]["expectedStatusCodeRanges"][0]["max"],
        299
    );
    assert_eq!(profile["properties"]["trafficViewEnrollmentStatus"], "Enabled");
    assert_eq!(profile["tags"]["theirs"], "yes");
    assert_eq!(world.atm.log.iter().filter(|call| *call == "write").count(), 1);
    assert_eq!(world.writes, Vec::<String>::new(), "the statuses are as they were");
}

#[test]
fn a_profile_that_was_deleted_by_hand_comes_back_with_its_endpoints() {
    let mut world = World::settled();
    world.atm.profiles.clear();
    world.let_time_pass(A_MINUTE);
    assert_eq!(world.atm.shares(), ["b/m1 50", "b/m2 50"]);
    assert_eq!(
        (world.programmed(), world.accepted("b")),
        ("True/Programmed".into(), "True/Accepted".into())
    );
}

#[test]
fn endpoints_that_were_changed_or_deleted_by_hand_are_repaired_and_foreign_ones_stay() {
    let mut world = World::settled();
    let foreign = json!({"name": "theirs", "type": "Microsoft.Network/trafficManagerProfiles/externalEndpoints",
        "properties": {"target": "example.org", "weight": 7}});
    let endpoints = world.atm.endpoints();
    endpoints[0]["properties"]["endpointStatus"] = json!("Disabled");
    endpoints.remove(1);
    endpoints.push(foreign.clone());
    world.let_time_pass(A_MINUTE);
    assert_eq!(world.atm.shares(), ["b/m1 50", "b/m2 50", "theirs 7"]);
    assert_eq!(world.atm.endpoints()[0], foreign);
    assert!(
        world
            .atm
            .endpoints()
            .iter()
            .skip(1)
            .all(|e| e["properties"]["endpointStatus"] == "Enabled")
    );
    world.change_profile(&json!({"monitorConfig": {"port": 81}}));
    world.change_backend("b", &json!({"weight": 0}));
    world.settle();
    assert_eq!(
        world.atm.shares(),
        ["theirs 7"],
        "a write of the profile carries it, and no clean-up takes it"
    );
    world.delete_backend("b");
    world.settle();
    assert_eq!(world.atm.shares(), ["theirs 7"]);
}

#[test]
fn one_lost_answer_to_a_repeated_read_is_not_reported_and_two_are() {
    let mut world = World::settled();
    world.advance(60);
    world.atm.faults.insert(Subject::Read, no_answer());
    world.settle();
    assert_eq!(world.writes, Vec::<String>::new());
    world.advance(2);
    world.settle();
    assert_eq!(world.programmed(), "Unknown/Pending");
    assert_eq!(world.dns_name(), Some("app-web.trafficmanager.net"));
    assert_eq!(
        (world.accepted("b").as_str(), world.endpoints("b").len()),
        ("Unknown/Pending", 2)
    );
    world.atm.faults.clear();
    world.let_time_pass(40);
    assert_eq!(
        (world.programmed(), world.accepted("b")),
        ("True/Programmed".into(), "True/Accepted".into())
    );
    assert!(
        world.atm.log.iter().all(|call| call.starts_with("read")),
        "nothing had to be written"
    );
}

#[test]
fn writes_whose_answers_are_lost_are_looked_up_not_repeated() {
    let mut world = World::new();
    world.atm.lost = true;
    world.settle();
    world.atm.lost = false;
    world.let_time_pass(60);
    assert_eq!(world.programmed(), "True/Programmed");
    let writes = world.atm.log.iter().filter(|call| *call == "write").count();
    assert_eq!(writes, 1, "the read has shown that it is there: {:?}", world.atm.log);
    let mut world = World::settled();
    world.atm.lost = true;
    world.export(&[("m1", 1)]);
    world.settle();
    world.atm.lost = false;
    world.let_time_pass(60);
    assert_eq!(world.atm.shares(), ["b/m1 100"]);
    assert_eq!(world.accepted("b"), "True/Accepted");
    for call in ["drop b/m2", "put b/m1 100"] {
        assert_eq!(
            world.atm.log.iter().filter(|made| *made == call).count(),
            1,
            "{:?}",
            world.atm.log
        );
    }
}

#[test]
fn a_failure_that_is_over_is_not_reported_again() {
    let mut world = World::new();
    world.atm.lost = true;
    world.pass();
    world.pass();
    world.atm.lost = false;
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
    world.writes.clear();
    world.atm.profile()["properties"]["profileStatus"] = json!("Disabled");
    world.let_time_pass(A_MINUTE);
    assert_eq!(world.atm.profile()["properties"]["profileStatus"], "Enabled");
    assert_eq!(
        world.writes,
        Vec::<String>::new(),
        "the lost answer of before is not reported"
    );
}

#[test]
fn a_profile_that_vanishes_under_an_endpoint_is_read_and_made_again_at_once() {
    let mut world = World::settled();
    world.atm.profiles.clear();
    world.exporter("m1").weight = 3;
    world.settle();
    assert!(world.atm.log.contains(&"write".to_owned()), "{:?}", world.atm.log);
    world.let_time_pass(10);
    assert_eq!(world.atm.shares(), ["b/m1 75", "b/m2 25"]);
}

#[test]
fn rights_that_are_lost_and_come_back() {
    let mut world = World::settled();
    world.advance(60);
    world
        .atm
        .faults
        .insert(Subject::Read, failure(403, "AuthorizationFailed"));
    world.settle();
    assert_eq!((world.programmed().as_str(), world.dns_name()), ("False/Invalid", None));
    assert_eq!(
        (world.accepted("b").as_str(), world.endpoints("b").len()),
        ("False/Invalid", 2)
    );
    world.atm.faults.clear();
    world.let_time_pass(75);
    assert_eq!(
        (world.programmed(), world.accepted("b")),
        ("True/Programmed".into(), "True/Accepted".into())
    );
    assert_eq!(world.dns_name(), Some("app-web.trafficmanager.net"));
}
