//! What holds up the deletion of a Work (docs/decisions/0013).

use api::placement::v1beta1::{WorkResourceIdentifier, WorkStatus};
use api::text::conditions::work as types;
use api::text::reasons::work as reasons;
use api::{Condition, ConditionStatus, Time, condition};
use serde_json::Value;

use super::work::Work;

/// Objects that a message names; the others are counted.
const NAMED: usize = 5;

/// Finalizers of an object that it names; the others are counted.
const FINALIZERS: usize = 3;

/// What garbage collectors put on an object while they delete what it owns. They take it off again by themselves.
const OF_GARBAGE_COLLECTORS: [&str; 2] = ["foregroundDeletion", "orphan"];

/// Conditions of a Namespace that say, in the API server's words, why it is not gone yet.
const OF_NAMESPACES: [&str; 4] = [
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
];

/// What holds an object that is being deleted, as part of a sentence. `None` when nothing is known to.
pub fn holder(identifier: &WorkResourceIdentifier, live: &Value) -> Option<String> {
    live.pointer("/metadata/deletionTimestamp")
        .filter(|time| !time.is_null())?;
    let name = full_name(identifier);
    let finalizers = live.pointer("/metadata/finalizers").and_then(Value::as_array);
    let finalizers: Vec<_> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| !OF_GARBAGE_COLLECTORS.contains(name))
        .collect();
    let why = match finalizers.as_slice() {
        [] => namespace_says(identifier, live)?,
        [one] => format!("the finalizer {one}"),
        several => format!("the finalizers {}", listed(several, FINALIZERS)),
    };
    Some(format!("{} {name} by {why}", identifier.kind))
}

fn namespace_says(identifier: &WorkResourceIdentifier, live: &Value) -> Option<String> {
    if identifier.kind != "Namespace" || !identifier.group.is_empty() {
        return None;
    }
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array)?;
    let said = OF_NAMESPACES.iter().find_map(|kind| {
        conditions
            .iter()
            .find(|c| c["type"] == **kind && c["status"] == "True")?
            .get("message")?
            .as_str()
    });
    said.map(|message| format!("what it contains ({})", message.trim_end_matches('.')))
}

/// The status of a Work that is being deleted and waits for these, the parts of [`holder`]. `None` when it says so already,
/// or when nothing is known to hold it.
pub fn blocked(work: &Work, holders: &[String], now: &Time) -> Option<WorkStatus> {
    if holders.is_empty() {
        return None;
    }
    let names: Vec<_> = holders.iter().map(String::as_str).collect();
    let message = format!(
        "The Work is being deleted, and these objects on the member are held: {}. They go when what put a finalizer there \
         takes it off; remove it by hand only where that no longer exists.",
        listed(&names, NAMED)
    );
    said(work, &message, now)
}

/// The status of a Work that is being deleted while other Works of the placement have yet to take these objects, the parts of
/// [`untaken`]. `None` when it says so already, or when there are none.
pub fn waits_for_takers(work: &Work, untaken: &[String], now: &Time) -> Option<WorkStatus> {
    if untaken.is_empty() {
        return None;
    }
    let names: Vec<_> = untaken.iter().map(String::as_str).collect();
    let message = format!(
        "The Work is being deleted, and these objects on the member are still to be taken over by other Works of the \
         placement: {}. The conditions of those Works say what keeps them from it.",
        listed(&names, NAMED)
    );
    said(work, &message, now)
}

/// An object and the Work that is to take it over (`None`: one that the hub has yet to write), as part of a sentence.
pub fn untaken(identifier: &WorkResourceIdentifier, taker: Option<&str>) -> String {
    let object = format!("{} {}", identifier.kind, full_name(identifier));
    match taker {
        Some(taker) => format!("{object} by {taker}"),
        None => format!("{object} by one that the hub has yet to write"),
    }
}

fn full_name(identifier: &WorkResourceIdentifier) -> String {
    match identifier.namespace.as_str() {
        "" => identifier.name.clone(),
        namespace => format!("{namespace}/{}", identifier.name),
    }
}

/// The status with a message of what holds the deletion up; `None` when it says so already.
fn said(work: &Work, message: &str, now: &Time) -> Option<WorkStatus> {
    let mut status = work.status.clone();
    for kind in [types::AVAILABLE, types::DIFF_REPORTED] {
        condition::remove(&mut status.conditions, kind);
    }
    let said = Condition::new(
        types::APPLIED,
        ConditionStatus::False,
        reasons::DELETION_BLOCKED,
        message,
        work.generation,
        now.clone(),
    );
    condition::set(&mut status.conditions, said);
    (status != work.status).then_some(status)
}

/// The first few, and how many more there are.
fn listed(all: &[&str], most: usize) -> String {
    let named = all.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(most) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn now() -> Time {
        serde_json::from_value(json!("2025-01-01T00:00:00Z")).unwrap()
    }

    fn identifier(kind: &str, namespace: &str, name: &str) -> WorkResourceIdentifier {
        serde_json::from_value(
            json!({"ordinal": 0, "version": "v1", "kind": kind, "namespace": namespace, "name": name}),
        )
        .unwrap()
    }

    fn going(finalizers: &[&str]) -> Value {
        json!({"metadata": {"deletionTimestamp": "2025-01-01T00:00:00Z", "finalizers": finalizers}})
    }

    #[test]
    fn finalizers_and_contents_hold_objects() {
        let namespace = identifier("Namespace", "", "app");
        let holds = |live: &Value| holder(&namespace, live);
        assert_eq!(
            holds(&going(&["x.io/hold"])).unwrap(),
            "Namespace app by the finalizer x.io/hold"
        );
        assert_eq!(
            holds(&going(&["a", "b", "orphan", "c", "d"])).unwrap(),
            "Namespace app by the finalizers a, b, c, and 1 more"
        );
        assert_eq!(
            holds(&going(&["foregroundDeletion"])),
            None,
            "the garbage collector is at work"
        );
        assert_eq!(
            holds(&json!({"metadata": {"finalizers": ["x.io/hold"]}})),
            None,
            "it is not being deleted"
        );
        let mut full = going(&[]);
        full["status"]["conditions"] = json!([
            {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: pods."},
            {"type": "NamespaceFinalizersRemaining", "status": "False", "message": "No."},
        ]);
        assert_eq!(
            holds(&full).unwrap(),
            "Namespace app by what it contains (Some resources are remaining: pods)"
        );
        let config = identifier("ConfigMap", "app", "a");
        assert_eq!(
            holder(&config, &going(&["x"])).unwrap(),
            "ConfigMap app/a by the finalizer x"
        );
        assert_eq!(holder(&config, &full), None);
    }

    #[test]
    fn it_is_said_once_and_names_a_few_objects() {
        let mut work = Work::decode(json!({"metadata": {"name": "w", "generation": 2}, "status": {"conditions": [
            {"type": "Applied", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"},
            {"type": "Available", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"},
        ]}}))
        .unwrap();
        assert_eq!(blocked(&work, &[], &now()), None);
        let holders: Vec<_> = (0..7)
            .map(|n| format!("ConfigMap app/{n} by the finalizer x"))
            .collect();
        work.status = blocked(&work, &holders, &now()).unwrap();
        let said = &work.status.conditions[0];
        assert_eq!((said.reason.as_str(), said.observed_generation), ("DeletionBlocked", 2));
        assert!(
            said.message.contains("app/4 by the finalizer x, and 2 more. They go"),
            "{}",
            said.message
        );
        assert_eq!(work.status.conditions.len(), 1, "it is no longer available");
        assert_eq!(blocked(&work, &holders, &now()), None, "nothing has changed");
        assert!(blocked(&work, &holders[1..], &now()).is_some());
    }

    #[test]
    fn objects_that_others_are_to_take_are_named_with_these() {
        let mut work = Work::decode(json!({"metadata": {"name": "w", "generation": 2}})).unwrap();
        assert_eq!(waits_for_takers(&work, &[], &now()), None);
        let objects = [
            untaken(&identifier("ConfigMap", "app", "a"), Some("crp-0")),
            untaken(&identifier("Namespace", "", "app"), None),
        ];
        work.status = waits_for_takers(&work, &objects, &now()).unwrap();
        let said = &work.status.conditions[0];
        assert_eq!(said.reason, "DeletionBlocked");
        assert!(
            said.message
                .contains(": ConfigMap app/a by crp-0, Namespace app by one that the hub has yet to write. The"),
            "{}",
            said.message
        );
        assert_eq!(waits_for_takers(&work, &objects, &now()), None, "nothing has changed");
    }
}
