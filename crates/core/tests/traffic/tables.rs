//! The tables of the contract: networking 6.3, 7.2, 7.3, 7.5 and 12.3.

use fairway_core::traffic::arm::{Failure, Subject};
use serde_json::json;

use super::atm::{failure, no_answer, throttled};
use super::world::{World, profile};

fn put(cluster: &str) -> Subject {
    Subject::WriteEndpoint(format!("fleet-b#service#{cluster}"))
}

fn drop_(cluster: &str) -> Subject {
    Subject::DeleteEndpoint(format!("fleet-b#service#{cluster}"))
}

/// A new profile whose calls of one kind fail.
fn profile_with(subject: Subject, fault: Failure) -> World {
    let mut world = World::new();
    world.atm.faults.insert(subject, fault);
    world.settle();
    world
}

#[test]
fn outcomes_of_profile_calls() {
    let taken = Failure {
        message: "Domain name app-web.trafficmanager.net already exists.".into(),
        ..failure(409, "Conflict")
    };
    let (invalid, pending) = ("False/Invalid", "Unknown/Pending");
    let table = [
        (
            Subject::Read,
            failure(403, "AuthorizationFailed"),
            invalid,
            "Invalid profile: 403 AuthorizationFailed: Because.",
        ),
        (
            Subject::Read,
            failure(400, "E"),
            pending,
            "Failed to configure profile and retrying: 400 E: Because.",
        ),
        (
            Subject::Read,
            failure(401, "E"),
            pending,
            "Failed to configure profile and retrying: 401 E: Because.",
        ),
        (
            Subject::Read,
            failure(408, "E"),
            pending,
            "Failed to configure profile and retrying: 408 E: Because.",
        ),
        (
            Subject::Read,
            failure(409, "E"),
            pending,
            "Failed to configure profile and retrying: 409 E: Because.",
        ),
        (
            Subject::Read,
            throttled(5),
            pending,
            "Failed to configure profile and retrying: 429 TooManyRequests: Because.",
        ),
        (
            Subject::Read,
            failure(503, "E"),
            pending,
            "Failed to configure profile and retrying: 503 E: Because.",
        ),
        (
            Subject::Read,
            no_answer(),
            pending,
            "Failed to configure profile and retrying: the traffic manager did not answer: timed out",
        ),
        (
            Subject::Write,
            taken,
            "False/DNSNameNotAvailable",
            "Domain name is not available. Please choose a different profile name or namespace",
        ),
        (
            Subject::Write,
            failure(409, "OperationInProgress"),
            pending,
            "Failed to configure profile and retrying: 409 OperationInProgress: Because.",
        ),
        (
            Subject::Write,
            failure(400, "E"),
            invalid,
            "Invalid profile: 400 E: Because.",
        ),
        (
            Subject::Write,
            failure(401, "E"),
            invalid,
            "Invalid profile: 401 E: Because.",
        ),
        (
            Subject::Write,
            failure(403, "E"),
            invalid,
            "Invalid profile: 403 E: Because.",
        ),
        (
            Subject::Write,
            failure(404, "ResourceGroupNotFound"),
            invalid,
            "Invalid profile: 404 ResourceGroupNotFound: Because.",
        ),
        (
            Subject::Write,
            failure(408, "E"),
            invalid,
            "Invalid profile: 408 E: Because.",
        ),
        (
            Subject::Write,
            throttled(5),
            pending,
            "Failed to configure profile and retrying: 429 TooManyRequests: Because.",
        ),
        (
            Subject::Write,
            failure(500, "E"),
            pending,
            "Failed to configure profile and retrying: 500 E: Because.",
        ),
        (
            Subject::Write,
            no_answer(),
            pending,
            "Failed to configure profile and retrying: the traffic manager did not answer: timed out",
        ),
    ];
    for (subject, fault, condition, message) in table {
        let about = format!("{subject:?} {fault:?}");
        let is_read = subject == Subject::Read;
        let mut world = profile_with(subject, fault);
        assert_eq!(world.programmed(), condition, "{about}");
        assert_eq!(world.programmed_message(), message, "{about}");
        assert_eq!(world.dns_name(), None, "{about}");
        let warnings = world
            .events
            .iter()
            .filter(|event| event.starts_with("web AzureAPIError"))
            .count();
        assert_eq!(warnings, 1, "{about}: {:?}", world.events);
        let late = world.finalizers()[0].contains("traffic-manager-profile-cleanup");
        assert_eq!(late, !is_read, "{about}: only before the first write");
        let (status, name) = (world.accepted("b"), world.accepted_message("b"));
        match condition {
            "Unknown/Pending" if is_read => {
                assert_eq!(status, pending, "{about}");
                assert!(
                    name.starts_with("Failed to get the Azure Traffic Manager profile \"fleet-p\" under \"rg\": "),
                    "{name}"
                );
            }
            "Unknown/Pending" => {
                let text = "In the processing of trafficManagerProfile \"web\"";
                assert_eq!((status.as_str(), name.as_str()), (pending, text), "{about}");
            }
            _ => {
                let text = "Invalid trafficManagerProfile \"web\", please check the trafficManagerProfile status";
                assert_eq!((status.as_str(), name.as_str()), (invalid, text), "{about}");
            }
        }
        assert_eq!(
            world.finalizers()[1],
            "metrics-cleanup",
            "{about}: no endpoint work was begun"
        );
        world.atm.faults.clear();
        world.let_time_pass(90);
        assert_eq!(world.programmed(), "True/Programmed", "{about}: it recovers by itself");
        assert_eq!(world.accepted("b"), "True/Accepted", "{about}");
    }
}

#[test]
fn pending_keeps_the_last_name_and_false_clears_it() {
    let mut world = World::settled();
    world.change_profile(&json!({"monitorConfig": {"port": 8080}}));
    world.atm.faults.insert(Subject::Write, failure(500, "E"));
    world.settle();
    assert_eq!(world.programmed(), "Unknown/Pending");
    assert_eq!(world.dns_name(), Some("app-web.trafficmanager.net"));
    assert_eq!(world.accepted("b"), "Unknown/Pending");
    assert_eq!(world.endpoints("b").len(), 2, "they still serve");
    world.atm.faults.insert(Subject::Write, failure(400, "E"));
    world.let_time_pass(60);
    assert_eq!((world.programmed().as_str(), world.dns_name()), ("False/Invalid", None));
    assert_eq!(world.endpoints("b").len(), 2, "they still serve");
}

#[test]
fn an_error_that_stays_is_written_once_and_tried_with_growing_waits() {
    for (fault, least, most) in [
        (failure(403, "E"), 10, 20),
        (failure(500, "E"), 18, 40),
        (no_answer(), 18, 40),
    ] {
        let mut world = profile_with(Subject::Write, fault.clone());
        world.writes.clear();
        world.atm.log.clear();
        world.let_time_pass(600);
        let tries = world.atm.log.iter().filter(|call| call.starts_with("write")).count();
        assert!(
            (least..=most).contains(&tries),
            "{fault:?}: {tries} attempts in ten minutes"
        );
        assert_eq!(world.writes, Vec::<String>::new(), "{fault:?}");
    }
}

#[test]
fn an_error_text_that_differs_in_ids_alone_writes_no_status() {
    let mut world = World::new();
    let mut fault = failure(500, "E");
    for id in 0..10 {
        fault.message = format!("Request {id}-ab at 12:00:0{id} failed.");
        world.atm.faults.insert(Subject::Write, fault.clone());
        world.settle();
        world.advance(40);
    }
    assert_eq!(world.writes.iter().filter(|write| *write == "web status").count(), 1);
    assert_eq!(world.events.len(), 1, "{:?}", world.events);
    fault.code = "Other".into();
    world.atm.faults.insert(Subject::Write, fault);
    world.settle();
    assert!(world.programmed_message().contains("500 Other"));
}

#[test]
fn retry_after_is_honoured_even_when_the_wish_changes() {
    let mut world = profile_with(Subject::Write, throttled(100));
    world.atm.faults.clear();
    world.atm.log.clear();
    world.change_profile(&json!({"monitorConfig": {"port": 81}}));
    world.let_time_pass(95);
    assert!(
        world.atm.log.iter().all(|call| call.starts_with("read")),
        "{:?}",
        world.atm.log
    );
    world.let_time_pass(10);
    assert_eq!(world.programmed(), "True/Programmed");
    let mut world = profile_with(Subject::Write, failure(400, "E"));
    world.atm.faults.clear();
    world.change_profile(&json!({"monitorConfig": {"port": 81}}));
    world.settle();
    assert_eq!(world.programmed(), "True/Programmed", "a changed spec is tried at once");
}

#[test]
fn what_the_user_must_change_is_said_without_a_call() {
    let mut long = profile(json!({"resourceGroup": "rg"}));
    long["metadata"]["name"] = json!("n".repeat(63));
    let mut odd = profile(json!({"resourceGroup": "rg"}));
    odd["metadata"]["annotations"] = json!({"networking.fleet.azure.com/ttl-seconds": "soon"});
    for (object, text) in [(long, "has 67 characters"), (odd, "ttl-seconds is \"soon\"")] {
        let mut world = World::new();
        world.profile = Some(object);
        world.settle();
        assert_eq!(world.programmed(), "False/Invalid");
        let message = world.programmed_message();
        assert!(
            message.starts_with("Invalid profile: ") && message.contains(text),
            "{message}"
        );
        assert_eq!(world.atm.log, Vec::<String>::new());
    }
}

#[test]
fn an_interval_that_azure_refuses_says_so() {
    let mut world = World::new();
    let key = "networking.fleet.azure.com/probe-interval-seconds";
    world.profile.as_mut().unwrap()["metadata"]["annotations"] = json!({ key: "1" });
    world.settle();
    assert_eq!(world.programmed_message(), "Invalid profile: 400 BadRequest: Because.");
    world.profile.as_mut().unwrap()["metadata"]["annotations"] = json!({ key: "10" });
    world.settle();
    assert_eq!(world.programmed(), "True/Programmed");
    assert_eq!(
        world.atm.profile()["properties"]["monitorConfig"]["timeoutInSeconds"],
        9
    );
}

#[test]
fn two_profiles_with_one_domain_name() {
    let other = |finalizers: serde_json::Value, created: &str| {
        let mut other = profile(json!({"resourceGroup": "rg"}));
        other["metadata"]["namespace"] = json!("app-we");
        other["metadata"]["name"] = json!("b");
        other["metadata"]["finalizers"] = finalizers;
        other["metadata"]["creationTimestamp"] = json!(created);
        other
    };
    let late = json!(["networking.fleet.azure.com/traffic-manager-profile-cleanup"]);
    let table = [
        (
            json!([]),
            "2024-01-01T00:00:00Z",
            "False/DNSNameNotAvailable",
            "it is older",
        ),
        (json!([]), "2026-01-01T00:00:00Z", "True/Programmed", "it is younger"),
        (
            late,
            "2026-01-01T00:00:00Z",
            "False/DNSNameNotAvailable",
            "it was there first",
        ),
    ];
    for (finalizers, created, condition, why) in table {
        let mut world = World::new();
        world.others = vec![other(finalizers, created)];
        world.settle();
        assert_eq!(world.programmed(), condition, "{why}");
        if condition.starts_with("False") {
            let message = "Domain name is not available. Please choose a different profile name or namespace: \
                the TrafficManagerProfile app-we/b has it";
            assert_eq!(world.programmed_message(), message);
            assert_eq!(world.atm.log, Vec::<String>::new(), "before any call");
            world.others.clear();
            world.settle();
            assert_eq!(world.programmed(), "True/Programmed", "once the other is gone");
        }
    }
    let mut world = World::new();
    world.atm.taken.push("app-web".into());
    world.settle();
    assert_eq!(
        world.programmed_message(),
        "Domain name is not available. Please choose a different profile name or namespace"
    );
}

#[test]
fn exports_that_cannot_be_endpoints() {
    let mut world = World::settled();
    world.exporter("m1").has_dns_label = false;
    world.settle();
    assert_eq!(world.accepted("b"), "False/Invalid");
    assert_eq!(
        world.accepted_message("b"),
        "1 service(s) exported from clusters cannot be exposed as the Azure Traffic Manager, for example, service exported \
         from m1 is invalid: DNS label is not configured to the public IP"
    );
    assert_eq!(
        world.endpoints("b"),
        ["m2 100 of 1"],
        "the other gets all of the weight"
    );
    assert_eq!(world.atm.take_log(), ["drop b/m1", "put b/m2 100"]);
    assert_eq!(
        world.events,
        [
            "b EndpointNotAccepted: The Service exported from the cluster m1 cannot be an endpoint: DNS label is not configured to \
          the public IP"
        ]
    );
    world.exporter("m2").service_type = "ClusterIP".into();
    world.settle();
    assert_eq!(
        world.accepted_message("b"),
        "2 service(s) exported from clusters cannot be exposed as the Azure Traffic Manager, for example, service exported \
         from m1 is invalid: DNS label is not configured to the public IP; also not accepted: m2"
    );
    assert_eq!(world.atm.shares(), Vec::<String>::new());
    assert_eq!(world.plan().facts.calls, [], "an invalid export is not retried");
    world.exporter("m1").has_dns_label = true;
    world.exporter("m2").service_type = "LoadBalancer".into();
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted");
}

#[test]
fn an_exporter_without_a_record() {
    let mut world = World::new();
    world.services.get_mut("service").unwrap().exporters[1].export = None;
    world.settle();
    assert_eq!(world.accepted("b"), "Unknown/Pending");
    assert!(
        world
            .accepted_message("b")
            .starts_with("Failed to find the exported service \"app/service\" for \"m2\": "),
        "{}",
        world.accepted_message("b")
    );
    assert_eq!(world.atm.log, ["read -> 404", "write"]);
}

#[test]
fn outcomes_of_endpoint_writes() {
    let not_written = "Failed to create or update \"fleet-b#service#m1\" for \"fleet-p\": ";
    let refused = "1 endpoint(s) failed to be created/updated in the Azure Traffic Manager, for example, ";
    let table = [
        (
            failure(400, "E"),
            "False/Invalid",
            format!("{refused}400 E: Because.; "),
        ),
        (
            failure(403, "E"),
            "False/Invalid",
            format!("{refused}403 E: Because.; "),
        ),
        (
            failure(404, "E"),
            "False/Invalid",
            format!("{refused}404 E: Because.; "),
        ),
        (
            failure(409, "E"),
            "False/Invalid",
            format!("{refused}409 E: Because.; "),
        ),
        (
            failure(408, "E"),
            "False/Invalid",
            format!("{refused}408 E: Because.; "),
        ),
        (
            throttled(3),
            "Unknown/Pending",
            format!("{not_written}429 TooManyRequests: Because."),
        ),
        (
            failure(500, "E"),
            "Unknown/Pending",
            format!("{not_written}500 E: Because."),
        ),
        (
            no_answer(),
            "Unknown/Pending",
            format!("{not_written}the traffic manager did not answer: timed out"),
        ),
    ];
    for (fault, condition, message) in table {
        let mut world = World::new();
        world.atm.faults.insert(put("m1"), fault.clone());
        world.settle();
        assert_eq!(world.accepted("b"), condition, "{fault:?}");
        assert_eq!(world.accepted_message("b"), message, "{fault:?}");
        assert_eq!(
            world.endpoints("b"),
            ["m2 50 of 1"],
            "{fault:?}: the other endpoint is written all the same"
        );
        assert_eq!(world.programmed(), "True/Programmed", "{fault:?}");
        world.atm.log.clear();
        world.atm.faults.clear();
        world.let_time_pass(70);
        assert_eq!(world.accepted("b"), "True/Accepted", "{fault:?}: it recovers by itself");
        let puts: Vec<_> = world.atm.log.iter().filter(|call| call.starts_with("put")).collect();
        assert_eq!(puts, ["put b/m1 50"], "{fault:?}");
    }
}

#[test]
fn a_refused_endpoint_keeps_its_part_of_the_sum() {
    let mut world = World::new();
    world.change_backend("b", &json!({"weight": 10}));
    world.export(&[("m1", 2), ("m2", 1)]);
    world.atm.faults.insert(put("m2"), failure(400, "E"));
    world.exporter("m1").weight = 2;
    world.settle();
    assert_eq!(world.endpoints("b"), ["m1 7 of 2"]);
}

#[test]
fn refused_and_invalid_together() {
    let mut world = World::new();
    world.atm.faults.insert(put("m1"), failure(400, "E"));
    world.exporter("m2").is_internal = true;
    world.settle();
    assert_eq!(
        world.accepted_message("b"),
        "1 endpoint(s) failed to be created/updated in the Azure Traffic Manager, for example, 400 E: Because.; 1 service(s) \
         exported from clusters cannot be exposed as the Azure Traffic Manager, for example, service exported from m2 is \
         invalid: internal load balancer is not supported"
    );
}

#[test]
fn outcomes_of_deleting_what_is_stale() {
    for fault in [
        failure(400, "E"),
        failure(403, "E"),
        failure(409, "E"),
        throttled(3),
        failure(500, "E"),
        no_answer(),
    ] {
        let mut world = World::settled();
        world.atm.faults.insert(drop_("m1"), fault.clone());
        world.export(&[("m2", 1), ("m3", 1)]);
        world.settle();
        assert_eq!(world.accepted("b"), "Unknown/Pending", "{fault:?}");
        let message = world.accepted_message("b");
        let start = "Failed to cleanup the existing \"fleet-b#service#m1\" for \"fleet-p\": ";
        assert!(message.starts_with(start), "{message}");
        assert_eq!(
            fault.is_forbidden(),
            message.contains("trafficManagerProfiles/azureEndpoints/delete"),
            "{message}"
        );
        assert_eq!(
            world.atm.shares(),
            ["b/m1 50", "b/m2 50"],
            "{fault:?}: nothing else is done before"
        );
        assert_eq!(world.endpoints("b").len(), 2, "{fault:?}");
        world.atm.faults.clear();
        world.let_time_pass(70);
        assert_eq!(world.atm.shares(), ["b/m2 50", "b/m3 50"], "{fault:?}");
        assert_eq!(world.accepted("b"), "True/Accepted", "{fault:?}");
    }
    let mut world = World::settled();
    world.atm.faults.insert(drop_("m1"), failure(404, "E"));
    world.export(&[("m2", 1)]);
    world.settle();
    assert_eq!(world.accepted("b"), "True/Accepted", "404 is success");
}

#[test]
fn endpoints_that_nobody_wants_are_reported_while_they_cannot_be_deleted() {
    type Change = fn(&mut World);
    let changes: [Change; 2] = [
        |world| world.services.clear(),
        |world| world.change_backend("b", &json!({"weight": 0})),
    ];
    for change in changes {
        let mut world = World::settled();
        world.atm.faults.insert(drop_("m1"), failure(500, "E"));
        change(&mut world);
        world.settle();
        assert_eq!(world.accepted("b"), "Unknown/Pending");
        assert_eq!(world.endpoints("b"), ["m1 50 of 1"]);
        world.atm.faults.clear();
        world.let_time_pass(40);
        assert_eq!(world.endpoints("b"), Vec::<String>::new());
        assert_ne!(world.accepted("b"), "Unknown/Pending");
    }
}

#[test]
fn series_follow_the_statuses() {
    let mut world = World::settled();
    let plan = world.plan();
    let series: Vec<String> = plan
        .facts
        .reported
        .iter()
        .map(|series| {
            let object = &series.object;
            format!(
                "{:?} {} {} {} {}",
                object.kind, object.name, series.generation, series.status, series.reason
            )
        })
        .collect();
    assert_eq!(series, ["Profile web 1 True Programmed", "Backend b 1 True Accepted"]);
    world.delete_backend("b");
    let mut dropped = Vec::new();
    while world.backends.contains_key("b") {
        dropped = world.pass().facts.dropped;
    }
    assert_eq!(dropped.len(), 1);
}
