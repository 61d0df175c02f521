//! The end of profiles and backends (networking 6.4 and 7.6).

use fairway_core::traffic::arm::Subject;
use serde_json::json;

use super::atm::{failure, no_answer, throttled};
use super::world::World;

fn drop_(cluster: &str) -> Subject {
    Subject::DeleteEndpoint(format!("fleet-b#service#{cluster}"))
}

#[test]
fn a_backend_takes_its_endpoints_along() {
    let mut world = World::settled();
    world.delete_backend("b");
    world.settle();
    assert_eq!(world.atm.take_log(), ["drop b/m1", "drop b/m2"]);
    assert!(world.backends.is_empty());
    assert_eq!(world.events, ["b Deleted from trafficmanagerbackend-controller"]);
    assert_eq!(
        world.writes,
        ["b metadata"],
        "both finalizers in one write, and no status"
    );
}

#[test]
fn a_backend_that_never_came_to_endpoints_is_free_to_go() {
    let mut world = World::new();
    world
        .atm
        .faults
        .insert(Subject::Read, failure(403, "AuthorizationFailed"));
    world.settle();
    world.delete_backend("b");
    world.delete_profile();
    world.settle();
    assert!(world.backends.is_empty() && world.profile.is_none());
    assert!(
        !world.events.iter().any(|event| event.contains("Deleted")),
        "{:?}",
        world.events
    );
}

#[test]
fn a_profile_is_deleted_with_its_endpoints_and_backends_say_that_it_is_gone() {
    let mut world = World::settled();
    world.delete_profile();
    world.settle();
    assert_eq!(world.atm.take_log(), ["delete"]);
    assert!(world.profile.is_none() && world.atm.profiles.is_empty());
    assert_eq!(world.events, ["web Deleted from trafficmanagerprofile-controller"]);
    assert_eq!(world.accepted("b"), "False/Invalid");
    assert_eq!(
        world.accepted_message("b"),
        "TrafficManagerProfile \"web\" is not found"
    );
    assert_eq!(world.endpoints("b"), Vec::<String>::new());
    assert_eq!(world.writes, ["web metadata", "b status"]);
    world.delete_backend("b");
    world.settle();
    assert!(world.backends.is_empty());
    assert_eq!(
        world.atm.take_log(),
        Vec::<String>::new(),
        "nothing is left to be deleted"
    );
}

#[test]
fn a_namespace_that_goes_takes_both_along_with_one_call() {
    let mut world = World::settled();
    world.delete_backend("b");
    world.delete_profile();
    world.settle();
    assert!(world.backends.is_empty() && world.profile.is_none());
    assert_eq!(world.atm.take_log(), ["delete"]);
}

#[test]
fn a_profile_that_somebody_else_holds_is_gone_for_its_backends() {
    let mut world = World::settled();
    let finalizers = world.profile.as_mut().unwrap()["metadata"]["finalizers"]
        .as_array_mut()
        .unwrap();
    finalizers.push(json!("theirs/hold"));
    world.delete_profile();
    world.settle();
    assert_eq!(world.finalizers()[0], "theirs/hold");
    assert_eq!(
        world.accepted_message("b"),
        "Azure Traffic Manager profile \"fleet-p\" under \"rg\" is not found"
    );
}

#[test]
fn a_deletion_that_hangs_says_which_right_is_missing_and_goes_on() {
    for fault in [
        failure(403, "AuthorizationFailed"),
        failure(409, "E"),
        throttled(3),
        failure(500, "E"),
        no_answer(),
    ] {
        let mut world = World::settled();
        world.atm.faults.insert(Subject::Delete, fault.clone());
        world.delete_profile();
        world.settle();
        let message = world.programmed_message();
        assert_eq!(world.programmed(), "Unknown/Pending", "{fault:?}");
        assert!(
            message.starts_with("Failed to delete the Azure Traffic Manager profile \"fleet-p\" under \"rg\": "),
            "{message}"
        );
        let right = "the right Microsoft.Network/trafficManagerProfiles/delete on the resource group \"rg\"";
        assert_eq!(message.contains(right), fault.is_forbidden(), "{message}");
        let warned = world
            .events
            .iter()
            .filter(|e| e.starts_with("web AzureAPIError") && e.contains(right))
            .count();
        assert_eq!(warned, usize::from(fault.is_forbidden()), "{:?}", world.events);
        assert_eq!(world.accepted("b"), "True/Accepted", "it still serves");
        world.writes.clear();
        world.let_time_pass(300);
        assert_eq!(world.writes, Vec::<String>::new(), "{fault:?}");
        world.atm.faults.clear();
        world.let_time_pass(75);
        assert!(world.profile.is_none(), "{fault:?}");
    }
}

#[test]
fn a_backend_whose_endpoints_cannot_be_deleted_says_why() {
    let mut world = World::settled();
    world
        .atm
        .faults
        .insert(drop_("m2"), failure(403, "AuthorizationFailed"));
    world.delete_backend("b");
    world.settle();
    assert_eq!(world.accepted("b"), "Unknown/Pending");
    let message = world.accepted_message("b");
    assert!(message.contains("\"fleet-b#service#m2\""), "{message}");
    assert!(
        message.contains("Microsoft.Network/trafficManagerProfiles/azureEndpoints/delete"),
        "{message}"
    );
    assert_eq!(world.endpoints("b"), ["m2 50 of 1"]);
    assert!(
        world.events.iter().any(|event| event.contains("azureEndpoints/delete")),
        "{:?}",
        world.events
    );
    world.atm.faults.clear();
    world.let_time_pass(75);
    assert!(world.backends.is_empty());
}

#[test]
fn a_backend_whose_profile_cannot_be_read_says_why() {
    let mut world = World::settled();
    world.restart();
    world
        .atm
        .faults
        .insert(Subject::Read, failure(403, "AuthorizationFailed"));
    world.delete_backend("b");
    world.settle();
    let message = world.accepted_message("b");
    assert!(
        message.contains("Microsoft.Network/trafficManagerProfiles/read"),
        "{message}"
    );
    assert_eq!(world.endpoints("b").len(), 2);
    world.atm.faults.clear();
    world.let_time_pass(75);
    assert!(world.backends.is_empty());
    assert_eq!(world.atm.shares(), Vec::<String>::new());
}

#[test]
fn a_backend_goes_while_the_deletion_of_its_profile_hangs() {
    let mut world = World::settled();
    world
        .atm
        .faults
        .insert(Subject::Delete, failure(403, "AuthorizationFailed"));
    world.delete_profile();
    world.settle();
    world.delete_backend("b");
    world.settle();
    assert!(world.backends.is_empty());
    assert_eq!(world.atm.shares(), Vec::<String>::new());
}

#[test]
fn a_backend_goes_although_its_profile_is_invalid() {
    let mut world = World::settled();
    world.profile.as_mut().unwrap()["metadata"]["annotations"] = json!({"networking.fleet.azure.com/ttl-seconds": "x"});
    world.settle();
    assert_eq!(world.programmed(), "False/Invalid");
    world.restart();
    world.delete_backend("b");
    world.settle();
    assert!(world.backends.is_empty());
    assert_eq!(world.atm.shares(), Vec::<String>::new());
}

#[test]
fn nothing_is_released_while_a_write_is_on_its_way() {
    let mut world = World::settled();
    world.change_backend("b", &json!({"weight": 0}));
    world.settle();
    world.delete_backend("b");
    world.delete_profile();
    world.atm.profiles.clear();
    let mut slice = world.slice();
    slice.in_flight = true;
    let plan = fairway_core::traffic::plan(&slice, world.now);
    assert_eq!(plan.writes().count(), 0, "{:?}", plan.steps);
    world.settle();
    assert!(world.backends.is_empty() && world.profile.is_none());
}

#[test]
fn a_backend_is_not_released_while_its_endpoint_is_being_written() {
    let mut world = World::settled();
    world.change_backend("b", &json!({"weight": 0}));
    world.settle();
    world.change_backend("b", &json!({"weight": 5}));
    let plan = world.pass_without_answers();
    assert_eq!(plan.facts.calls.len(), 2);
    world.delete_backend("b");
    world.pass_without_answers();
    assert!(world.backends.contains_key("b"), "it would leave its endpoints behind");
    world.settle();
    assert!(world.backends.is_empty());
    assert_eq!(world.atm.shares(), Vec::<String>::new());
}

#[test]
fn a_profile_is_not_released_while_it_is_being_written() {
    let mut world = World::new();
    world.pass();
    let plan = world.pass_without_answers();
    assert_eq!(plan.facts.calls.len(), 1);
    world.delete_profile();
    world.pass_without_answers();
    assert!(world.profile.is_some(), "it would leave its profile behind");
    world.settle();
    assert!(world.profile.is_none() && world.atm.profiles.is_empty());
}

#[test]
fn a_new_profile_of_the_same_name_starts_anew() {
    let mut world = World::settled();
    world.delete_profile();
    world.settle();
    let mut again = super::world::profile(json!({"resourceGroup": "rg"}));
    again["metadata"]["uid"] = json!("q");
    world.profile = Some(again);
    world.settle();
    assert_eq!(world.programmed(), "True/Programmed");
    assert_eq!(world.accepted("b"), "True/Accepted");
    assert_eq!(
        world.profile.as_ref().unwrap()["status"]["resourceID"],
        "/rg/rg/fleet-q"
    );
}
