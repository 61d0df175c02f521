//! Fast degradation: which endpoints get which hint, when it is repeated, and when it is taken back.

use std::time::Duration;

use fairway_core::traffic::{self, Cause, Silence};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::World;

/// A settled fleet whose profile asks for fast degradation.
fn opted_in() -> World {
    let mut world = World::settled();
    world.takes_hints = true;
    opt(&mut world, "true");
    world.settle();
    world.writes.clear();
    world.events.clear();
    world.atm.log.clear();
    world
}

fn opt(world: &mut World, value: &str) {
    let metadata = &mut world.profile.as_mut().unwrap()["metadata"];
    metadata["annotations"]["networking.fleet.azure.com/fast-degradation"] = json!(value);
}

fn silent(world: &World, heartbeat: Option<Timestamp>) -> Silence {
    Silence {
        since: world.now,
        heartbeat,
        limit: Duration::from_secs(2),
        heartbeat_period: Duration::from_secs(15),
    }
}

#[test]
fn a_service_without_ready_endpoints_is_degraded_at_once_and_restored_at_once() {
    let mut world = opted_in();
    world.exporter("m1").is_ready = Some(false);
    world.settle();
    assert_eq!(world.take_hints(), ["b/m1 NotReady"]);
    assert!(
        world.events.iter().any(|event| event.contains("EndpointDegraded")),
        "{:?}",
        world.events
    );
    world.exporter("m1").is_ready = Some(true);
    world.settle();
    assert_eq!(world.take_hints(), ["b/m1 online"]);
    world.let_time_pass(300);
    assert_eq!(world.take_hints(), Vec::<String>::new());
    assert_eq!(world.writes, Vec::<String>::new(), "the statuses stay as they are");
    assert!(world.atm.take_log().iter().all(|call| call == "read"));
}

#[test]
fn an_explanation_names_the_endpoints_that_are_degraded_why_and_until_when() {
    let mut world = opted_in();
    world.exporter("m1").is_ready = Some(false);
    let hints = |world: &World| {
        let (_, trace) = traffic::explain(&world.slice(), world.now);
        serde_json::to_value(&trace).unwrap()["hints"]["entries"].clone()
    };
    let expected = |until: Option<Timestamp>| {
        json!([{"backend": "b", "cluster": "m1", "cause": "The exported Service has no endpoint that is ready.",
            "until": until}])
    };
    assert_eq!(hints(&world), expected(None));
    world.settle();
    let until = world.now + SignedDuration::from_secs(60);
    world.advance(10);
    assert_eq!(hints(&world), expected(Some(until)));
    world.exporter("m1").is_ready = Some(true);
    assert_eq!(hints(&world), json!([]));
}

#[test]
fn readiness_that_is_not_known_degrades_nothing() {
    let mut world = opted_in();
    world.exporter("m1").is_ready = None;
    world.exporter("m2").is_ready = Some(true);
    world.let_time_pass(100);
    assert_eq!(world.take_hints(), Vec::<String>::new());
}

#[test]
fn a_hint_is_repeated_before_it_ends_for_as_long_as_its_cause_holds() {
    let mut world = opted_in();
    world.exporter("m1").is_ready = Some(false);
    world.let_time_pass(100);
    let hints = world.take_hints();
    assert_eq!(
        hints, ["b/m1 NotReady"; 4],
        "after 0, 25, 50 and 75 s, each lasting 60 s"
    );
}

#[test]
fn only_profiles_that_ask_for_it_and_traffic_managers_that_take_hints_get_any() {
    let mut world = opted_in();
    world.takes_hints = false;
    world.exporter("m1").is_ready = Some(false);
    world.let_time_pass(100);
    assert_eq!(world.take_hints(), Vec::<String>::new());
    world.takes_hints = true;
    opt(&mut world, "false");
    world.let_time_pass(100);
    assert_eq!(world.take_hints(), Vec::<String>::new());
    opt(&mut world, "true");
    world.settle();
    assert_eq!(world.take_hints(), ["b/m1 NotReady"]);
    opt(&mut world, "false");
    world.settle();
    assert_eq!(
        world.take_hints(),
        ["b/m1 online"],
        "whoever no longer asks for it gets the endpoint back"
    );
    opt(&mut world, "yes");
    world.settle();
    assert_eq!(world.programmed(), "False/Invalid");
    assert!(
        world.programmed_message().contains("fast-degradation"),
        "{}",
        world.programmed_message()
    );
}

#[test]
fn a_member_is_lost_once_it_is_silent_for_too_long() {
    let mut world = opted_in();
    world.silent.insert("m2".to_owned(), silent(&world, None));
    world.settle();
    assert_eq!(world.take_hints(), Vec::<String>::new());
    world.let_time_pass(3);
    assert_eq!(world.take_hints(), ["b/m2 MemberLost"]);
    world.silent.clear();
    world.settle();
    assert_eq!(world.take_hints(), ["b/m2 online"], "its session is there again");
}

#[test]
fn a_member_that_sends_heartbeats_without_a_session_is_lost_until_one_shows_that_it_is_there() {
    let mut world = opted_in();
    world.silent.insert("m2".to_owned(), silent(&world, None));
    let beat = |world: &mut World| {
        let heartbeat = Some(world.now);
        world.silent.get_mut("m2").unwrap().heartbeat = heartbeat;
    };
    world.let_time_pass(3);
    assert_eq!(world.take_hints(), ["b/m2 MemberLost"]);
    beat(&mut world);
    world.let_time_pass(15);
    assert_eq!(
        world.take_hints(),
        Vec::<String>::new(),
        "its first heartbeat may be from before"
    );
    for _ in 0..5 {
        beat(&mut world);
        world.let_time_pass(30);
    }
    assert_eq!(world.take_hints(), ["b/m2 online"]);
    world.let_time_pass(20);
    assert_eq!(world.take_hints(), ["b/m2 MemberLost"], "until they stop");
}

#[test]
fn a_cause_takes_over_from_another_one() {
    let mut world = opted_in();
    world.exporter("m1").is_ready = Some(false);
    world.settle();
    world.silent.insert("m1".to_owned(), silent(&world, None));
    world.let_time_pass(3);
    world.silent.clear();
    world.settle();
    assert_eq!(
        world.take_hints(),
        ["b/m1 NotReady", "b/m1 MemberLost", "b/m1 NotReady"]
    );
}

#[test]
fn hints_that_fail_come_again_with_back_off_and_hold_nothing_up() {
    let mut world = opted_in();
    world.hints_fail = true;
    world.exporter("m1").is_ready = Some(false);
    world.change_backend("b", &json!({"weight": 50}));
    world.let_time_pass(60);
    let attempts = world.take_hints().len();
    assert!((12..=20).contains(&attempts), "{attempts} in a minute");
    assert_eq!(world.accepted("b"), "True/Accepted");
    assert_eq!(world.endpoints("b"), ["m1 25 of 1", "m2 25 of 1"]);
    world.hints_fail = false;
    world.let_time_pass(6);
    assert_eq!(world.take_hints(), ["b/m1 NotReady"]);
}

#[test]
fn nothing_is_sent_while_hints_are_on_their_way_or_for_what_the_traffic_manager_does_not_hold() {
    let mut world = opted_in();
    world.exporter("m1").is_ready = Some(false);
    let mut slice = world.slice();
    slice.hints_in_flight = true;
    assert!(fairway_core::traffic::plan(&slice, world.now).facts.hints.is_empty());
    world.restart();
    let plan = world.plan();
    assert!(plan.facts.hints.is_empty(), "it is read first");
    world.settle();
    assert_eq!(world.take_hints(), ["b/m1 NotReady"]);
    world.delete_profile();
    world.settle();
    assert_eq!(world.take_hints(), Vec::<String>::new());
}

#[test]
fn causes_have_texts_for_people() {
    for cause in [Cause::NotReady, Cause::MemberLost] {
        assert!(cause.text().ends_with('.'));
    }
}
