//! The status of placed objects, written back to their originals on the hub (hub-behaviour 7.7).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::condition::ConditionState;
use api::placement::v1beta1::{
    BindingState, PlacementType, ReportBackDestination, ReportBackStrategyType, ResourceIdentifier,
    WorkResourceIdentifier,
};
use api::text::conditions::work as on_work;
use api::text::labels;
use serde_json::Value;

use crate::effects::{Target, Write};
use crate::objects::{Binding, Digest, Placement, Work};
use crate::problem::Problem;
use crate::select::ResourceView;

/// What statuses are written back from.
#[derive(Clone, Copy)]
pub struct BackInput<'a> {
    /// The placement.
    pub placement: &'a Placement,
    /// What it selects, as its status says.
    pub selected: &'a [ResourceIdentifier],
    /// Its bindings as the pass leaves them.
    pub bindings: &'a [Arc<Binding>],
    /// Its Works as they are stored.
    pub works: &'a [Arc<Work>],
    /// The originals.
    pub resources: &'a dyn ResourceView,
}

/// Writes of the originals whose status is not yet what their copies report, in a fixed order. Nothing unless the placement requests
/// it; an original that is gone is passed over.
///
/// # Errors
/// The user's mistake when the placement may select several clusters: their reports would contradict each other.
pub fn back_reports(input: &BackInput<'_>) -> Result<Vec<Write>, Problem> {
    if !is_requested(input.placement) {
        return Ok(Vec::new());
    }
    if !selects_one_cluster(input.placement) {
        return Err(Problem::user(
            "The status of placed objects can be reported back to the original objects only from one cluster: use a \
             PickFixed policy with one cluster name, or a PickN policy for one cluster.",
        ));
    }
    let selected: BTreeSet<_> = input
        .selected
        .iter()
        .map(|id| (&id.group, &id.version, &id.kind, &id.namespace, &id.name))
        .collect();
    let mut reports = Vec::new();
    for work in input.works.iter().filter(|work| counts(work, input)) {
        for manifest in &work.status.manifest_conditions {
            let id = &manifest.identifier;
            if !selected.contains(&(&id.group, &id.version, &id.kind, &id.namespace, &id.name)) {
                continue;
            }
            let observed = manifest.back_reported_status.as_ref().map(|back| &back.observed_status);
            if let Some(status) = observed.and_then(|object| object.get("status"))
                && let Some(target) = outdated(input.resources, id, status)
            {
                reports.push(Write::ReplaceStatus {
                    target,
                    status: status.clone(),
                });
            }
        }
    }
    reports.sort_by(|a, b| a.target().cmp(b.target()));
    Ok(reports)
}

fn is_requested(placement: &Placement) -> bool {
    let strategy = placement.spec.strategy.as_ref();
    strategy.and_then(|s| s.report_back_strategy.as_ref()).is_some_and(|s| {
        s.type_ == ReportBackStrategyType::Mirror && s.destination == Some(ReportBackDestination::OriginalResource)
    })
}

fn selects_one_cluster(placement: &Placement) -> bool {
    let policy = placement.spec.policy.as_ref();
    match placement.placement_type() {
        PlacementType::PickAll => false,
        PlacementType::PickFixed => policy.is_none_or(|p| p.cluster_names.len() <= 1),
        PlacementType::PickN => policy.and_then(|p| p.number_of_clusters).unwrap_or_default() <= 1,
    }
}

/// Whether a Work's reports count: it is of a cluster that the placement holds, applied, and of plain objects. While a
/// placement moves, the cluster that it leaves has a Work as well; that one does not count.
fn counts(work: &Work, input: &BackInput<'_>) -> bool {
    let is_of = |binding: &Arc<Binding>| {
        !binding.meta.is_deleting()
            && binding.state() == BindingState::Bound
            && work.binding() == Some(binding.meta.name.as_str())
    };
    !work.meta.is_deleting()
        && work.meta.label(labels::PARENT_NAMESPACE) == input.placement.meta.namespace.as_deref()
        && work.meta.label(labels::ENVELOPE_KIND).is_none()
        && work.condition_state(on_work::APPLIED) == ConditionState::True
        && input.bindings.iter().any(is_of)
}

/// The original, if it is there and has another status.
fn outdated(resources: &dyn ResourceView, id: &WorkResourceIdentifier, status: &Value) -> Option<Target> {
    let namespace = Some(id.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let api = resources.resolve(&id.group, &id.version, &id.kind)?;
    let original = resources.get(&api.key, namespace, &id.name)?;
    (original.status != Digest::of_value(status)).then(|| Target::new(api.resource(&id.version), namespace, &id.name))
}
