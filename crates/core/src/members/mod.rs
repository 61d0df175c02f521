//! The hub's side of membership: what a MemberCluster needs on the hub, and what it reports (hub-behaviour 1).
//!
//! A pass is a pure function of the objects that belong to one MemberCluster.
//! It never touches anything outside of the member's own namespace, and it never withdraws because a member is silent.

mod join;
mod leave;
mod reported;
mod status;

#[cfg(test)]
mod tests;

use std::time::Duration;

use api::cluster::v1beta1::AgentType;
use api::kinds;
use api::resource::Resource;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::effects::{self, Event, Target, Write};
use crate::meta::text;

/// The objects of one member, as the indexes hold them. Whole objects, because patches are made from differences.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The MemberCluster.
    pub member: &'a Value,
    /// The namespace `fleet-member-<name>`.
    pub namespace: Option<&'a Value>,
    /// The Role in it.
    pub role: Option<&'a Value>,
    /// The RoleBinding in it.
    pub role_binding: Option<&'a Value>,
    /// The InternalMemberCluster in it.
    pub internal: Option<&'a Value>,
    /// Names of all Works in it that carry a finalizer. Read only while the member leaves.
    pub held_works: &'a [String],
}

/// Switches of the hub agent that concern membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The member agents that must join, see [`expected_agents`].
    pub expected_agents: Vec<AgentType>,
    /// How long a leaving member may take before its namespace is removed regardless.
    pub force_delete_wait: Duration,
}

/// What is to be done for one member. A failing write ends the pass, so a status never mentions things that do not
/// exist; the counters take their steps once all steps of writes are done.
pub type Plan = effects::Plan<Vec<Counter>>;

/// A counter with `result="success"` (hub-behaviour 11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// `join_result_counter`.
    Join,
    /// `leave_result_counter`.
    Leave,
}

/// Plans the next pass over one member.
///
/// Feeding the outcome of a pass back in yields an empty plan, heartbeats aside.
pub fn plan(seen: &Seen<'_>, settings: &Settings, now: Timestamp) -> Plan {
    if deleted_at(seen.member).is_some() {
        leave::plan(seen, settings, now)
    } else {
        join::plan(seen, settings, now)
    }
}

/// The agents that a member must run (hub-behaviour 1.3).
pub fn expected_agents(networking: bool) -> Vec<AgentType> {
    if networking {
        vec![
            AgentType::MemberAgent,
            AgentType::MultiClusterServiceAgent,
            AgentType::ServiceExportImportAgent,
        ]
    } else {
        vec![AgentType::MemberAgent]
    }
}

/// Adds an event on the MemberCluster.
fn event(plan: &mut Plan, member: &Value, reason: &'static str, note: impl Into<String>) {
    record(plan, member, false, reason, note.into());
}

/// Adds a warning about the MemberCluster.
fn warning(plan: &mut Plan, member: &Value, reason: &'static str, note: impl Into<String>) {
    record(plan, member, true, reason, note.into());
}

fn record(plan: &mut Plan, member: &Value, warning: bool, reason: &'static str, note: String) {
    plan.events.push(about(member, warning, reason, note));
}

/// An event on the MemberCluster.
fn about(member: &Value, warning: bool, reason: &'static str, note: String) -> Event {
    Event {
        about: Target::new(kinds::MEMBER_CLUSTER, None, name(member)),
        uid: text(member, "/metadata/uid").to_owned(),
        warning,
        reason,
        note,
    }
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

fn resource_version(object: &Value) -> Option<String> {
    Some(text(object, "/metadata/resourceVersion"))
        .filter(|v| !v.is_empty())
        .map(str::to_owned)
}

/// When deletion of the object was requested.
fn deleted_at(object: &Value) -> Option<Timestamp> {
    text(object, "/metadata/deletionTimestamp").parse().ok()
}

fn finalizers(object: &Value) -> Vec<&str> {
    object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A patch of metadata that replaces lists, hence bound to the version that was read.
fn patch_bound(kind: Resource, object: &Value, body: Value) -> Write {
    let namespace = Some(text(object, "/metadata/namespace")).filter(|n| !n.is_empty());
    Write::MergePatch {
        target: Target::new(kind, namespace, name(object)),
        body,
        status: false,
        resource_version: resource_version(object),
    }
}

/// The reference that makes the member the controlling owner of an object.
fn owner(member: &Value) -> Value {
    json!([{
        "apiVersion": kinds::MEMBER_CLUSTER.api_version(),
        "kind": kinds::MEMBER_CLUSTER.kind,
        "name": name(member),
        "uid": text(member, "/metadata/uid"),
        "controller": true,
    }])
}
