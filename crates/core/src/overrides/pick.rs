//! Which of a placement's overrides apply on a cluster (hub-behaviour 6.4).

use std::collections::BTreeMap;

use api::placement::v1beta1::{NamespacedName, OverrideRule};
use api::selector;

use super::Matched;
use super::reading::Reading as _;
use crate::objects::OverrideSnapshot;
use crate::problem::Problem;

/// The override snapshots for a cluster, as a binding records them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picked {
    /// Names of the ClusterResourceOverride snapshots, sorted.
    pub cluster: Vec<String>,
    /// The ResourceOverride snapshots, sorted by namespace, then name.
    pub namespaced: Vec<NamespacedName>,
    /// Selectors that cannot be evaluated. Their rules count as not matching; admission normally refuses them.
    pub problems: Vec<Problem>,
}

/// Picks the overrides that have a rule for the cluster with these labels.
pub fn pick(matched: &Matched<'_>, labels: &BTreeMap<String, String>) -> Picked {
    let mut picked = Picked::default();
    for snapshot in &matched.cluster {
        if has_rule(snapshot, labels, &mut picked.problems) {
            picked.cluster.push(snapshot.meta.name.clone());
        }
    }
    for snapshot in &matched.namespaced {
        if has_rule(snapshot, labels, &mut picked.problems) {
            let namespace = snapshot.meta.namespace.clone().unwrap_or_default();
            picked.namespaced.push(NamespacedName {
                name: snapshot.meta.name.clone(),
                namespace,
            });
        }
    }
    picked.cluster.sort();
    picked
        .namespaced
        .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    picked
}

fn has_rule(snapshot: &OverrideSnapshot, labels: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> bool {
    let mut found = false;
    for rule in snapshot.rules() {
        match rule_matches(rule, labels) {
            Ok(matches) => found |= matches,
            Err(err) => problems.push(Problem::user(format!(
                "A cluster selector of the {} {:?} cannot be evaluated: {err}.",
                snapshot.kind_name(),
                snapshot.full_name()
            ))),
        }
    }
    found
}

/// Whether a rule is for the cluster with these labels: a rule without selector is for no cluster, one without terms
/// for every cluster; terms are alternatives, and a term without label selector matches nothing.
pub(super) fn rule_matches(
    rule: &OverrideRule,
    labels: &BTreeMap<String, String>,
) -> Result<bool, selector::SelectorError> {
    let Some(clusters) = &rule.cluster_selector else {
        return Ok(false);
    };
    let terms = &clusters.cluster_selector_terms;
    if terms.is_empty() {
        return Ok(true);
    }
    for term in terms {
        if selector::matches(term.label_selector.as_ref(), labels)? {
            return Ok(true);
        }
    }
    Ok(false)
}
