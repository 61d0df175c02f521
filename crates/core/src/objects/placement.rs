//! Placements of both kinds.

use std::fmt;
use std::str::FromStr;

use api::kinds;
use api::placement::v1beta1::{
    ApplyStrategy, ApplyStrategyType, PlacementSpec, PlacementStatus, PlacementType, RolloutStrategyType,
};
use api::resource::Resource;
use api::text::conditions::PlacementKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{DecodeError, Meta, decode};
use crate::effects::Target;
use crate::meta::null_is_default;

/// Names a placement: a ClusterResourcePlacement by its name, a ResourcePlacement by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementKey {
    /// Namespace of a ResourcePlacement, `None` for a ClusterResourcePlacement.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// A ClusterResourcePlacement or a ResourcePlacement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Metadata.
    pub meta: Meta,
    /// What the user wants, as stored: no defaults are filled in.
    pub spec: PlacementSpec,
    /// What was reported last.
    pub status: PlacementStatus,
}

/// A text that is no key of a placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a placement key: write <name> or <namespace>/<name>")]
pub struct InvalidKey(pub String);

#[derive(Deserialize)]
struct Stored {
    metadata: Meta,
    spec: PlacementSpec,
    #[serde(default, deserialize_with = "null_is_default")]
    status: PlacementStatus,
}

impl Placement {
    /// Reads a stored placement; the kind follows from whether it has a namespace.
    ///
    /// # Errors
    /// When the object has not the shape of a placement.
    pub fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Stored { metadata, spec, status } = decode("placement", value)?;
        Ok(Self {
            meta: metadata,
            spec,
            status,
        })
    }

    /// Its key.
    pub fn key(&self) -> PlacementKey {
        PlacementKey {
            namespace: self.meta.namespace.clone(),
            name: self.meta.name.clone(),
        }
    }

    /// How it is addressed in writes and events.
    pub fn target(&self) -> Target {
        self.key()
            .target(kinds::CLUSTER_RESOURCE_PLACEMENT, kinds::RESOURCE_PLACEMENT)
    }

    /// The placement type; an absent policy means all clusters.
    pub fn placement_type(&self) -> PlacementType {
        self.spec
            .policy
            .as_ref()
            .and_then(|p| p.placement_type)
            .unwrap_or(PlacementType::PickAll)
    }

    /// Whether somebody else than the rolling update rolls it out.
    pub fn is_external(&self) -> bool {
        self.spec.strategy.as_ref().and_then(|s| s.type_) == Some(RolloutStrategyType::External)
    }

    /// The apply strategy with all defaults filled in (hub-behaviour 0.7).
    pub fn apply_strategy(&self) -> ApplyStrategy {
        let mut strategy = self
            .spec
            .strategy
            .as_ref()
            .and_then(|s| s.apply_strategy.clone())
            .unwrap_or_default();
        api::defaults::apply_strategy(&mut strategy);
        strategy
    }

    /// Whether members only report differences and change nothing.
    pub fn is_report_diff(&self) -> bool {
        self.apply_strategy().type_ == Some(ApplyStrategyType::ReportDiff)
    }

    /// The namespace that its first selector of Namespaces with a name selects; its status may be copied there
    /// (hub-behaviour 8.7).
    pub fn selected_namespace(&self) -> Option<&str> {
        let mut terms = self.spec.resource_selectors.iter();
        let term =
            terms.find(|t| t.group.is_empty() && t.version == "v1" && t.kind == "Namespace" && !t.name.is_empty())?;
        Some(&term.name)
    }

    /// Snapshots kept per kind: at least one.
    pub fn revision_limit(&self) -> usize {
        let limit = self.spec.revision_history_limit.filter(|limit| *limit > 0);
        usize::try_from(limit.unwrap_or(api::defaults::REVISION_HISTORY_LIMIT)).unwrap_or(usize::MAX)
    }
}

impl PlacementKey {
    /// The key of a ClusterResourcePlacement.
    pub fn cluster(name: &str) -> Self {
        Self {
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// The key of a ResourcePlacement.
    pub fn namespaced(namespace: &str, name: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// Which of the two kinds it names.
    pub fn kind(&self) -> PlacementKind {
        if self.namespace.is_some() {
            PlacementKind::Namespaced
        } else {
            PlacementKind::Cluster
        }
    }

    /// Picks the counterpart of the placement's scope out of two kinds.
    pub fn pick(&self, cluster: Resource, namespaced: Resource) -> Resource {
        if self.namespace.is_some() { namespaced } else { cluster }
    }

    /// Addresses the object of the placement's own name.
    pub fn target(&self, cluster: Resource, namespaced: Resource) -> Target {
        self.sibling(cluster, namespaced, &self.name)
    }

    /// Addresses an object that lives where the placement lives.
    pub fn sibling(&self, cluster: Resource, namespaced: Resource, name: &str) -> Target {
        Target::new(self.pick(cluster, namespaced), self.namespace.as_deref(), name)
    }
}

impl fmt::Display for PlacementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl FromStr for PlacementKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            [name] if !name.is_empty() => Ok(Self::cluster(name)),
            [namespace, name] if !namespace.is_empty() && !name.is_empty() => Ok(Self::namespaced(namespace, name)),
            _ => Err(InvalidKey(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_name_or_a_namespace_and_a_name() {
        for text in ["a", "n/a"] {
            assert_eq!(text.parse::<PlacementKey>().unwrap().to_string(), text);
        }
        for text in ["", "/a", "n/", "a/b/c"] {
            assert!(text.parse::<PlacementKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_selected_namespace_is_the_first_that_is_named() {
        let selector =
            |kind: &str, name: &str| serde_json::json!({"group": "", "version": "v1", "kind": kind, "name": name});
        let selected = |selectors: Vec<Value>| {
            let placement = serde_json::json!({"metadata": {"name": "p"}, "spec": {"resourceSelectors": selectors}});
            let placement = Placement::from_value(placement).unwrap();
            placement.selected_namespace().map(str::to_owned)
        };
        let all = selector("Namespace", "");
        assert_eq!(selected(vec![selector("Node", "n"), all.clone()]), None);
        assert_eq!(
            selected(vec![all, selector("Namespace", "app")]).as_deref(),
            Some("app")
        );
    }
}
