//! The copy of a placement's status in the namespace that it places (hub-behaviour 8.7).

use api::kinds;
use api::placement::v1beta1::{PlacementStatus, StatusReportingScope};
use api::text::conditions::PlacementCondition;
use api::text::reasons::placement as reasons;
use api::{ConditionStatus, Time, condition};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::draft::Conditions;
use super::patch::same;
use crate::difference::tree;
use crate::effects::{Target, Write};
use crate::objects::Placement;

/// What is known about the place of the copy.
#[derive(Debug, Clone, Copy)]
pub struct Mirror<'a> {
    /// The stored copy's `sourceStatus`; `None` when there is no copy.
    pub stored: Option<&'a PlacementStatus>,
    /// Whether the target namespace exists and is not being deleted.
    pub namespace_usable: bool,
}

/// The namespace in which a ClusterResourcePlacement shows its status; `None` when it does not request that.
/// The inner `None` means that it does, but names no namespace.
pub fn target_namespace(placement: &Placement) -> Option<Option<&str>> {
    let accessible = placement.meta.namespace.is_none()
        && placement.spec.status_reporting_scope == Some(StatusReportingScope::NamespaceAccessible);
    accessible.then(|| placement.selected_namespace())
}

/// A selection may not move to another namespace than the one whose users read the status.
///
/// # Errors
/// The user's mistake, as the message of the Scheduled condition.
pub fn consistent(placement: &Placement) -> Result<(), String> {
    let Some(target) = target_namespace(placement) else {
        return Ok(());
    };
    let selected = placement
        .status
        .selected_resources
        .iter()
        .find(|r| r.group.is_empty() && r.version == "v1" && r.kind == "Namespace");
    match (selected, target) {
        (None, _) => Ok(()),
        (Some(selected), Some(target)) if selected.name == target => Ok(()),
        (Some(selected), target) => Err(format!(
            "The placement shows its status in the namespace {:?} and cannot move to {}.",
            selected.name,
            target.map_or_else(
                || "no named namespace".to_owned(),
                |target| format!("the namespace {target:?}")
            )
        )),
    }
}

/// Plans the copy and says in `status` whether it is up to date. The write comes before that of the placement's status:
/// when it fails the pass ends, so StatusSynced never claims what has not happened.
pub fn mirror(placement: &Placement, status: &mut PlacementStatus, seen: Mirror<'_>, now: Timestamp) -> Option<Write> {
    let target = target_namespace(placement)?;
    let type_ = PlacementCondition::StatusSynced.on(placement.key().kind());
    let mut copy = status.clone();
    condition::remove(&mut copy.conditions, type_);
    let mut draft = Conditions::new(placement, &mut status.conditions, now);
    let Some(namespace) = target else {
        let message = "The placement shows its status in a namespace, but no selector names one.";
        draft.set(
            PlacementCondition::Scheduled,
            ConditionStatus::False,
            reasons::INVALID_RESOURCE_SELECTORS,
            message,
        );
        return None;
    };
    if !seen.namespace_usable {
        let message = format!("The status cannot be copied, because there is no namespace {namespace:?}.");
        draft.set(
            PlacementCondition::StatusSynced,
            ConditionStatus::False,
            reasons::STATUS_SYNC_FAILED,
            &message,
        );
        return None;
    }
    let message = format!("The status has been copied to the namespace {namespace:?}.");
    draft.set(
        PlacementCondition::StatusSynced,
        ConditionStatus::True,
        reasons::STATUS_SYNC_SUCCEEDED,
        &message,
    );
    write(placement, namespace, &copy, seen.stored, now)
}

fn write(
    placement: &Placement,
    namespace: &str,
    copy: &PlacementStatus,
    stored: Option<&PlacementStatus>,
    now: Timestamp,
) -> Option<Write> {
    let kind = kinds::CLUSTER_RESOURCE_PLACEMENT_STATUS;
    let target = Target::new(kind.clone(), Some(namespace), &placement.meta.name);
    let updated = tree(&Time(now));
    let Some(stored) = stored else {
        let object = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.kind,
            "metadata": {
                "name": placement.meta.name,
                "namespace": namespace,
                "ownerReferences": [{
                    "apiVersion": kinds::CLUSTER_RESOURCE_PLACEMENT.api_version(),
                    "kind": kinds::CLUSTER_RESOURCE_PLACEMENT.kind,
                    "name": placement.meta.name,
                    "uid": placement.meta.uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
            "sourceStatus": copy,
            "lastUpdatedTime": updated,
        });
        return Some(Write::Create { target, object });
    };
    if same(stored, copy) {
        return None;
    }
    let change = crate::difference::between(&tree(stored), &tree(copy)).unwrap_or(Value::Null);
    let body = json!({ "sourceStatus": change, "lastUpdatedTime": updated });
    Some(Write::MergePatch {
        target,
        body,
        status: false,
        resource_version: None,
    })
}
