//! The lists of failed, diffed and drifted resources of a binding (hub-behaviour 7.4).

use api::condition;
use api::placement::v1beta1::{
    DiffedResourcePlacement, DriftedResourcePlacement, EnvelopeIdentifier, EnvelopeType, FailedResourcePlacement,
    ManifestCondition, ResourceIdentifier,
};
use api::text::conditions::work;
use api::text::labels;
use api::{Condition, ConditionStatus};

use crate::objects::Work;

/// Entries kept per list.
const LIMIT: usize = 100;

/// Resources that could not be placed, sorted and cut. Only Works that are not applied or not available have any.
pub(super) fn failed(works: &[&Work]) -> Vec<FailedResourcePlacement> {
    let is_false = |work: &Work, kind| work.condition_state(kind) == condition::ConditionState::False;
    let works = works
        .iter()
        .filter(|w| is_false(w, work::APPLIED) || is_false(w, work::AVAILABLE));
    let entries = works.flat_map(|work| {
        work.status.manifest_conditions.iter().filter_map(|manifest| {
            let condition = failure(manifest)?.clone();
            Some(FailedResourcePlacement {
                resource: identifier(work, manifest),
                condition,
            })
        })
    });
    cut(entries.collect(), |entry| &entry.resource)
}

/// Resources that differ from what is on the member, sorted and cut.
pub(super) fn diffed(works: &[&Work]) -> Vec<DiffedResourcePlacement> {
    let entries = works.iter().flat_map(|work| {
        work.status.manifest_conditions.iter().filter_map(|manifest| {
            let details = manifest.diff_details.as_ref()?;
            Some(DiffedResourcePlacement {
                resource: identifier(work, manifest),
                observation_time: details.observation_time.clone(),
                target_cluster_observed_generation: details.observed_in_member_cluster_generation,
                first_diffed_observed_time: details.first_diffed_observed_time.clone(),
                observed_diffs: details.observed_diffs.clone(),
            })
        })
    });
    cut(entries.collect(), |entry| &entry.resource)
}

/// Resources that were changed on the member, sorted and cut.
pub(super) fn drifted(works: &[&Work]) -> Vec<DriftedResourcePlacement> {
    let entries = works.iter().flat_map(|work| {
        work.status.manifest_conditions.iter().filter_map(|manifest| {
            let details = manifest.drift_details.as_ref()?;
            Some(DriftedResourcePlacement {
                resource: identifier(work, manifest),
                observation_time: details.observation_time.clone(),
                target_cluster_observed_generation: details.observed_in_member_cluster_generation,
                first_drifted_observed_time: details.first_drifted_observed_time.clone(),
                observed_drifts: details.observed_drifts.clone(),
            })
        })
    });
    cut(entries.collect(), |entry| &entry.resource)
}

/// The condition that makes a manifest a failed one: Applied before Available.
fn failure(manifest: &ManifestCondition) -> Option<&Condition> {
    [work::APPLIED, work::AVAILABLE]
        .into_iter()
        .filter_map(|kind| condition::find(&manifest.conditions, kind))
        .find(|c| c.status == ConditionStatus::False)
}

fn identifier(work: &Work, manifest: &ManifestCondition) -> ResourceIdentifier {
    let id = &manifest.identifier;
    ResourceIdentifier {
        group: id.group.clone(),
        version: id.version.clone(),
        kind: id.kind.clone(),
        name: id.name.clone(),
        namespace: id.namespace.clone(),
        envelope: envelope(work),
    }
}

fn envelope(work: &Work) -> Option<EnvelopeIdentifier> {
    let type_: EnvelopeType = work.meta.label(labels::ENVELOPE_KIND)?.parse().ok()?;
    let text = |key| work.meta.label(key).unwrap_or_default().to_owned();
    Some(EnvelopeIdentifier {
        name: text(labels::ENVELOPE_NAME),
        namespace: text(labels::ENVELOPE_NAMESPACE),
        type_,
    })
}

/// Sorted before the cut, so that the same resources are listed every time.
fn cut<T>(mut entries: Vec<T>, resource: impl Fn(&T) -> &ResourceIdentifier) -> Vec<T> {
    entries.sort_by(|a, b| rank(resource(a)).cmp(&rank(resource(b))));
    entries.truncate(LIMIT);
    entries
}

fn rank(id: &ResourceIdentifier) -> impl Ord + '_ {
    let envelope = id.envelope.as_ref().map(|e| (e.type_, &e.namespace, &e.name));
    (&id.group, &id.version, &id.kind, &id.namespace, &id.name, envelope)
}
