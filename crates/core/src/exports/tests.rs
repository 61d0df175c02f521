use api::condition::{ConditionStatus, find};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::services::{Conflict, EndpointSettings, PublicIp, Verdict};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn export(change: impl FnOnce(&mut Value)) -> ExportView {
    let mut value =
        json!({"metadata": {"namespace": "app", "name": "web", "uid": "e", "generation": 1, "finalizers": ["other"]}});
    change(&mut value);
    ExportView::from_value(&value)
}

fn with_finalizer(value: &mut Value) {
    value["metadata"]["finalizers"] = json!(["networking.fleet.azure.com/svc-export-cleanup"]);
}

fn service(change: impl FnOnce(&mut Value)) -> ServiceView {
    let mut value = json!({
        "metadata": {"namespace": "app", "name": "web", "uid": "s", "resourceVersion": "7"},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1",
            "ports": [{"port": 80, "targetPort": "http", "appProtocol": "h2c"}, {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353}]},
    });
    change(&mut value);
    ServiceView::from_value(&value)
}

/// The decision in one line: what is reported to the hub, the finalizer, and the conditions that are written.
fn line(decision: &Decision) -> String {
    let link = match &decision.link {
        LinkStep::Keep => "keep".to_owned(),
        LinkStep::Report(report) => format!("report weight {:?}", report.weight.unwrap_or_default()),
        LinkStep::Withdraw(withdrawal) => format!("withdraw {:?}", withdrawal.reason),
    };
    let conditions = decision.conditions.as_ref().map_or("unchanged".to_owned(), |all| {
        all.iter()
            .map(|c| format!("{}={}/{}", c.type_, c.status.as_str(), c.reason))
            .collect::<Vec<_>>()
            .join(" ")
    });
    format!("{link}, {:?}, {conditions}", decision.finalizer)
}

fn outcome(export: &ExportView, service: Option<&ServiceView>) -> String {
    line(&decide(export, service, false, at(5), at(9)))
}

#[test]
fn each_situation_of_an_export() {
    let fine = service(|_| {});
    let pending = "Conflict=Unknown/ServicePendingConflictResolution";
    assert_eq!(
        outcome(&export(|_| {}), Some(&fine)),
        format!("report weight 1, Add, Valid=True/ServiceIsValid {pending}")
    );
    assert_eq!(
        outcome(&export(with_finalizer), Some(&fine)),
        format!("report weight 1, Keep, Valid=True/ServiceIsValid {pending}")
    );
    assert_eq!(
        outcome(&export(|_| {}), None),
        "keep, Keep, Valid=False/ServiceNotFound"
    );
    assert_eq!(
        outcome(&export(with_finalizer), None),
        "withdraw ServiceNotFound, RemoveOnceWithdrawn, Valid=False/ServiceNotFound"
    );
    let going = service(|s| s["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    assert_eq!(
        outcome(&export(|_| {}), Some(&going)),
        "keep, Keep, Valid=False/ServiceNotFound"
    );
    for spoil in [
        |s: &mut Value| s["spec"]["clusterIP"] = json!("None"),
        |s: &mut Value| s["spec"]["type"] = json!("ExternalName"),
    ] {
        assert_eq!(
            outcome(&export(with_finalizer), Some(&service(spoil))),
            "withdraw ServiceIneligible, RemoveOnceWithdrawn, Valid=False/ServiceIneligible"
        );
    }
    let weighed = |weight: &str| {
        let weight = weight.to_owned();
        export(move |e| {
            with_finalizer(e);
            e["metadata"]["annotations"] = json!({"networking.fleet.azure.com/weight": weight});
        })
    };
    assert_eq!(
        outcome(&weighed("70"), Some(&fine)),
        format!("report weight 70, Keep, Valid=True/ServiceIsValid {pending}")
    );
    assert_eq!(
        outcome(&weighed("x"), Some(&fine)),
        "keep, Keep, Valid=False/ServiceExportInvalidWeightAnnotation"
    );
    assert_eq!(
        outcome(&weighed("0"), Some(&fine)),
        "withdraw ZeroWeight, RemoveOnceWithdrawn, Valid=True/ServiceIsValid"
    );
}

#[test]
fn what_users_choose_of_an_endpoint_is_reported_or_refused() {
    let fine = service(|_| {});
    let chosen = |priority: &str, location: &str| {
        let annotations = json!({"networking.fleet.azure.com/endpoint-priority": priority,
            "networking.fleet.azure.com/endpoint-location": location});
        export(move |e| e["metadata"]["annotations"] = annotations.clone())
    };
    let decided = decide(&chosen("2", "West Europe"), Some(&fine), false, at(0), at(0));
    let LinkStep::Report(report) = &decided.link else {
        panic!("{decided:?}")
    };
    assert_eq!(
        (report.endpoint.priority, report.endpoint.location.as_deref()),
        (Some(2), Some("West Europe"))
    );
    let LinkStep::Report(report) = decided.without_traffic().link else {
        panic!("it is reported")
    };
    assert_eq!(report.endpoint, EndpointSettings::default());

    let refused = decide(&chosen("first", "West Europe"), Some(&fine), false, at(0), at(0));
    assert_eq!(refused.link, LinkStep::Keep);
    assert_eq!(
        refused.events[0].note,
        "serviceExport app/web has an invalid endpoint annotation, err = the annotation \
         networking.fleet.azure.com/endpoint-priority is \"first\", but a whole number from 1 to 1000 is required"
    );
    assert_eq!(
        outcome(&chosen("1", ""), Some(&fine)),
        "keep, Keep, Valid=False/ServiceExportInvalidEndpointAnnotation"
    );
}

#[test]
fn events_carry_the_names_that_dashboards_know() {
    let fine = service(|_| {});
    let weighed = |weight: &str| {
        let weight = weight.to_owned();
        export(move |e| e["metadata"]["annotations"] = json!({"networking.fleet.azure.com/weight": weight}))
    };
    let recorded = |export: &ExportView, service: Option<&ServiceView>| {
        let decision = decide(export, service, false, at(0), at(0));
        let events = decision.events.into_iter().map(|event| {
            let severity = if event.warning { "Warning" } else { "Normal" };
            format!("{severity} {} {}: {}", event.source, event.reason, event.note)
        });
        events.collect::<Vec<_>>().join("; ")
    };
    assert_eq!(
        recorded(&export(|_| {}), None),
        "Warning serviceexport-controller ServiceNotFound: service app/web is not found"
    );
    assert_eq!(
        recorded(&weighed("0"), Some(&fine)),
        "Normal serviceexport-controller Service: exported service app/web with 0 weight"
    );
    assert_eq!(
        recorded(&weighed("1"), Some(&fine)),
        "Normal serviceexport-controller ValidServiceExport: service app/web is valid for export; \
         Normal serviceexport-controller PendingExportConflictResolution: service app/web is pending export conflict resolution"
    );
}

#[test]
fn deletion_and_leaving_withdraw_only_what_the_hub_may_know() {
    let deleting = |value: &mut Value| value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(outcome(&export(deleting), None), "keep, Keep, unchanged");
    let known = export(|value| {
        deleting(value);
        with_finalizer(value);
    });
    assert_eq!(
        outcome(&known, None),
        "withdraw ExportDeleted, RemoveOnceWithdrawn, unchanged"
    );
    let leaving = decide(&export(with_finalizer), Some(&service(|_| {})), true, at(0), at(0));
    assert_eq!(line(&leaving), "withdraw Leaving, RemoveOnceWithdrawn, unchanged");
}

#[test]
fn a_second_look_changes_nothing() {
    let fine = service(|_| {});
    let first = decide(&export(with_finalizer), Some(&fine), false, at(5), at(9));
    let stored = first.conditions.unwrap();
    let again = export(|value| {
        with_finalizer(value);
        value["status"]["conditions"] = serde_json::to_value(&stored).unwrap();
    });
    let second = decide(&again, Some(&fine), false, at(5), at(99));
    assert_eq!((second.conditions, second.events), (None, Vec::new()));
    assert_eq!(second.link, first.link, "the outbox drops equal reports");
}

#[test]
fn the_report_describes_the_service() {
    let LinkStep::Report(report) = decide(&export(|_| {}), Some(&service(|_| {})), false, at(5), at(9)).link else {
        panic!("an eligible service is reported")
    };
    let ports: Vec<_> = report
        .ports
        .iter()
        .map(|p| format!("{}:{}:{}:{:?}", p.name, p.protocol, p.port, p.target_port))
        .collect();
    assert_eq!(ports, [":TCP:80:Some(Name(\"http\"))", "dns:UDP:53:Some(Number(5353))"]);
    assert_eq!(report.ports[0].app_protocol.as_deref(), Some("h2c"));
    assert_eq!(
        (report.service.uid.as_str(), report.service.resource_version.as_str()),
        ("s", "7")
    );
    assert_eq!(report.exported_since, Some(at(5)));
    assert_eq!((report.public_ip, report.is_ready), (PublicIp::default(), None));
}

#[test]
fn verdicts_and_refusals_reach_the_conflict_condition_once() {
    let given = |conflict| Verdict {
        service_uid: "s".into(),
        conflict,
        reason: "NoConflictFound".into(),
        message: "service app/web is exported without conflict".into(),
        for_seq: 1,
    };
    let fresh = export(with_finalizer);
    let (shown, event) = verdict(&fresh, &given(Conflict::NoConflict), at(9)).unwrap();
    let conflict = find(&shown, "Conflict").unwrap();
    assert_eq!(
        (conflict.status, conflict.observed_generation, event.warning),
        (ConditionStatus::False, 1, false)
    );
    assert_eq!(
        (event.source, event.reason),
        ("internalserviceexport-controller", "NoServiceExportConflictFound")
    );
    let stored = export(|value| value["status"]["conditions"] = serde_json::to_value(&shown).unwrap());
    assert_eq!(verdict(&stored, &given(Conflict::NoConflict), at(99)), None);
    let (shown, event) = refused(&stored, "The field ports has 0 entries; 1 to 100 are allowed.", at(99)).unwrap();
    let conflict = find(&shown, "Conflict").unwrap();
    assert_eq!((conflict.status, event.warning), (ConditionStatus::Unknown, true));
    assert!(conflict.message.contains("ports"));
}

#[test]
fn what_was_found_out_about_the_address_goes_into_the_report() {
    let ip = service(|s| s["status"] = json!({"loadBalancer": {"ingress": [{"ip": "20.0.0.1"}]}}));
    let found = address(&ip, Listing::NoCloud { cluster: "m" }, None, at(9)).facts;
    let decided = |service: Option<&ServiceView>| decide(&export(|_| {}), service, false, at(5), at(9));
    let LinkStep::Report(report) = decided(Some(&ip)).with_traffic(found.clone(), Some(true)).link else {
        panic!("an eligible service is reported")
    };
    assert_eq!(
        (report.public_ip, report.is_ready, report.service_type.as_str()),
        (found.clone(), Some(true), "LoadBalancer")
    );
    assert_eq!(decided(None).with_traffic(found, None), decided(None));
}

#[test]
fn without_the_feature_nothing_is_reported_for_traffic() {
    let internal = "service.beta.kubernetes.io/azure-load-balancer-internal";
    let private = service(|s| s["metadata"]["annotations"] = json!({ internal: "true" }));
    let off = decide(&export(|_| {}), Some(&private), false, at(5), at(9)).without_traffic();
    let LinkStep::Report(report) = off.link else {
        panic!("an eligible service is reported")
    };
    assert_eq!(
        (
            report.service_type.as_str(),
            report.weight,
            report.internal_load_balancer
        ),
        ("", None, false)
    );
    assert_eq!((report.public_ip, report.is_ready), (PublicIp::default(), None));
    assert_eq!(report.ports.len(), 2, "conflicts are resolved all the same");
}
