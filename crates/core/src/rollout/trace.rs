//! Why bindings move or wait.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Budget;
use super::classify::{Classes, Role};
use crate::effects::Tracked;
use crate::objects::Binding;
use crate::overrides::Picked;
use crate::trace::Bounded;

/// What the rolling update went by.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The overrides that have a rule for a cluster, by cluster; clusters without any are left out.
    pub overrides: Bounded<ClusterOverrides>,
    /// The rounds in order; the last one changes nothing.
    pub rounds: Bounded<Round>,
}

/// The overrides that have a rule for one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterOverrides {
    /// The cluster.
    pub cluster: String,
    /// Names of snapshots of ClusterResourceOverrides, and namespace/name of those of ResourceOverrides.
    pub snapshots: Bounded<String>,
}

/// The arithmetic of one round (hub-behaviour 5.5).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// The limits.
    #[serde(flatten)]
    pub budget: Budget,
    /// Bindings that serve their cluster.
    pub ready: i64,
    /// Bindings that serve or will serve their cluster: they take their share of `maxSurge`.
    pub can_be_ready: i64,
    /// Bindings that serve their cluster and are on their way out.
    pub can_be_unavailable: i64,
    /// How many may be updated or removed: ready - canBeUnavailable - (target - maxUnavailable).
    pub removable: i64,
    /// How many clusters may be added: target + maxSurge - canBeReady.
    pub addable: i64,
    /// What the round does with each binding.
    pub bindings: Bounded<BindingTrace>,
}

/// What a round does with one binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingTrace {
    /// Its name.
    pub binding: String,
    /// Its cluster.
    pub cluster: String,
    /// What may happen to it.
    #[serde(flatten)]
    pub role: Role,
    /// Whether the round does it.
    pub picked: bool,
}

impl Trace {
    /// The overrides are the same in every round and every repetition.
    pub(super) fn pick(&mut self, picked: &BTreeMap<String, Picked>) {
        let entries = picked.iter().filter_map(|(cluster, picked)| {
            let namespaced = picked.namespaced.iter().map(|n| format!("{}/{}", n.namespace, n.name));
            let snapshots: Bounded<String> = picked.cluster.iter().cloned().chain(namespaced).collect();
            (!snapshots.entries().is_empty()).then(|| ClusterOverrides {
                cluster: cluster.clone(),
                snapshots,
            })
        });
        self.overrides = entries.collect();
    }
}

impl Round {
    pub(super) fn of(
        bindings: &[Tracked<Binding>],
        classes: &Classes,
        budget: &Budget,
        picks: &BTreeSet<usize>,
    ) -> Self {
        let roles = bindings.iter().zip(&classes.roles).enumerate();
        let entries = roles.filter_map(|(position, (binding, role))| {
            let binding = binding.get().or(binding.before())?;
            Some(BindingTrace {
                binding: binding.meta.name.clone(),
                cluster: binding.cluster().to_owned(),
                role: *role,
                picked: picks.contains(&position),
            })
        });
        Self {
            budget: *budget,
            ready: classes.ready,
            can_be_ready: classes.can_be_ready,
            can_be_unavailable: classes.can_be_unavailable,
            removable: classes.removable(budget),
            addable: classes.addable(budget),
            bindings: entries.collect(),
        }
    }
}
