//! What the selectors of a placement found.

use api::placement::v1beta1::ResourceSelectorTerm;
use serde::Serialize;

use crate::trace::Bounded;

/// What the selectors found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// In the order of the selectors; one that cannot be evaluated is the first that is missing.
    pub selectors: Bounded<SelectorTrace>,
}

/// What one selector found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectorTrace {
    /// The selector.
    pub selector: ResourceSelectorTerm,
    /// How many objects it selects, those in a selected namespace included.
    pub objects: usize,
}

impl SelectorTrace {
    pub(super) fn of(selector: &ResourceSelectorTerm, objects: usize) -> Self {
        Self {
            selector: selector.clone(),
            objects,
        }
    }
}
