//! Existing Works, and the writes that turn them into wanted ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::kinds;
use api::names;
use api::placement::v1beta1::{ApplyStrategy, ReportBackStrategy};
use api::text::{finalizers, labels};
use serde_json::{Map, Value, json};

use super::Input;
use super::group::Group;
use super::wanted::{self, Recorded, Wanted};
use crate::difference::{self, tree};
use crate::effects::{Target, Write};
use crate::objects::{Binding, Manifest, PlacementKey, Work};

/// Where Works belong to, and what all Works of a binding share.
pub(super) struct WorkLocation<'a> {
    pub key: &'a PlacementKey,
    pub binding: &'a Binding,
    pub recorded: &'a Recorded,
    pub strategy: &'a ApplyStrategy,
    pub report_back: Option<&'a ReportBackStrategy>,
    /// Whether content that differs is repaired, even where the Work records the right origin.
    pub compare_content: bool,
    /// Whether new Works carry the member agent's finalizer from the start.
    pub adds_finalizer: bool,
}

/// A write to a Work that exists.
pub(super) struct Change {
    pub write: Write,
    /// Whether the member has to act: metadata alone leaves its answer valid.
    pub seen_by_member: bool,
}

/// The binding's Works that are not going away.
pub(super) fn live<'a>(key: &PlacementKey, binding: &Binding, works: &'a [Arc<Work>]) -> Vec<&'a Work> {
    works
        .iter()
        .map(|work| &**work)
        .filter(|work| belongs(key, binding, work) && !work.meta.is_deleting())
        .collect()
}

/// Whether a Work of the binding is going away, which the member has not finished yet.
pub(super) fn any_going(key: &PlacementKey, binding: &Binding, works: &[Arc<Work>]) -> bool {
    works
        .iter()
        .any(|work| belongs(key, binding, work) && work.meta.is_deleting())
}

fn belongs(key: &PlacementKey, binding: &Binding, work: &Work) -> bool {
    work.binding() == Some(binding.meta.name.as_str())
        && work.meta.label(labels::PARENT_NAMESPACE) == key.namespace.as_deref()
        && work.meta.namespace.as_deref() == Some(names::member_namespace(binding.cluster()).as_str())
}

/// Whether every Work that must exist does, made from the recorded resources and overrides.
pub(super) fn complete(group: &Group, live: &[&Work], recorded: &Recorded) -> bool {
    live.iter().all(|work| recorded.is_on(work))
        && wanted::certain(group).all(|wanted| live.iter().filter(|work| wanted.is_of(work)).count() == 1)
}

/// Why a Work of this name cannot be created, although the binding has none.
pub(super) fn obstacle(input: &Input<'_>, name: &str) -> Option<String> {
    if let Some(occupant) = occupant(input, name) {
        return Some(occupied_because(occupant));
    }
    let namespace = names::member_namespace(input.binding.cluster());
    let target = Target::new(kinds::WORK, Some(&namespace), name);
    input
        .unreadable
        .contains(&target)
        .then(|| format!("The Work {name:?} exists and cannot be read; the log of the hub agent says why."))
}

/// The Work that has the name already: it is not the binding's, or it is being deleted.
fn occupant<'a>(input: &Input<'a>, name: &str) -> Option<&'a Work> {
    let namespace = names::member_namespace(input.binding.cluster());
    let mut works = input.works.iter().map(|work| &**work);
    works.find(|work| work.meta.name == name && work.meta.namespace.as_deref() == Some(&namespace))
}

/// Why the name of a Work is not free yet, with the member's answer to what holds up the deletion (docs/decisions/0013).
fn occupied_because(occupant: &Work) -> String {
    let message = format!(
        "The Work {:?} of an earlier binding is not gone yet.",
        occupant.meta.name
    );
    match occupant.deletion_blocked() {
        Some(why) => format!("{message} The member says: {why}"),
        None => message,
    }
}

/// Creates a Work.
pub(super) fn create(location: &WorkLocation<'_>, wanted: &Wanted) -> Write {
    let namespace = names::member_namespace(location.binding.cluster());
    let mut labelled: BTreeMap<&str, &str> = wanted.envelope.iter().map(|(k, v)| (*k, v.as_str())).collect();
    labelled.insert(labels::PARENT_PLACEMENT, &location.key.name);
    labelled.insert(labels::PARENT_BINDING, &location.binding.meta.name);
    labelled.insert(labels::PARENT_SNAPSHOT_INDEX, &location.recorded.index);
    if let Some(namespace) = &location.key.namespace {
        labelled.insert(labels::PARENT_NAMESPACE, namespace);
    }
    let mut spec = Map::new();
    spec.insert("workload".to_owned(), workload(&wanted.manifests));
    spec.insert("applyStrategy".to_owned(), tree(location.strategy));
    if let Some(report_back) = location.report_back {
        spec.insert("reportBackStrategy".to_owned(), tree(report_back));
    }
    let mut object = json!({
        "apiVersion": kinds::WORK.api_version(),
        "kind": kinds::WORK.kind,
        "metadata": {
            "name": wanted.name,
            "namespace": namespace,
            "labels": labelled,
            "annotations": location.recorded.annotations(),
        },
        "spec": spec,
    });
    if location.adds_finalizer {
        object["metadata"]["finalizers"] = json!([finalizers::WORK]);
    }
    Write::Create {
        target: Target::new(kinds::WORK, Some(&namespace), &wanted.name),
        object,
    }
}

/// Changes an existing Work where it differs.
pub(super) fn update(location: &WorkLocation<'_>, wanted: &Wanted, work: &Work) -> Option<Change> {
    let mut metadata = Map::new();
    let mut spec = strategy_patch(work, location.strategy, location.report_back);
    let is_on = location.recorded.is_on(work);
    if !location.recorded.is_written_on(work) {
        metadata.insert(
            "labels".to_owned(),
            json!({ labels::PARENT_SNAPSHOT_INDEX: location.recorded.index }),
        );
        metadata.insert("annotations".to_owned(), json!(location.recorded.annotations()));
    }
    if work.manifests_hash != wanted.digest && (!is_on || location.compare_content) {
        spec.insert("workload".to_owned(), workload(&wanted.manifests));
    }
    change(work, metadata, spec)
}

/// Changes only how an existing Work is applied.
pub(super) fn strategies(
    work: &Work,
    strategy: &ApplyStrategy,
    report_back: Option<&ReportBackStrategy>,
) -> Option<Change> {
    change(work, Map::new(), strategy_patch(work, strategy, report_back))
}

/// Deletes this incarnation of a Work.
pub(super) fn delete(work: &Work) -> Write {
    Write::Delete {
        target: target(work),
        uid: Some(work.meta.uid.clone()).filter(|uid| !uid.is_empty()),
    }
}

/// The address of an existing Work.
pub(super) fn target(work: &Work) -> Target {
    Target::new(kinds::WORK, work.meta.namespace.as_deref(), &work.meta.name)
}

fn change(work: &Work, metadata: Map<String, Value>, spec: Map<String, Value>) -> Option<Change> {
    let seen_by_member = !spec.is_empty();
    let mut body = Map::new();
    if !metadata.is_empty() {
        body.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if seen_by_member {
        body.insert("spec".to_owned(), Value::Object(spec));
    }
    let body = (!body.is_empty()).then_some(Value::Object(body))?;
    let write = Write::MergePatch {
        target: target(work),
        body,
        status: false,
        resource_version: None,
    };
    Some(Change { write, seen_by_member })
}

/// Strategies are compared with their defaults filled in, because the API server fills them in as well.
fn strategy_patch(
    work: &Work,
    strategy: &ApplyStrategy,
    report_back: Option<&ReportBackStrategy>,
) -> Map<String, Value> {
    let mut spec = Map::new();
    let mut stored = work.apply_strategy.clone().unwrap_or_default();
    api::defaults::apply_strategy(&mut stored);
    if stored != *strategy
        && let Some(change) = difference::between(&tree(&work.apply_strategy), &tree(strategy))
    {
        spec.insert("applyStrategy".to_owned(), change);
    }
    if work.report_back_strategy.as_ref() != report_back
        && let Some(change) = difference::between(&tree(&work.report_back_strategy), &tree(&report_back))
    {
        spec.insert("reportBackStrategy".to_owned(), change);
    }
    spec
}

fn workload(manifests: &[Arc<Manifest>]) -> Value {
    json!({ "manifests": manifests.iter().map(|manifest| manifest.value()).collect::<Vec<_>>() })
}
