//! Prints the end of the demo: what kubectl would show, and the figures.

use anyhow::Result;

use super::{NAMESPACE, Report};
use crate::table;
use crate::world::World;

/// Prints everything to standard output.
pub async fn all(world: &World, report: &Report) -> Result<()> {
    let hub = world.hub_client();
    heading("hub: kubectl get memberclusters");
    print!(
        "{}",
        table::render(&hub, "/apis/cluster.kubernetes-fleet.io/v1beta1/memberclusters").await?
    );
    heading("hub: kubectl get clusterresourceplacements");
    print!(
        "{}",
        table::render(
            &hub,
            "/apis/placement.kubernetes-fleet.io/v1beta1/clusterresourceplacements"
        )
        .await?
    );
    conditions(report);
    heading("hub: exports known to the hub (internalserviceexports)");
    print!(
        "{}",
        table::render(&hub, "/apis/networking.fleet.azure.com/v1alpha1/internalserviceexports").await?
    );
    for (name, facts) in &report.members {
        let member = world.member_client(name)?;
        heading(&format!("{name}: the Service, its annotations and the Deployment"));
        print!(
            "{}",
            table::render(&member, &format!("/api/v1/namespaces/{NAMESPACE}/services")).await?
        );
        for (key, value) in facts.service["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flatten()
        {
            if key.starts_with("service.beta.kubernetes.io/") {
                println!("  {key}: {}", value.as_str().unwrap_or_default());
            }
        }
        print!(
            "{}",
            table::render(&member, &format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments")).await?
        );
        let exports = format!("/apis/networking.fleet.azure.com/v1beta1/namespaces/{NAMESPACE}/serviceexports");
        print!("{}", table::render(&member, &exports).await?);
    }
    super::balance::show(&report.balance);
    figures(report);
    Ok(())
}

/// The placement's conditions in full, per cluster and over all.
fn conditions(report: &Report) {
    let status = &report.placement["status"];
    let mut lines = vec![["CLUSTER", "CONDITION", "STATUS", "REASON"].map(str::to_owned).to_vec()];
    let mut add = |whose: &str, holder: &serde_json::Value| {
        for (kind, status, reason, _) in crate::follow::conditions(holder) {
            lines.push(vec![whose.to_owned(), kind, status, reason]);
        }
    };
    add("(all)", status);
    for cluster in status["placementStatuses"].as_array().into_iter().flatten() {
        add(cluster["clusterName"].as_str().unwrap_or_default(), cluster);
    }
    println!();
    print!("{}", table::align(&lines));
}

fn figures(report: &Report) {
    let timings = &report.timings;
    heading("figures");
    println!("hub and member-1 running and joined    {:8.2} s", timings.fleet_ready);
    println!(
        "placement created -> Available on 1     {:8.2} s",
        timings.first_cluster_available
    );
    println!(
        "override updated, member-2 joins -> both {:7.2} s",
        timings.second_cluster_available
    );
    println!("traffic over both clusters             {:8.2} s", timings.traffic);
    println!("whole demo                             {:8.2} s", timings.total);
    for (name, usage) in &report.agents {
        let mebibytes = usage.resident as f64 / (1024.0 * 1024.0);
        println!(
            "{name:<24} {mebibytes:6.1} MiB resident, {:5.2} s processor time",
            usage.cpu_seconds
        );
    }
}

fn heading(text: &str) {
    println!("\n== {text}");
}
