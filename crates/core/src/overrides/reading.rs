//! One view of both kinds of override snapshots.

use api::placement::v1beta1::OverrideRule;

use crate::objects::{ObjectId, OverrideKind, OverrideSnapshot};

/// What the two kinds have in common, read through one set of functions.
pub(super) trait Reading {
    /// Whether it is of a ClusterResourceOverride.
    fn is_cluster(&self) -> bool;
    /// Name of its kind.
    fn kind_name(&self) -> &'static str;
    /// `namespace/name`, or just the name.
    fn full_name(&self) -> String;
    /// Whether one of its selectors names exactly this object, in whichever version of its API: it is the same object in all
    /// of them, and the hub may prefer another one than that for which the override was written (hub-behaviour 6.3).
    fn selects(&self, id: &ObjectId) -> bool;
    /// Its rules, in order.
    fn rules(&self) -> &[OverrideRule];
}

impl Reading for OverrideSnapshot {
    fn is_cluster(&self) -> bool {
        matches!(self.kind, OverrideKind::Cluster(_))
    }

    fn kind_name(&self) -> &'static str {
        if self.is_cluster() {
            "ClusterResourceOverrideSnapshot"
        } else {
            "ResourceOverrideSnapshot"
        }
    }

    fn full_name(&self) -> String {
        full_name(self.meta.namespace.as_deref().unwrap_or_default(), &self.meta.name)
    }

    fn selects(&self, id: &ObjectId) -> bool {
        let same = |group: &str, kind: &str, name: &str| group == id.group && kind == id.kind && name == id.name;
        match &self.kind {
            OverrideKind::Cluster(spec) => {
                id.namespace.is_empty()
                    && spec
                        .cluster_resource_selectors
                        .iter()
                        .any(|s| same(&s.group, &s.kind, &s.name))
            }
            OverrideKind::Namespaced(spec) => {
                self.meta.namespace.as_deref() == Some(id.namespace.as_str())
                    && spec.resource_selectors.iter().any(|s| same(&s.group, &s.kind, &s.name))
            }
        }
    }

    fn rules(&self) -> &[OverrideRule] {
        match &self.kind {
            OverrideKind::Cluster(spec) => &spec.policy.override_rules,
            OverrideKind::Namespaced(spec) => &spec.policy.override_rules,
        }
    }
}

/// `namespace/name`, or just the name.
pub(super) fn full_name(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}
