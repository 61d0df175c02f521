//! Defaults that the agents apply in memory (hub-behaviour 0.7), because admission fills them for ClusterResourcePlacements
//! only. They never overwrite what is there.

use crate::intstr::IntOrString;
use crate::placement::v1beta1::{
    ApplyStrategy, ApplyStrategyType, ComparisonOption, PlacementPolicy, PlacementSpec, PlacementType,
    RollingUpdateConfig, RolloutStrategy, RolloutStrategyType, ServerSideApplyConfig, TolerationOperator,
    UnsatisfiableConstraintAction, WhenToApply, WhenToTakeOver,
};

/// Snapshots kept per kind.
pub const REVISION_HISTORY_LIMIT: i32 = 10;
/// Budgets of a rolling update.
pub const BUDGET: &str = "25%";
/// Seconds after which untrackable resources count as available.
pub const UNAVAILABLE_PERIOD_SECONDS: i64 = 60;
/// Seconds between two heartbeats.
pub const HEARTBEAT_PERIOD_SECONDS: i32 = 60;

/// Completes the spec of a placement.
pub fn placement(spec: &mut PlacementSpec) {
    policy(spec.policy.get_or_insert_default());
    strategy(spec.strategy.get_or_insert_default());
    spec.revision_history_limit.get_or_insert(REVISION_HISTORY_LIMIT);
}

/// Completes a scheduling policy.
pub fn policy(policy: &mut PlacementPolicy) {
    policy.placement_type.get_or_insert(PlacementType::PickAll);
    for constraint in &mut policy.topology_spread_constraints {
        constraint.max_skew.get_or_insert(1);
        constraint
            .when_unsatisfiable
            .get_or_insert(UnsatisfiableConstraintAction::DoNotSchedule);
    }
    for toleration in &mut policy.tolerations {
        toleration.operator.get_or_insert(TolerationOperator::Equal);
    }
}

/// Completes a rollout strategy.
pub fn strategy(strategy: &mut RolloutStrategy) {
    if *strategy.type_.get_or_insert(RolloutStrategyType::RollingUpdate) == RolloutStrategyType::RollingUpdate {
        rolling_update(strategy.rolling_update.get_or_insert_default());
    }
    apply_strategy(strategy.apply_strategy.get_or_insert_default());
}

/// Completes the budgets of a rolling update.
pub fn rolling_update(config: &mut RollingUpdateConfig) {
    config.max_unavailable.get_or_insert_with(|| IntOrString::from(BUDGET));
    config.max_surge.get_or_insert_with(|| IntOrString::from(BUDGET));
    config
        .unavailable_period_seconds
        .get_or_insert(UNAVAILABLE_PERIOD_SECONDS);
}

/// Completes an apply strategy.
pub fn apply_strategy(strategy: &mut ApplyStrategy) {
    strategy
        .comparison_option
        .get_or_insert(ComparisonOption::PartialComparison);
    strategy.when_to_apply.get_or_insert(WhenToApply::Always);
    let type_ = *strategy.type_.get_or_insert(ApplyStrategyType::ClientSideApply);
    if type_ == ApplyStrategyType::ServerSideApply {
        strategy
            .server_side_apply_config
            .get_or_insert(ServerSideApplyConfig { force_conflicts: false });
    }
    strategy.when_to_take_over.get_or_insert(WhenToTakeOver::Always);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Completes a spec twice and compares.
    fn check(spec: Value, expected: Value) {
        let mut read: PlacementSpec = serde_json::from_value(spec).unwrap();
        placement(&mut read);
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
        let once = read.clone();
        placement(&mut read);
        assert_eq!(read, once, "a complete spec stays as it is");
    }

    #[test]
    fn empty_specs_get_everything() {
        let apply = json!({
            "comparisonOption": "PartialComparison", "whenToApply": "Always", "type": "ClientSideApply", "whenToTakeOver": "Always",
        });
        check(
            json!({ "resourceSelectors": [] }),
            json!({
                "resourceSelectors": [],
                "policy": { "placementType": "PickAll" },
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%", "unavailablePeriodSeconds": 60 },
                    "applyStrategy": apply,
                },
                "revisionHistoryLimit": 10,
            }),
        );
        check(
            json!({ "resourceSelectors": [], "strategy": { "type": "External" } }),
            json!({
                "resourceSelectors": [],
                "policy": { "placementType": "PickAll" },
                "strategy": { "type": "External", "applyStrategy": apply },
                "revisionHistoryLimit": 10,
            }),
        );
    }

    #[test]
    fn what_is_there_stays() {
        check(
            json!({
                "resourceSelectors": [],
                "policy": {
                    "placementType": "PickN", "numberOfClusters": 2,
                    "topologySpreadConstraints": [{ "topologyKey": "a" }, { "maxSkew": 3, "topologyKey": "b" }],
                    "tolerations": [{ "key": "a" }, { "operator": "Exists" }],
                },
                "strategy": {
                    "rollingUpdate": { "maxSurge": 0 },
                    "applyStrategy": { "type": "ServerSideApply", "whenToTakeOver": "Never" },
                },
                "revisionHistoryLimit": 1,
            }),
            json!({
                "resourceSelectors": [],
                "policy": {
                    "placementType": "PickN", "numberOfClusters": 2,
                    "topologySpreadConstraints": [
                        { "maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule" },
                        { "maxSkew": 3, "topologyKey": "b", "whenUnsatisfiable": "DoNotSchedule" },
                    ],
                    "tolerations": [{ "key": "a", "operator": "Equal" }, { "operator": "Exists" }],
                },
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": 0, "unavailablePeriodSeconds": 60 },
                    "applyStrategy": {
                        "comparisonOption": "PartialComparison", "whenToApply": "Always", "type": "ServerSideApply",
                        "serverSideApplyConfig": { "force": false }, "whenToTakeOver": "Never",
                    },
                },
                "revisionHistoryLimit": 1,
            }),
        );
    }
}
