//! Tests of the scheduler.

mod affinity;
mod cycle;
mod parts;
mod reference;

use std::sync::Arc;

use api::placement::v1beta1::PlacementPolicy;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

pub(super) const NOW: &str = "2026-01-01T00:10:00Z";

pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// An eligible member with labels and whatever else its spec and status hold.
pub(super) fn member_with(name: &str, labels: Value, taints: Value, status: Value) -> Arc<Member> {
    let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let mut object = json!({
        "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints},
        "status": {"agentStatus": [{"type": "MemberAgent", "lastReceivedHeartbeat": "2026-01-01T00:09:30Z",
            "conditions": [condition("Joined"), condition("Healthy")]}]},
    });
    for (key, value) in status.as_object().unwrap() {
        object["status"][key] = value.clone();
    }
    Arc::new(Member::from_value(object).unwrap())
}

pub(super) fn member(name: &str, labels: Value) -> Arc<Member> {
    member_with(name, labels, json!([]), json!({}))
}

pub(super) fn policy(value: Value) -> PlacementPolicy {
    serde_json::from_value(value).unwrap()
}

/// A binding named after its cluster.
pub(super) fn binding(cluster: &str, state: &str, policy_snapshot: &str) -> Arc<Binding> {
    binding_with(cluster, state, policy_snapshot, json!({}), json!(null))
}

pub(super) fn binding_with(
    cluster: &str,
    state: &str,
    policy_snapshot: &str,
    meta: Value,
    score: Value,
) -> Arc<Binding> {
    let mut object = json!({
        "metadata": {"name": format!("b-{cluster}")},
        "spec": {"state": state, "resourceSnapshotName": "", "schedulingPolicySnapshotName": policy_snapshot,
            "targetCluster": cluster,
            "clusterDecision": {"clusterName": cluster, "selected": true, "reason": "held", "clusterScore": score}},
    });
    for (key, value) in meta.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    Arc::new(Binding::from_value(object).unwrap())
}

/// What a cycle decides, in short: `+a` creates, `~b-a=Bound` adopts, `-b-a` unschedules, `!b-a` releases.
pub(super) fn short(outcome: &SchedulingResult) -> Vec<String> {
    let text = |action: &Action| match action {
        Action::Create { cluster, .. } => format!("+{cluster}"),
        Action::Adopt { binding, state, .. } => format!("~{binding}={state}"),
        Action::Unschedule { binding } => format!("-{binding}"),
        Action::Release { binding } => format!("!{binding}"),
    };
    outcome.actions.iter().map(text).collect()
}

pub(super) struct Case {
    pub(super) key: PlacementKey,
    pub(super) policy: Option<PlacementPolicy>,
    pub(super) number: Option<i64>,
    pub(super) members: Vec<Arc<Member>>,
    pub(super) bindings: Vec<Arc<Binding>>,
}

impl Case {
    pub(super) fn new(policy_value: Value, members: Vec<Arc<Member>>, bindings: Vec<Arc<Binding>>) -> Self {
        let policy = policy(policy_value);
        let number = policy.number_of_clusters.map(i64::from);
        Self {
            key: PlacementKey::cluster("web"),
            policy: Some(policy),
            number,
            members,
            bindings,
        }
    }

    pub(super) fn input(&self) -> Input<'_> {
        Input {
            key: &self.key,
            policy: self.policy.as_ref(),
            number_of_clusters: self.number,
            policy_snapshot: "p",
            members: &self.members,
            bindings: &self.bindings,
            now: now(),
        }
    }

    pub(super) fn run(&self) -> SchedulingResult {
        schedule(&self.input(), Recorder::off()).unwrap()
    }
}
