//! What overrides do to a manifest on one cluster (hub-behaviour 6.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use api::placement::v1beta1::{
    JSONPatchOverride, JSONPatchOverrideOperator, NamespacedName, OverrideRule, OverrideType,
};
use serde_json::{Map, Value};

use super::matching::reaches;
use super::pick::rule_matches;
use super::reading::{Reading as _, full_name};
use super::trace::{Effect, RuleTrace};
use super::variables::substitute;
use crate::content::storable;
use crate::objects::{Manifest, ObjectId, OverrideSnapshot};
use crate::problem::Problem;

/// The member cluster that manifests are rendered for.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// Its name.
    pub name: &'a str,
    /// The labels of its MemberCluster.
    pub labels: &'a BTreeMap<String, String>,
}

/// The override snapshots that a binding names, in the order in which they apply: cluster-wide ones first, so that
/// those of a namespace win.
#[derive(Debug, Clone, Default)]
pub struct Applicable<'a> {
    snapshots: Vec<&'a OverrideSnapshot>,
}

impl<'a> Applicable<'a> {
    /// Looks up what a binding names.
    ///
    /// # Errors
    /// When a snapshot does not exist.
    pub fn load(
        cluster: &[String],
        namespaced: &[NamespacedName],
        all: &'a [Arc<OverrideSnapshot>],
    ) -> Result<Self, Problem> {
        let find = |namespace: Option<&str>, name: &str| {
            let found = all
                .iter()
                .find(|s| s.meta.namespace.as_deref() == namespace && s.meta.name == name);
            found.map(|snapshot| &**snapshot).ok_or_else(|| {
                let kind = if namespace.is_none() {
                    "ClusterResourceOverrideSnapshot"
                } else {
                    "ResourceOverrideSnapshot"
                };
                let name = full_name(namespace.unwrap_or_default(), name);
                Problem::user(format!("The {kind} {name:?} that the binding names does not exist."))
            })
        };
        let cluster = cluster.iter().map(|name| find(None, name));
        let namespaced = namespaced.iter().map(|n| find(Some(n.namespace.as_str()), &n.name));
        Ok(Self {
            snapshots: cluster.chain(namespaced).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the binding names no override.
    pub fn is_empty(&self) -> bool {
        self.snapshots.is_empty()
    }

    /// The manifest as it is for the cluster; `None` when an override deletes it there.
    ///
    /// A manifest that no override reaches is handed on without being parsed.
    ///
    /// # Errors
    /// A user's mistake, in a sentence that names the override snapshot and the object.
    pub fn apply(&self, manifest: &Arc<Manifest>, cluster: Cluster<'_>) -> Result<Option<Arc<Manifest>>, Problem> {
        let mut value = None;
        for snapshot in self.snapshots.iter().filter(|s| reaches(s, &manifest.id)) {
            let blame = |why: String| blame(snapshot, &manifest.id, &why);
            for rule in snapshot.rules() {
                // A selector that cannot be evaluated selects nothing, as where overrides are picked; see `references`.
                if !rule_matches(rule, cluster.labels).unwrap_or_default() {
                    continue;
                }
                if rule.override_type == Some(OverrideType::Delete) {
                    return Ok(None);
                }
                let current = value.take().unwrap_or_else(|| manifest.value());
                value = Some(patched(&current, rule, cluster).map_err(blame)?);
            }
            // Whatever a patch leaves behind must still be an object that can be sent.
            if let Some(value) = &value {
                Manifest::from_value(value).map_err(|err| blame(format!("the result is no object: {err}")))?;
            }
        }
        match value {
            None => Ok(Some(manifest.clone())),
            Some(value) => {
                let changed =
                    Manifest::from_value(&storable(value)).map_err(|err| Problem::unexpected(err.to_string()))?;
                Ok(Some(Arc::new(changed)))
            }
        }
    }
}

impl Applicable<'_> {
    /// The rules that reach an object on a cluster, for explanations, up to the first that deletes it.
    pub fn rules<'m>(&'m self, manifest: &'m Manifest, cluster: Cluster<'m>) -> impl Iterator<Item = RuleTrace> + 'm {
        let reaching = self.snapshots.iter().filter(|s| reaches(s, &manifest.id));
        let rules = reaching.flat_map(|snapshot| snapshot.rules().iter().enumerate().map(move |rule| (snapshot, rule)));
        let mut deleted = false;
        rules.filter_map(move |(snapshot, (number, rule))| {
            let effect = match rule_matches(rule, cluster.labels) {
                _ if deleted => return None,
                Ok(false) => return None,
                Ok(true) => Effect::of(rule, cluster),
                Err(err) => Effect::Invalid { why: err.to_string() },
            };
            deleted = effect == Effect::Delete;
            Some(RuleTrace {
                snapshot: snapshot.full_name(),
                rule: number,
                object: manifest.id.to_string(),
                effect,
            })
        })
    }
}

impl Effect {
    fn of(rule: &OverrideRule, cluster: Cluster<'_>) -> Self {
        if rule.override_type == Some(OverrideType::Delete) {
            return Self::Delete;
        }
        match operations(rule, cluster) {
            Ok(patches) => Self::Patch { patches },
            Err(err) => Self::Invalid { why: err.to_string() },
        }
    }
}

/// Applies the patches of one rule, all or none.
fn patched(value: &Value, rule: &OverrideRule, cluster: Cluster<'_>) -> Result<Value, String> {
    let patches = operations(rule, cluster).map_err(|err| err.to_string())?;
    merge::json_patch(value, &Value::Array(patches)).map_err(|err| err.to_string())
}

/// The operations of a rule.
fn operations(rule: &OverrideRule, cluster: Cluster<'_>) -> Result<Vec<Value>, super::variables::VariableError> {
    rule.json_patch_overrides
        .iter()
        .map(|patch| operation(patch, cluster))
        .collect()
}

/// One operation as JSON patch has it, variables replaced. A missing value of `add` and `replace` is a null.
fn operation(patch: &JSONPatchOverride, cluster: Cluster<'_>) -> Result<Value, super::variables::VariableError> {
    let mut operation = Map::new();
    operation.insert("op".to_owned(), Value::String(patch.operator.as_str().to_owned()));
    operation.insert("path".to_owned(), Value::String(patch.path.clone()));
    if patch.operator != JSONPatchOverrideOperator::Remove {
        operation.insert(
            "value".to_owned(),
            substitute(&patch.value, cluster.name, cluster.labels)?,
        );
    }
    Ok(Value::Object(operation))
}

fn blame(snapshot: &OverrideSnapshot, id: &ObjectId, why: &str) -> Problem {
    let target = full_name(&id.namespace, &id.name);
    Problem::user(format!(
        "The {} {:?} cannot be applied to the {} {target:?}: {}.",
        snapshot.kind_name(),
        snapshot.full_name(),
        id.kind,
        why.trim_end_matches('.')
    ))
}
