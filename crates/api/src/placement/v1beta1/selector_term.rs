//! How placements and overrides select resources (placement-api 3.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::selector::LabelSelector;
use crate::serde_util::{null_default, string_enum};

string_enum! {
    /// What a selected Namespace brings along.
    SelectionScope {
        /// The namespace alone.
        NamespaceOnly,
        /// The namespace and everything in it.
        NamespaceWithResources,
        /// The namespace and what the other selectors of the placement pick.
        NamespaceWithResourceSelectors,
    }
}

/// Selects one object, or all objects of a kind that match labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelectorTerm {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind, case-sensitive.
    pub kind: String,
    /// Name of one object. Excludes a label selector.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Labels of the objects. Without name and labels all objects of the kind are selected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// For namespaces: what comes along.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "NamespaceWithResources"))]
    pub selection_scope: Option<SelectionScope>,
}
