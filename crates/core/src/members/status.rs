//! The status of a MemberCluster: what its InternalMemberCluster says, and the Joined condition (hub-behaviour 1.4).

use std::collections::BTreeSet;

use api::cluster::v1beta1::AgentType;
use api::kinds;
use api::text::conditions::member as conditions;
use api::text::reasons::member as reasons;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::reported::REPORTS;
use crate::difference;
use crate::effects::{Target, Write};

/// What happened to the Joined condition in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joined {
    /// Every expected agent has joined.
    True,
    /// Every expected agent has left.
    False,
    /// Some agent is missing, silent or of another opinion.
    Unknown,
}

/// A status under construction. Only what differs from the stored one is written.
pub(super) struct Draft {
    status: Map<String, Value>,
    generation: i64,
    now: Timestamp,
}

/// The form in which the API stores times: whole seconds, UTC.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Draft {
    /// Starts from the stored MemberCluster.
    pub(super) fn of(member: &Value, now: Timestamp) -> Self {
        Self {
            status: member
                .get("status")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            generation: member
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            now,
        }
    }

    /// Says that the hub side is prepared. Returns whether the condition flipped.
    pub(super) fn ready_to_join(&mut self) -> bool {
        self.set(
            conditions::READY_TO_JOIN,
            "True",
            reasons::MEMBER_CLUSTER_READY_TO_JOIN,
            "The namespace, the access rights and the internal record of the member cluster exist.",
        )
    }

    /// Says that the hub side cannot be prepared. Returns whether that is new for this generation.
    pub(super) fn not_ready_to_join(&mut self, why: &str) -> bool {
        let reported = self.conditions().any(|condition| {
            let says = |key: &str, value: Value| condition.get(key) == Some(&value);
            says("type", json!(conditions::READY_TO_JOIN))
                && says("message", json!(why))
                && says("observedGeneration", json!(self.generation))
        });
        self.set(
            conditions::READY_TO_JOIN,
            "False",
            reasons::MEMBER_CLUSTER_NOT_READY_TO_JOIN,
            why,
        );
        !reported
    }

    fn conditions(&self) -> impl Iterator<Item = &Value> {
        let list = self.status.get("conditions").and_then(Value::as_array);
        list.into_iter().flatten()
    }

    /// Copies what the member reported. Answers a sentence for each part that cannot be stored and is left out.
    pub(super) fn copy_from(&mut self, internal: &Value) -> Vec<String> {
        let Some(reported) = internal.get("status").and_then(Value::as_object) else {
            return Vec::new();
        };
        self.copy_agents(reported);
        let mut left_out = Vec::new();
        for (key, read) in REPORTS {
            let value = reported.get(key).filter(|value| !value.is_null());
            match value.and_then(|value| read(value, &mut left_out)) {
                Some(value) => self.status.insert(key.to_owned(), value),
                None => self.status.remove(key),
            };
        }
        for condition in reported
            .get("conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.copy_condition(condition);
        }
        left_out
    }

    /// The write that turns the stored status into this one; `None` when they agree.
    pub(super) fn write(self, member: &Value) -> Option<Write> {
        let stored = member.get("status").cloned().unwrap_or_else(|| json!({}));
        let body = json!({ "status": difference::between(&stored, &Value::Object(self.status))? });
        let target = Target::new(kinds::MEMBER_CLUSTER, None, super::name(member));
        Some(Write::MergePatch {
            target,
            body,
            status: true,
            resource_version: None,
        })
    }

    /// An internal record without agents leaves the old list, so that a restart of an agent loses nothing.
    fn copy_agents(&mut self, reported: &Map<String, Value>) {
        let Some(agents) = reported
            .get("agentStatus")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
        else {
            return;
        };
        let mut agents = agents.clone();
        for agent in &mut agents {
            for condition in agent
                .get_mut("conditions")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                if let Some(condition) = condition.as_object_mut() {
                    condition.insert("observedGeneration".to_owned(), json!(self.generation));
                }
            }
        }
        self.status.insert("agentStatus".to_owned(), Value::Array(agents));
    }

    fn copy_condition(&mut self, condition: &Value) {
        let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("type").is_empty() {
            return;
        }
        let reported_at = condition.get("lastTransitionTime").cloned();
        self.set_at(
            text("type"),
            text("status"),
            text("reason"),
            text("message"),
            reported_at,
        );
    }

    /// What the agents' answers amount to.
    pub(super) fn joined(&self, expected: &[AgentType]) -> Joined {
        let agents = self
            .status
            .get("agentStatus")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        if agents.len() < expected.len() {
            return Joined::Unknown;
        }
        let mut reported = BTreeSet::new();
        let mut statuses = BTreeSet::new();
        for agent in agents {
            let kind = agent
                .get("type")
                .and_then(Value::as_str)
                .and_then(|kind| kind.parse::<AgentType>().ok());
            let Some(kind) = kind.filter(|kind| expected.contains(kind)) else {
                continue;
            };
            reported.insert(kind);
            let joined = agent
                .get("conditions")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .find(|c| c.get("type").and_then(Value::as_str) == Some(conditions::JOINED));
            match joined.and_then(|c| c.get("status")).and_then(Value::as_str) {
                Some(status @ ("True" | "False")) => statuses.insert(status),
                _ => return Joined::Unknown,
            };
        }
        if reported.len() < expected.len() || statuses.len() != 1 {
            return Joined::Unknown;
        }
        if statuses.contains("True") {
            Joined::True
        } else {
            Joined::False
        }
    }

    /// Writes the Joined condition. Returns whether Joined flipped.
    pub(super) fn record(&mut self, joined: Joined) -> bool {
        match joined {
            Joined::True => self.set(
                conditions::JOINED,
                "True",
                reasons::MEMBER_CLUSTER_JOINED,
                "All expected agents of the member cluster have joined.",
            ),
            Joined::False => {
                self.set(
                    conditions::READY_TO_JOIN,
                    "False",
                    reasons::MEMBER_CLUSTER_NOT_READY_TO_JOIN,
                    "The member cluster has left.",
                );
                self.set(
                    conditions::JOINED,
                    "False",
                    reasons::MEMBER_CLUSTER_LEFT,
                    "All expected agents of the member cluster have left.",
                )
            }
            Joined::Unknown => self.set(
                conditions::JOINED,
                "Unknown",
                reasons::MEMBER_CLUSTER_JOIN_STATE_UNKNOWN,
                "Not every expected agent of the member cluster has said whether it has joined.",
            ),
        }
    }

    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) -> bool {
        self.set_at(kind, status, reason, message, None)
    }

    /// The time moves only with the status (hub-behaviour 0.5). Returns whether the status moved.
    fn set_at(&mut self, kind: &str, status: &str, reason: &str, message: &str, at: Option<Value>) -> bool {
        let list = self.status.entry("conditions").or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([]);
        }
        let Some(list) = list.as_array_mut() else { return false };
        let place = list
            .iter()
            .position(|c| c.get("type").and_then(Value::as_str) == Some(kind));
        let before = place.and_then(|i| list.get(i));
        let flipped = before.and_then(|c| c.get("status")).and_then(Value::as_str) != Some(status);
        let time = match before.and_then(|c| c.get("lastTransitionTime")) {
            Some(time) if !flipped => time.clone(),
            _ => at.unwrap_or_else(|| json!(seconds(self.now))),
        };
        let condition = json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": self.generation,
            "lastTransitionTime": time,
        });
        match place.and_then(|i| list.get_mut(i)) {
            Some(old) => *old = condition,
            None => list.push(condition),
        }
        flipped
    }
}
