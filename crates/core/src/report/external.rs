//! Placements that somebody else rolls out: what the clusters agree on (hub-behaviour 8.5, External rollout).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::placement::v1beta1::{PerClusterPlacementStatus, ResourceIdentifier};
use api::text::conditions::cluster;
use api::{ConditionStatus, condition};

use super::input::identifiers;
use crate::objects::ResourceSnapshot;
use crate::problem::Problem;
use crate::snapshot;

/// What a placement with external rollout shows.
#[derive(Default)]
pub(super) struct View {
    /// The index that all clusters have.
    pub index: String,
    /// What the snapshot with that index holds.
    pub resources: Vec<ResourceIdentifier>,
    /// Why the rollout's state is not known; `None` when the conditions are aggregated as usual.
    pub undecided: Option<String>,
}

/// Reads the selected clusters' entries.
///
/// # Errors
/// When there are snapshots with the agreed index but no master among them.
pub(super) fn view(
    clusters: &[PerClusterPlacementStatus],
    snapshots: &[Arc<ResourceSnapshot>],
) -> Result<View, Problem> {
    let indices: BTreeSet<&str> = clusters
        .iter()
        .map(|entry| entry.observed_resource_index.as_str())
        .collect();
    let agreed = match indices.into_iter().collect::<Vec<_>>().as_slice() {
        [""] => return Ok(View::undecided("No cluster has been given resources yet.")),
        [index] => (*index).to_owned(),
        _ => return Ok(View::undecided("The clusters do not have the same resources.")),
    };
    let mut view = View {
        resources: resources(&agreed, snapshots)?,
        index: agreed,
        undecided: None,
    };
    let unknown = clusters.iter().any(|entry| {
        condition::find(&entry.conditions, cluster::ROLLOUT_STARTED)
            .is_none_or(|c| c.status == ConditionStatus::Unknown)
    });
    if unknown {
        view.undecided = View::undecided("The rollout has not reported on every cluster yet.").undecided;
    }
    Ok(view)
}

impl View {
    fn undecided(why: &str) -> Self {
        let message = format!("The rollout is controlled by an external controller. {why}");
        Self {
            undecided: Some(message),
            ..Self::default()
        }
    }
}

fn resources(index: &str, snapshots: &[Arc<ResourceSnapshot>]) -> Result<Vec<ResourceIdentifier>, Problem> {
    let group: Vec<&ResourceSnapshot> = snapshots
        .iter()
        .map(|s| &**s)
        .filter(|s| s.index().is_some_and(|i| i.to_string() == index))
        .collect();
    if group.is_empty() {
        return Ok(Vec::new());
    }
    let Some(master) = group.iter().find(|s| s.is_master()) else {
        return Err(Problem::unexpected(format!(
            "The resource snapshots with index {index} have no master."
        )));
    };
    let (_, members) = snapshot::members(master, &group)?;
    Ok(members
        .into_iter()
        .flat_map(|snapshot| identifiers(&snapshot.manifests))
        .collect())
}
