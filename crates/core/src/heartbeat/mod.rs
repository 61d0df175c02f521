//! What the member agent says about itself and its cluster in its InternalMemberCluster (member-behaviour 3).
//!
//! Only the entries of the agents that this one reports for and the fields that describe the cluster are touched: other agents
//! write into the same object.

mod costs;
mod describe;
mod usage;

use std::collections::BTreeMap;
use std::time::Duration;

use api::RootKind as _;
use api::cluster::v1beta1::{AgentStatus, AgentType, ResourceUsage};
use api::condition;
use api::placement::v1beta1::AppliedWork;
use api::text::conditions::member as types;
use api::text::reasons::member as reasons;
use api::{Condition, ConditionStatus, Time};
use serde::Deserialize;
use serde_json::{Value, json};

use describe::describe;

use crate::difference::tree;
use crate::meta;

pub use costs::{Costs, Item, Page, Prices, costs};
pub use describe::{NotStarted, Property, Provider};
pub use usage::{NodeFacts, PodFacts, usage};

/// What the hub wants of this member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// To be part of the fleet.
    Join,
    /// To leave it.
    Leave,
    /// A state that this agent does not know; nothing is done.
    Other(String),
}

/// An InternalMemberCluster as the agent reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// Name of the member.
    pub name: String,
    /// The member's namespace on the hub.
    pub namespace: String,
    /// Identity of this incarnation.
    pub uid: String,
    /// Version of the spec.
    pub generation: i64,
    /// Version of the whole object.
    pub resource_version: String,
    /// What the hub wants.
    pub wanted: Wanted,
    /// Time between two heartbeats.
    pub period: Duration,
    /// The status as stored; an empty map when there is none.
    pub status: Value,
}

/// Heartbeats come this often unless the hub says otherwise.
const DEFAULT_PERIOD: u64 = 60;
/// Bounds of the period in seconds.
const PERIOD_BOUNDS: (u64, u64) = (1, 600);

impl Membership {
    /// Reads an InternalMemberCluster.
    pub fn decode(object: &Value) -> Self {
        let text = |path: &str| meta::text(object, path).to_owned();
        let period = object
            .pointer("/spec/heartbeatPeriodSeconds")
            .and_then(Value::as_u64)
            .unwrap_or(DEFAULT_PERIOD);
        Self {
            name: text("/metadata/name"),
            namespace: text("/metadata/namespace"),
            uid: text("/metadata/uid"),
            generation: object
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            resource_version: text("/metadata/resourceVersion"),
            wanted: match text("/spec/state").as_str() {
                "Join" => Wanted::Join,
                "Leave" => Wanted::Leave,
                other => Wanted::Other(other.to_owned()),
            },
            period: Duration::from_secs(period.clamp(PERIOD_BOUNDS.0, PERIOD_BOUNDS.1)),
            status: object
                .get("status")
                .filter(|s| s.is_object())
                .cloned()
                .unwrap_or_else(|| json!({})),
        }
    }

    fn agents(&self) -> Vec<Value> {
        self.status
            .get("agentStatus")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    }

    /// The entry of an agent in the list; a new one when there is none, or when it cannot be read.
    fn agent(&self, kind: AgentType) -> AgentStatus {
        let known = self
            .agents()
            .into_iter()
            .find(|entry| is_of(entry, kind))
            .and_then(|entry| AgentStatus::deserialize(entry).ok());
        known.unwrap_or(AgentStatus {
            type_: kind,
            conditions: Vec::new(),
            last_received_heartbeat: None,
        })
    }
}

fn is_of(entry: &Value, kind: AgentType) -> bool {
    entry.get("type").is_some_and(|text| text == kind.as_str())
}

/// The agents whose place is taken by a member agent that exports services (networking 11).
pub const NETWORKING_AGENTS: [AgentType; 2] =
    [AgentType::MultiClusterServiceAgent, AgentType::ServiceExportImportAgent];

/// What a join pass found out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// Failure of the health probe: the HTTP status, 0 when there was no answer. `None` when healthy.
    pub unhealthy: Option<u16>,
    /// Facts about the cluster; `None` when they could not be collected.
    pub properties: Option<Vec<Property>>,
    /// What the cluster has and what is free; `None` when it could not be collected.
    pub usage: Option<ResourceUsage>,
    /// Namespaces and what placed each, when they are to be reported.
    pub namespaces: Option<Namespaces>,
    /// How the start of the property provider ended, when one is configured.
    pub provider: Option<Provider>,
}

/// The namespaces of a member (member-behaviour 3.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// By name, the AppliedWork that owns each; empty for none of ours.
    pub owners: BTreeMap<String, String>,
    /// Whether there are more than are reported.
    pub is_incomplete: bool,
}

/// Namespaces that are reported at most.
pub const MAX_NAMESPACES: usize = 200;

impl Namespaces {
    /// The first namespaces by name, up to the limit.
    pub fn of(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut owners: BTreeMap<String, String> = all.into_iter().collect();
        let is_incomplete = owners.len() > MAX_NAMESPACES;
        if let Some(surplus) = owners.keys().nth(MAX_NAMESPACES).cloned() {
            owners.split_off(&surplus);
        }
        Self { owners, is_incomplete }
    }

    /// What is kept of a Namespace: the AppliedWork that owns it, or nothing. `None` once it is being deleted.
    pub fn owner_of(namespace: &Value) -> Option<String> {
        if namespace
            .pointer("/metadata/deletionTimestamp")
            .is_some_and(|time| !time.is_null())
        {
            return None;
        }
        let references = namespace.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let ours = references.into_iter().flatten().find(|reference| {
            reference
                .get("apiVersion")
                .is_some_and(|v| v == AppliedWork::API_VERSION)
                && reference.get("kind").is_some_and(|k| k == AppliedWork::KIND)
        });
        let name = ours.and_then(|reference| reference.get("name")?.as_str());
        Some(name.unwrap_or_default().to_owned())
    }
}

/// An event on the InternalMemberCluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Reason.
    pub reason: &'static str,
    /// Text.
    pub message: String,
    /// Whether it is a warning.
    pub warning: bool,
}

/// What has to be written after a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Merge patch of the status; holds the version that it is based on.
    pub patch: Value,
    /// Events to emit once it is written.
    pub notices: Vec<Notice>,
    /// Whether this pass is the one that joined (or left), for the counters.
    pub is_transition: bool,
}

/// The heartbeat of a member that is part of the fleet (member-behaviour 3.2), also in the name of `others`.
pub fn joined(membership: &Membership, others: &[AgentType], findings: &Findings, now: &Time) -> Update {
    let mut agent = membership.agent(AgentType::MemberAgent);
    let mut notices = Vec::new();
    agent.last_received_heartbeat = Some(now.clone());
    let (health, notice) = health(findings.unhealthy);
    if put(&mut agent.conditions, membership, types::HEALTHY, health, now).status {
        notices.push(notice);
    }
    let joined = (
        ConditionStatus::True,
        reasons::INTERNAL_MEMBER_CLUSTER_JOINED,
        String::new(),
    );
    let change = put(&mut agent.conditions, membership, types::JOINED, joined, now);
    let is_transition = change.status || change.generation;
    if is_transition {
        notices.push(notice_of(
            reasons::INTERNAL_MEMBER_CLUSTER_JOINED,
            "internal member cluster joined",
        ));
    }
    let mut status = membership.status.clone();
    describe(&mut status, membership, findings, &mut notices, now);
    let mut agents = vec![agent];
    for kind in others {
        let mut other = membership.agent(*kind);
        other.last_received_heartbeat = Some(now.clone());
        let joined = (ConditionStatus::True, reasons::AGENT_JOINED, String::new());
        put(&mut other.conditions, membership, types::JOINED, joined, now);
        agents.push(other);
    }
    finish(membership, status, &agents, notices, is_transition)
}

/// The last report of a member that has left, or why it could not leave (member-behaviour 3.8), also in the name of
/// `others`: they stay as they are while it could not.
pub fn left(membership: &Membership, others: &[AgentType], failure: Option<&str>, now: &Time) -> Update {
    let mut agent = membership.agent(AgentType::MemberAgent);
    let (values, notice) = match failure {
        None => (
            (
                ConditionStatus::False,
                reasons::INTERNAL_MEMBER_CLUSTER_LEFT,
                String::new(),
            ),
            notice_of(reasons::INTERNAL_MEMBER_CLUSTER_LEFT, "internal member cluster left"),
        ),
        Some(why) => (
            (
                ConditionStatus::Unknown,
                reasons::INTERNAL_MEMBER_CLUSTER_FAILED_TO_LEAVE,
                why.to_owned(),
            ),
            notice_of(
                reasons::INTERNAL_MEMBER_CLUSTER_FAILED_TO_LEAVE,
                "internal member cluster failed to leave",
            ),
        ),
    };
    let change = put(&mut agent.conditions, membership, types::JOINED, values, now);
    let changed = change.status || change.generation || failure.is_some();
    let notices = if changed { vec![notice] } else { Vec::new() };
    let mut agents = vec![agent];
    for kind in others.iter().filter(|_| failure.is_none()) {
        let mut other = membership.agent(*kind);
        let left = (ConditionStatus::False, reasons::AGENT_LEFT, String::new());
        put(&mut other.conditions, membership, types::JOINED, left, now);
        agents.push(other);
    }
    finish(
        membership,
        membership.status.clone(),
        &agents,
        notices,
        changed && failure.is_none(),
    )
}

/// Whether a member that has left has said so already.
pub fn has_left(membership: &Membership) -> bool {
    let agent = membership.agent(AgentType::MemberAgent);
    condition::find(&agent.conditions, types::JOINED).is_some_and(|c| {
        c.status == ConditionStatus::False
            && c.reason == reasons::INTERNAL_MEMBER_CLUSTER_LEFT
            && c.observed_generation == membership.generation
    })
}

type ConditionValues = (ConditionStatus, &'static str, String);

fn health(unhealthy: Option<u16>) -> (ConditionValues, Notice) {
    match unhealthy {
        None => (
            (
                ConditionStatus::True,
                reasons::INTERNAL_MEMBER_CLUSTER_HEALTHY,
                String::new(),
            ),
            notice_of(
                reasons::INTERNAL_MEMBER_CLUSTER_HEALTHY,
                "internal member cluster healthy",
            ),
        ),
        Some(code) => (
            (
                ConditionStatus::False,
                reasons::INTERNAL_MEMBER_CLUSTER_UNHEALTHY,
                format!("health probe failed with status code {code}"),
            ),
            Notice {
                warning: true,
                ..notice_of(
                    reasons::INTERNAL_MEMBER_CLUSTER_UNHEALTHY,
                    "internal member cluster unhealthy",
                )
            },
        ),
    }
}

fn notice_of(reason: &'static str, message: &str) -> Notice {
    Notice {
        reason,
        message: message.to_owned(),
        warning: false,
    }
}

/// What setting a condition changed.
struct Change {
    status: bool,
    generation: bool,
}

fn put(list: &mut Vec<Condition>, membership: &Membership, kind: &str, values: ConditionValues, now: &Time) -> Change {
    let (status, reason, message) = values;
    let generation = membership.generation;
    let old = condition::find(list, kind);
    let change = Change {
        status: old.is_none_or(|c| c.status != status),
        generation: old.is_none_or(|c| c.observed_generation != generation),
    };
    condition::set(
        list,
        Condition::new(kind, status, reason, message, generation, now.clone()),
    );
    change
}

fn finish(
    membership: &Membership,
    mut status: Value,
    spoken: &[AgentStatus],
    notices: Vec<Notice>,
    is_transition: bool,
) -> Update {
    let mut agents = membership.agents();
    for agent in spoken {
        let entry = tree(agent);
        match agents.iter_mut().find(|known| is_of(known, agent.type_)) {
            Some(known) => *known = entry,
            None => agents.push(entry),
        }
    }
    if let Some(status) = status.as_object_mut() {
        status.insert("agentStatus".to_owned(), Value::Array(agents));
    }
    let change = merge::three_way_json(&membership.status, &status, &membership.status);
    let patch = json!({
        "metadata": {"resourceVersion": membership.resource_version, "uid": membership.uid},
        "status": change,
    });
    Update {
        patch,
        notices,
        is_transition,
    }
}

#[cfg(test)]
mod tests;
