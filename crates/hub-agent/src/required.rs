//! Which kinds must be installed before the agent can work (hub-behaviour 11.4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::text::groups;
use kit::index::Index;

use crate::args::Features;
use crate::resources::crds::Definition;

/// How long a fresh installation may take to bring the kinds.
const INSTALLATION_TIME: Duration = Duration::from_secs(60);

/// Kinds that are missing for good.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "These kinds are not installed on the hub: {}. Apply the files under deploy/crds, or switch the feature off.",
    .0.join(", ")
)]
pub struct Missing(pub Vec<String>);

const BASE: [&str; 10] = [
    "ClusterResourceBinding",
    "ClusterResourceOverride",
    "ClusterResourceOverrideSnapshot",
    "ClusterResourcePlacement",
    "ClusterResourcePlacementStatus",
    "ClusterResourceSnapshot",
    "ClusterSchedulingPolicySnapshot",
    "ResourceOverride",
    "ResourceOverrideSnapshot",
    "Work",
];
const NAMESPACED: [&str; 4] = [
    "ResourceBinding",
    "ResourcePlacement",
    "ResourceSnapshot",
    "SchedulingPolicySnapshot",
];
const CLUSTER_RUNS: [&str; 3] = [
    "ClusterApprovalRequest",
    "ClusterStagedUpdateRun",
    "ClusterStagedUpdateStrategy",
];
const NAMESPACED_RUNS: [&str; 3] = ["ApprovalRequest", "StagedUpdateRun", "StagedUpdateStrategy"];
const EVICTION: [&str; 2] = [
    "ClusterResourcePlacementDisruptionBudget",
    "ClusterResourcePlacementEviction",
];

/// Group and kind of everything that the features need.
fn required(features: Features) -> BTreeSet<(&'static str, &'static str)> {
    let mut all: BTreeSet<_> = BASE.iter().map(|kind| (groups::PLACEMENT, *kind)).collect();
    all.extend([
        (groups::CLUSTER, "InternalMemberCluster"),
        (groups::CLUSTER, "MemberCluster"),
    ]);
    let mut add = |on: bool, kinds: &[&'static str]| {
        if on {
            all.extend(kinds.iter().map(|kind| (groups::PLACEMENT, *kind)));
        }
    };
    add(features.resource_placement, &NAMESPACED);
    add(features.update_runs, &CLUSTER_RUNS);
    add(features.update_runs && features.resource_placement, &NAMESPACED_RUNS);
    add(features.evictions, &EVICTION);
    if features.cluster_inventory {
        all.insert((groups::INVENTORY, "ClusterProfile"));
    }
    all
}

/// Waits for all required kinds to be served. Until the hub says what it serves, nothing is known to be missing.
///
/// # Errors
/// The kinds that are still missing when a fresh installation should have brought them.
pub async fn wait(features: Features, definitions: &Arc<Index<Definition>>) -> Result<(), Missing> {
    definitions.synced().await;
    let deadline = tokio::time::Instant::now() + INSTALLATION_TIME;
    let mut is_logged = false;
    let mut changes = definitions.revision();
    loop {
        changes.borrow_and_update();
        let missing = missing(features, definitions);
        if missing.is_empty() {
            return Ok(());
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Missing(missing));
        }
        if !is_logged {
            tracing::info!(missing = missing.join(", "), "Waiting for kinds to be installed.");
            is_logged = true;
        }
        let _ = tokio::time::timeout_at(deadline, changes.changed()).await;
    }
}

fn missing(features: Features, definitions: &Index<Definition>) -> Vec<String> {
    let all = definitions.all();
    let served: BTreeSet<(&str, &str)> = all
        .iter()
        .filter(|d| d.established)
        .map(|d| (d.group.as_str(), d.kind.as_str()))
        .collect();
    required(features)
        .difference(&served)
        .map(|(group, kind)| format!("{kind} ({group})"))
        .collect()
}
