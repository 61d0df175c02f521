//! Compares what the fleet shows with the tutorial's final status.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, pin_mut};
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, watcher};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::steps::placements;
use super::{MemberReport, NAMESPACE, PLACEMENT, Report};
use crate::follow::{Seen, conditions, until};
use crate::manifests::known;
use crate::world::World;

/// Type (without the placement's prefix) and reason of the tutorial's conditions, in its order.
const PLACEMENT_CONDITIONS: [(&str, &str); 6] = [
    ("ClusterResourcePlacementScheduled", "SchedulingPolicyFulfilled"),
    ("ClusterResourcePlacementRolloutStarted", "RolloutStarted"),
    ("ClusterResourcePlacementOverridden", "OverriddenSucceeded"),
    ("ClusterResourcePlacementWorkSynchronized", "WorkSynchronized"),
    ("ClusterResourcePlacementApplied", "ApplySucceeded"),
    ("ClusterResourcePlacementAvailable", "ResourceAvailable"),
];
const CLUSTER_CONDITIONS: [(&str, &str); 6] = [
    ("Scheduled", "Scheduled"),
    ("RolloutStarted", "RolloutStarted"),
    ("Overridden", "OverriddenSucceeded"),
    ("WorkSynchronized", "AllWorkSynced"),
    ("Applied", "AllWorkHaveBeenApplied"),
    ("Available", "AllWorkAreAvailable"),
];
const FINALIZERS: [&str; 2] = [
    "kubernetes-fleet.io/crp-cleanup",
    "kubernetes-fleet.io/scheduler-cleanup",
];
const DNS_LABEL: &str = "service.beta.kubernetes.io/azure-dns-label-name";
const EXPORTED_WITHIN: Duration = Duration::from_secs(20);

/// Gathers the facts of the report and notes everything that differs from the tutorial.
pub async fn fill(world: &World, report: &mut Report) -> Result<()> {
    let placement = serde_json::to_value(placements(world).get(PLACEMENT).await?)?;
    placement_as_in_tutorial(&placement, &mut report.wrong);
    report.placement = placement;
    for name in world.member_names() {
        let member = member(world, name, &mut report.wrong).await?;
        report.members.insert(name.to_owned(), member);
        report.exports.push(export(world, name, &mut report.wrong).await?);
        report
            .agents
            .insert(format!("member-agent on {name}"), world.member_agent(name)?.usage()?);
    }
    for agent in [world.hub_agent()?, world.traffic_manager()?.agent()] {
        report.agents.insert(agent.name.clone(), agent.usage()?);
    }
    Ok(())
}

fn placement_as_in_tutorial(placement: &Value, wrong: &mut Vec<String>) {
    let status = &placement["status"];
    compare_conditions("the placement", status, &PLACEMENT_CONDITIONS, wrong);
    for cluster in status["placementStatuses"].as_array().into_iter().flatten() {
        let name = cluster["clusterName"].as_str().unwrap_or("a cluster without name");
        compare_conditions(name, cluster, &CLUSTER_CONDITIONS, wrong);
    }
    expect(
        "finalizers",
        &placement["metadata"]["finalizers"],
        &json!(FINALIZERS),
        wrong,
    );
    let mut selected: Vec<String> = status["selectedResources"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            format!(
                "{}/{}",
                one["kind"].as_str().unwrap_or_default(),
                one["name"].as_str().unwrap_or_default()
            )
        })
        .collect();
    selected.sort();
    let wanted = [
        "ConfigMap/envelope-configmap",
        "Namespace/multi-cluster-app",
        "Service/nginx-service",
        "ServiceExport/nginx-service",
    ];
    expect("selected resources", &json!(selected), &json!(wanted), wrong);
}

fn compare_conditions(whose: &str, holder: &Value, wanted: &[(&str, &str)], wrong: &mut Vec<String>) {
    let found = conditions(holder);
    let short: Vec<String> = found
        .iter()
        .map(|(kind, status, reason, _)| format!("{kind}={status}/{reason}"))
        .collect();
    let expected: Vec<String> = wanted
        .iter()
        .map(|(kind, reason)| format!("{kind}=True/{reason}"))
        .collect();
    expect(
        &format!("conditions of {whose}"),
        &json!(short),
        &json!(expected),
        wrong,
    );
}

/// The Service with its own annotation and the Deployment, complete.
async fn member(world: &World, name: &str, wrong: &mut Vec<String>) -> Result<MemberReport> {
    let client = world.member_client(name)?;
    let services = known(&client, "", "v1", "Service", "services", Some(NAMESPACE));
    let service = serde_json::to_value(services.get("nginx-service").await?)?;
    let label = &service["metadata"]["annotations"][DNS_LABEL];
    expect(
        &format!("DNS label on {name}"),
        label,
        &json!(format!("fleet-multi-cluster-app-{name}")),
        wrong,
    );
    let deployments = known(&client, "apps", "v1", "Deployment", "deployments", Some(NAMESPACE));
    let deployment = serde_json::to_value(deployments.get("nginx-deployment").await?)?;
    let replicas = &deployment["status"]["availableReplicas"];
    expect(&format!("available replicas on {name}"), replicas, &json!(2), wrong);
    let (kind, plural) = ("EndpointSlice", "endpointslices");
    let slices = known(&client, "discovery.k8s.io", "v1", kind, plural, Some(NAMESPACE));
    let served = timeout(EXPORTED_WITHIN, two_ready(slices)).await;
    if let Err(why) = served.context("not in time").flatten() {
        wrong.push(format!(
            "the EndpointSlice on {name} has not two ready endpoints: {why:#}"
        ));
    }
    let exports = known(
        &client,
        "networking.fleet.azure.com",
        "v1beta1",
        "ServiceExport",
        "serviceexports",
        Some(NAMESPACE),
    );
    let judged = until(exports, "nginx-service", EXPORTED_WITHIN, |object| {
        let value = object
            .and_then(|object| serde_json::to_value(object).ok())
            .unwrap_or_default();
        let all = conditions(&value);
        let has = |kind: &str, status: &str| all.iter().any(|(k, s, ..)| k == kind && s == status);
        match has("Valid", "True") && has("Conflict", "False") {
            true => Seen::Done(value),
            false => Seen::Waiting(format!("{all:?}")),
        }
    })
    .await;
    let service_export = judged.unwrap_or_else(|why| {
        wrong.push(format!(
            "the ServiceExport on {name} is not valid and without conflict: {why:#}"
        ));
        Value::Null
    });
    Ok(MemberReport {
        service,
        deployment,
        service_export,
    })
}

/// Waits until the Service's EndpointSlice has two ready endpoints.
async fn two_ready(slices: Api<DynamicObject>) -> Result<()> {
    let of_service = Config::default().labels("kubernetes.io/service-name=nginx-service");
    let found = watcher(slices, of_service).default_backoff().applied_objects();
    pin_mut!(found);
    while let Some(slice) = found.next().await {
        let slice = slice?;
        let endpoints = slice.data["endpoints"].as_array();
        let ready = |endpoint: &&Value| endpoint["conditions"]["ready"] == true;
        if endpoints.into_iter().flatten().filter(ready).count() == 2 {
            return Ok(());
        }
    }
    anyhow::bail!("the watch has ended")
}

/// The hub's record of a member's export.
async fn export(world: &World, name: &str, wrong: &mut Vec<String>) -> Result<Value> {
    let namespace = format!("fleet-member-{name}");
    let (kind, plural) = ("InternalServiceExport", "internalserviceexports");
    let records = known(
        &world.hub_client(),
        "networking.fleet.azure.com",
        "v1alpha1",
        kind,
        plural,
        Some(&namespace),
    );
    let all = records.list(&ListParams::default()).await?;
    let found = all
        .items
        .into_iter()
        .find(|record| record.metadata.name.as_deref() == Some("multi-cluster-app-nginx-service"));
    let value = serde_json::to_value(found)?;
    expect(
        &format!("exported service of {name}"),
        &value["spec"]["serviceReference"]["namespacedName"],
        &json!("multi-cluster-app/nginx-service"),
        wrong,
    );
    Ok(value)
}

fn expect(what: &str, found: &Value, wanted: &Value, wrong: &mut Vec<String>) {
    if found != wanted {
        wrong.push(format!("{what}: found {found}, the tutorial shows {wanted}"));
    }
}
