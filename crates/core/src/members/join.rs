//! The join path (hub-behaviour 1.2): everything that a member needs on the hub, then its status.

use std::time::Duration;

use api::kinds;
use api::names;
use api::text::events::member as events;
use api::text::events::warning as warnings;
use api::text::reasons::member as reasons;
use api::text::{finalizers as fin, groups, labels};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::status::{Draft, Joined};
use super::{
    Counter, Plan, Seen, Settings, about, deleted_at, event, finalizers, name, owner, patch_bound, text, warning,
};
use crate::effects::{Standing, Target, Write};

/// A namespace of an earlier member of this name is still going away; its end is an event, this is the safety net.
const NAMESPACE_GOING: Duration = Duration::from_secs(5);

pub(super) fn plan(seen: &Seen<'_>, settings: &Settings, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if let Err(why) = names::check_member(name(seen.member)) {
        refuse(seen.member, &why, now, &mut plan);
        return plan;
    }
    plan.step(mark(seen.member));
    if seen.namespace.is_some_and(|ns| deleted_at(ns).is_some()) {
        plan.requeue = Some(NAMESPACE_GOING);
        return plan;
    }
    let namespace = names::member_namespace(name(seen.member));
    let step = ensure_namespace(seen, &namespace, &mut plan);
    plan.step(step);
    let step = ensure_role(seen, &namespace, &mut plan);
    plan.step(step);
    let (stale, binding) = ensure_role_binding(seen, &namespace, &mut plan);
    plan.step(stale);
    let internal = ensure_internal(seen, &namespace, &mut plan);
    plan.step(binding.into_iter().chain(internal));
    let step = status(seen, settings, now, &mut plan);
    plan.step(step);
    plan
}

/// No namespace can be made for a member of this name, so that nothing is made and the member says why.
fn refuse(member: &Value, why: &str, now: Timestamp, plan: &mut Plan) {
    let mut draft = Draft::of(member, now);
    if draft.not_ready_to_join(why) {
        warning(plan, member, warnings::INVALID_NAME, why);
    }
    plan.step(draft.write(member));
}

/// The finalizer and the label that users select clusters by.
fn mark(member: &Value) -> Option<Write> {
    let mut metadata = serde_json::Map::new();
    let mut wanted = finalizers(member);
    if !wanted.contains(&fin::MEMBER_CLUSTER) {
        wanted.push(fin::MEMBER_CLUSTER);
        metadata.insert("finalizers".to_owned(), json!(wanted));
    }
    let labelled = member
        .pointer("/metadata/labels")
        .and_then(|all| all.get(labels::MEMBER_NAME));
    if labelled.and_then(Value::as_str) != Some(name(member)) {
        metadata.insert("labels".to_owned(), json!({ labels::MEMBER_NAME: name(member) }));
    }
    (!metadata.is_empty()).then(|| patch_bound(kinds::MEMBER_CLUSTER, member, json!({ "metadata": metadata })))
}

/// Nothing but the label is ever corrected on a namespace that exists.
fn ensure_namespace(seen: &Seen<'_>, namespace: &str, plan: &mut Plan) -> Option<Write> {
    let target = Target::new(kinds::NAMESPACE, None, namespace);
    let Some(found) = seen.namespace else {
        event(
            plan,
            seen.member,
            events::NAMESPACE_CREATED,
            format!("The namespace {namespace:?} was created."),
        );
        let object = json!({
            "apiVersion": kinds::NAMESPACE.api_version(),
            "kind": kinds::NAMESPACE.kind,
            "metadata": {
                "name": namespace,
                "labels": { labels::IS_FLEET_RESOURCE: "true" },
                "ownerReferences": owner(seen.member),
            },
        });
        return Some(Write::Create { target, object });
    };
    let labelled = found
        .pointer("/metadata/labels")
        .and_then(|all| all.get(labels::IS_FLEET_RESOURCE));
    if labelled.and_then(Value::as_str) == Some("true") {
        return None;
    }
    event(
        plan,
        seen.member,
        events::NAMESPACE_PATCHED,
        format!("The namespace {namespace:?} was labelled."),
    );
    let body = json!({ "metadata": { "labels": { labels::IS_FLEET_RESOURCE: "true" } } });
    Some(Write::MergePatch {
        target,
        body,
        status: false,
        resource_version: None,
    })
}

fn ensure_role(seen: &Seen<'_>, namespace: &str, plan: &mut Plan) -> Option<Write> {
    let role = names::member_role(name(seen.member));
    let target = Target::new(kinds::ROLE, Some(namespace), &role);
    let Some(found) = seen.role else {
        event(
            plan,
            seen.member,
            events::ROLE_CREATED,
            format!("The role {role:?} was created."),
        );
        let object = json!({
            "apiVersion": kinds::ROLE.api_version(),
            "kind": kinds::ROLE.kind,
            "metadata": { "name": role, "namespace": namespace, "ownerReferences": owner(seen.member) },
            "rules": rules(),
        });
        return Some(Write::Create { target, object });
    };
    if found.get("rules") == Some(&rules()) {
        return None;
    }
    event(
        plan,
        seen.member,
        events::ROLE_UPDATED,
        format!("The rules of the role {role:?} were set right."),
    );
    Some(Write::MergePatch {
        target,
        body: json!({ "rules": rules() }),
        status: false,
        resource_version: None,
    })
}

/// What a member agent may do, in its own namespace only.
fn rules() -> Value {
    json!([
        { "apiGroups": [groups::CLUSTER], "resources": ["*"], "verbs": ["*"] },
        { "apiGroups": [groups::PLACEMENT], "resources": ["*"], "verbs": ["*"] },
        { "apiGroups": [groups::NETWORKING], "resources": ["*"], "verbs": ["*"] },
        { "apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "update", "patch", "watch", "create"] },
    ])
}

/// A role reference cannot be changed, so a binding to another role is deleted first.
/// Returns the deletion and the write that follows it.
fn ensure_role_binding(seen: &Seen<'_>, namespace: &str, plan: &mut Plan) -> (Option<Write>, Option<Write>) {
    let member = seen.member;
    let binding = names::member_role_binding(name(member));
    let target = Target::new(kinds::ROLE_BINDING, Some(namespace), &binding);
    let subjects = json!([subject(member)]);
    let role = json!({
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": names::member_role(name(member)),
    });
    let create = |target: Target| Write::Create {
        target,
        object: json!({
            "apiVersion": kinds::ROLE_BINDING.api_version(),
            "kind": kinds::ROLE_BINDING.kind,
            "metadata": { "name": binding, "namespace": namespace, "ownerReferences": owner(member) },
            "subjects": subjects,
            "roleRef": role,
        }),
    };
    let Some(found) = seen.role_binding else {
        event(
            plan,
            member,
            events::ROLE_BINDING_CREATED,
            format!("The role binding {binding:?} was created."),
        );
        return (None, Some(create(target)));
    };
    if found.get("roleRef") != Some(&role) {
        event(
            plan,
            member,
            events::ROLE_BINDING_UPDATED,
            format!("The role binding {binding:?} was made anew."),
        );
        let uid = Some(text(found, "/metadata/uid").to_owned()).filter(|uid| !uid.is_empty());
        return (
            Some(Write::Delete {
                target: target.clone(),
                uid,
            }),
            Some(create(target)),
        );
    }
    if found.get("subjects") == Some(&subjects) {
        return (None, None);
    }
    event(
        plan,
        member,
        events::ROLE_BINDING_UPDATED,
        format!("The subjects of {binding:?} were set right."),
    );
    let body = json!({ "subjects": subjects });
    (
        None,
        Some(Write::MergePatch {
            target,
            body,
            status: false,
            resource_version: None,
        }),
    )
}

/// The identity of the member agent as the API server stores subjects: with the group that it fills in for users.
fn subject(member: &Value) -> Value {
    let mut subject = member.pointer("/spec/identity").cloned().unwrap_or_default();
    if let Some(fields) = subject.as_object_mut() {
        fields.retain(|_, v| !v.is_null() && v.as_str() != Some(""));
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
        if matches!(kind, "User" | "Group") && !fields.contains_key("apiGroup") {
            fields.insert("apiGroup".to_owned(), json!("rbac.authorization.k8s.io"));
        }
    }
    subject
}

fn ensure_internal(seen: &Seen<'_>, namespace: &str, plan: &mut Plan) -> Option<Write> {
    let member = seen.member;
    let target = Target::new(kinds::INTERNAL_MEMBER_CLUSTER, Some(namespace), name(member));
    // The schema's default stands in for an object that was stored before the default existed.
    let period = member
        .pointer("/spec/heartbeatPeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(60);
    let spec = json!({ "state": "Join", "heartbeatPeriodSeconds": period });
    let Some(found) = seen.internal else {
        event(
            plan,
            member,
            events::INTERNAL_MEMBER_CLUSTER_CREATED,
            "The internal member cluster was created.",
        );
        let object = json!({
            "apiVersion": kinds::INTERNAL_MEMBER_CLUSTER.api_version(),
            "kind": kinds::INTERNAL_MEMBER_CLUSTER.kind,
            "metadata": { "name": name(member), "namespace": namespace, "ownerReferences": owner(member) },
            "spec": spec,
        });
        return Some(Write::Create { target, object });
    };
    if found.get("spec") == Some(&spec) {
        return None;
    }
    let note = "The specification of the internal member cluster was set right.";
    event(plan, member, events::INTERNAL_MEMBER_CLUSTER_SPEC_UPDATED, note);
    Some(Write::MergePatch {
        target,
        body: json!({ "spec": spec }),
        status: false,
        resource_version: None,
    })
}

/// Warnings about the MemberCluster that hold until somebody acts.
fn standing(plan: &mut Plan, member: &Value, reason: &'static str, notes: Vec<String>) {
    let generation = member.pointer("/metadata/generation").and_then(Value::as_i64);
    plan.standing.extend(notes.into_iter().map(|note| Standing {
        event: about(member, true, reason, note),
        generation: generation.unwrap_or_default(),
    }));
}

/// The status reflects the internal record as it was read, so a member that was just prepared is neither joined nor left yet.
fn status(seen: &Seen<'_>, settings: &Settings, now: Timestamp, plan: &mut Plan) -> Option<Write> {
    let member = seen.member;
    let mut draft = Draft::of(member, now);
    let joined = seen.internal.map(|internal| {
        let left_out = draft.copy_from(internal);
        standing(plan, member, warnings::INVALID_CLUSTER_PROPERTY, left_out);
        draft.joined(&settings.expected_agents)
    });
    // A cluster that has left is not ready until its agents report again.
    if joined != Some(Joined::False) && draft.ready_to_join() {
        event(
            plan,
            member,
            reasons::MEMBER_CLUSTER_READY_TO_JOIN,
            "member cluster ready to join",
        );
    }
    if let Some(joined) = joined {
        announce(member, &mut draft, joined, plan);
    }
    draft.write(member)
}

/// Writes the Joined condition; a flip of the Joined condition has an event and a counter.
pub(super) fn announce(member: &Value, draft: &mut Draft, joined: Joined, plan: &mut Plan) {
    if !draft.record(joined) {
        return;
    }
    match joined {
        Joined::True => {
            event(plan, member, reasons::MEMBER_CLUSTER_JOINED, "member cluster joined");
            plan.facts.push(Counter::Join);
        }
        Joined::False => {
            event(plan, member, reasons::MEMBER_CLUSTER_JOINED, "member cluster left");
            plan.facts.push(Counter::Leave);
        }
        Joined::Unknown => {
            warning(
                plan,
                member,
                reasons::MEMBER_CLUSTER_JOIN_STATE_UNKNOWN,
                "member cluster join state unknown",
            );
        }
    }
}
