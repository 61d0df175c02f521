//! The leave path (hub-behaviour 1.6): request that the member leaves, then remove what the hub kept for it.

use std::time::Duration;

use api::kinds;
use api::names;
use api::text::finalizers as fin;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::join::announce;
use super::status::{Draft, Joined};
use super::{Plan, Seen, Settings, deleted_at, finalizers, name, patch_bound, text};
use crate::effects::{Target, Write};
use crate::problem::Problem;

/// How soon to check a namespace that is being deleted; its end is an event as well.
const NAMESPACE_GOING: Duration = Duration::from_secs(1);
/// A namespace that takes longer than this to go away needs a person.
const NAMESPACE_STUCK: SignedDuration = SignedDuration::from_mins(15);

pub(super) fn plan(seen: &Seen<'_>, settings: &Settings, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if !finalizers(seen.member).contains(&fin::MEMBER_CLUSTER) {
        return plan;
    }
    let namespace = names::member_namespace(name(seen.member));
    let Some(found) = seen.namespace else {
        plan.step([release(seen.member)]);
        return plan;
    };
    if let Some(since) = deleted_at(found) {
        // Works that came into being after the first sweep would hold the namespace for ever.
        plan.step(strip_works(seen, &namespace));
        plan.requeue = Some(NAMESPACE_GOING);
        if now.duration_since(since) > NAMESPACE_STUCK {
            plan.problems.push(Problem::unexpected(format!(
                "The namespace {namespace:?} of the leaving member cluster {:?} has been terminating since {since}.",
                name(seen.member)
            )));
        }
        return plan;
    }
    let Some(internal) = seen.internal else {
        collect(seen, &namespace, found, &mut plan);
        return plan;
    };
    ask_to_leave(seen, settings, now, internal, found, &mut plan);
    plan
}

/// Waits for the member's answer, but not longer than the settings allow.
fn ask_to_leave(
    seen: &Seen<'_>,
    settings: &Settings,
    now: Timestamp,
    internal: &Value,
    namespace: &Value,
    plan: &mut Plan,
) {
    let member = seen.member;
    let mut draft = Draft::of(member, now);
    // What cannot be copied was reported while the member was there.
    draft.copy_from(internal);
    let joined = draft.joined(&settings.expected_agents);
    announce(member, &mut draft, joined, plan);
    let status = draft.write(member);
    if joined == Joined::False {
        collect(seen, name(namespace), namespace, plan);
        plan.step(status);
        return;
    }
    let requested = text(internal, "/spec/state") == "Leave";
    let waited = deleted_at(member).map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    let left = settings
        .force_delete_wait
        .saturating_sub(Duration::try_from(waited).unwrap_or_default());
    if requested && left.is_zero() {
        collect(seen, name(namespace), namespace, plan);
        return;
    }
    if !requested {
        let target = Target::new(kinds::INTERNAL_MEMBER_CLUSTER, Some(name(namespace)), name(member));
        let body = json!({ "spec": { "state": "Leave" } });
        plan.step([Write::MergePatch {
            target,
            body,
            status: false,
            resource_version: None,
        }]);
    }
    plan.step(status);
    plan.requeue = Some(left.max(NAMESPACE_GOING));
}

/// Removes the member's namespace. Works lose their finalizers first: their agent no longer answers for them,
/// and what it placed stays on the member.
fn collect(seen: &Seen<'_>, namespace: &str, found: &Value, plan: &mut Plan) {
    plan.step(strip_works(seen, namespace));
    let uid = Some(text(found, "/metadata/uid").to_owned()).filter(|uid| !uid.is_empty());
    plan.step([Write::Delete {
        target: Target::new(kinds::NAMESPACE, None, namespace),
        uid,
    }]);
    plan.requeue = Some(NAMESPACE_GOING);
}

fn strip_works(seen: &Seen<'_>, namespace: &str) -> Vec<Write> {
    seen.held_works
        .iter()
        .map(|work| Write::MergePatch {
            target: Target::new(kinds::WORK, Some(namespace), work),
            body: json!({ "metadata": { "finalizers": null } }),
            status: false,
            resource_version: None,
        })
        .collect()
}

fn release(member: &Value) -> Write {
    let rest: Vec<_> = finalizers(member)
        .into_iter()
        .filter(|f| *f != fin::MEMBER_CLUSTER)
        .collect();
    patch_bound(
        kinds::MEMBER_CLUSTER,
        member,
        json!({ "metadata": { "finalizers": rest } }),
    )
}
