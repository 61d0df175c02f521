//! The end of a binding: its Works go first (hub-behaviour 7.6, 7.8).

use std::sync::Arc;

use api::text::{annotations, labels};
use serde_json::json;

use super::works;
use crate::effects::Write;
use crate::objects::{Binding, PlacementKey, Work};

/// What has to happen before a deleting binding may lose its finalizer `work-cleanup`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Withdrawal {
    /// Steps in order. Once they are done no live Work is left, so the finalizer may be removed in the next step.
    /// Works that already terminate are not waited for: an unreachable member must not hold the hub up.
    pub steps: Vec<Vec<Write>>,
}

/// Withdraws the Works of a binding. With `abandon`, members keep what was placed and only give up its ownership.
pub fn withdraw(key: &PlacementKey, binding: &Binding, all: &[Arc<Work>], abandon: bool) -> Withdrawal {
    let live = works::live(key, binding, all);
    let mut steps = Vec::new();
    if abandon {
        let mark = |work: &&Work| Write::MergePatch {
            target: works::target(work),
            body: json!({ "metadata": { "annotations": { annotations::ABANDON_ON_DELETE: labels::TRUE } } }),
            status: false,
            resource_version: None,
        };
        let unmarked = live
            .iter()
            .filter(|w| w.meta.annotation(annotations::ABANDON_ON_DELETE) != Some(labels::TRUE));
        steps.push(unmarked.map(mark).collect::<Vec<_>>());
    }
    steps.push(live.iter().map(|work| works::delete(work)).collect());
    steps.retain(|step| !step.is_empty());
    Withdrawal { steps }
}
