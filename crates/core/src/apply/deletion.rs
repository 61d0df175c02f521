//! What happens to placed objects when their Work goes (member-behaviour 4.13).

use std::time::Duration;

use api::text::annotations;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::owners::{self, Owner};
use super::work::{AppliedWork, Work};

/// The next step of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing of ours holds the Work back.
    Done,
    /// Remove our finalizer: everything is cleaned up.
    RemoveFinalizer,
    /// Delete the AppliedWork in the foreground, so that what it owns goes first.
    DeleteOwner,
    /// Let go of every object, then delete the AppliedWork and orphan what it owned.
    Abandon,
    /// Wait for the garbage collector.
    Wait,
    /// It takes too long: stop blocking on objects that others own too.
    Unblock,
}

/// Decides about a Work that is being deleted. `longest` is how long the garbage collector gets.
pub fn next(work: &Work, applied_work: Option<&AppliedWork>, now: Timestamp, longest: Duration) -> Step {
    if !work.has_finalizer() {
        return Step::Done;
    }
    let Some(applied_work) = applied_work else {
        return Step::RemoveFinalizer;
    };
    match applied_work.deleted {
        None if work.abandon => Step::Abandon,
        None => Step::DeleteOwner,
        Some(since) => {
            if waited(Some(since), now) >= longest {
                Step::Unblock
            } else {
                Step::Wait
            }
        }
    }
}

/// How a deletion waits for other Works of the placement that have yet to take objects over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// Most are over within moments.
    Wait,
    /// The status says which objects are waited for.
    Report,
    /// It takes too long: let go of the objects, so that they stay whether or not they are taken.
    Release,
}

/// After which time a deletion says that it waits for other Works.
const REPORTED_AFTER: Duration = Duration::from_secs(5);

/// Decides about a Work that is being deleted and whose objects are to be taken over. `longest` is how long others get.
pub fn handover(work: &Work, now: Timestamp, longest: Duration) -> Handover {
    let waited = waited(work.deleted, now);
    if waited >= longest {
        Handover::Release
    } else if waited >= REPORTED_AFTER {
        Handover::Report
    } else {
        Handover::Wait
    }
}

/// How long ago something was deleted.
pub fn waited(since: Option<Timestamp>, now: Timestamp) -> Duration {
    let waited = since.and_then(|since| Duration::try_from(now.duration_since(since)).ok());
    waited.unwrap_or_default()
}

/// The object without our reference, for another Work to take; `None` when it is not ours.
pub fn released(live: &Value, owner: &Owner) -> Option<Value> {
    owner
        .owns(live)
        .then(|| owners::with_references(live, owner.others(live)))
}

/// The object with `blockOwnerDeletion: false` on our reference; `None` when it does not block, or nobody else owns it.
pub fn unblocked(live: &Value, owner: &Owner) -> Option<Value> {
    let references = owners::references(live);
    let blocks = |r: &Value| owner.is_in(r) && r.get("blockOwnerDeletion").is_some_and(|flag| flag == true);
    if references.len() < 2 || !references.iter().any(blocks) {
        return None;
    }
    let references = references
        .iter()
        .map(|reference| {
            let mut reference = reference.clone();
            if owner.is_in(&reference) {
                reference["blockOwnerDeletion"] = json!(false);
            }
            reference
        })
        .collect();
    Some(owners::with_references(live, references))
}

/// The object without any trace of us; `None` when it is not ours.
pub fn abandoned(live: &Value, owner: &Owner) -> Option<Value> {
    if !owner.owns(live) {
        return None;
    }
    let mut out = owners::with_references(live, owner.others(live));
    if let Some(all) = out.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        all.remove(annotations::SPEC_HASH);
        all.remove(annotations::LAST_APPLIED);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(finalizer: bool, abandon: bool) -> Work {
        let finalizers = if finalizer {
            json!(["kubernetes-fleet.io/work-cleanup"])
        } else {
            json!(["x"])
        };
        Work::decode(
            json!({"metadata": {"name": "w", "finalizers": finalizers, "deletionTimestamp": "2025-01-01T00:00:00Z",
            "annotations": {"kubernetes-fleet.io/abandon-on-delete": abandon.to_string()}}}),
        )
        .unwrap()
    }

    #[test]
    fn steps() {
        let alive = AppliedWork {
            name: "w".into(),
            uid: "u".into(),
            ..AppliedWork::default()
        };
        let going = AppliedWork {
            deleted: "2025-01-01T00:00:00Z".parse().ok(),
            ..alive.clone()
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (soon, late) = (at("2025-01-01T00:04:59Z"), at("2025-01-01T00:05:00Z"));
        let step = |work: Work, owner: Option<&AppliedWork>, now| next(&work, owner, now, Duration::from_secs(300));
        assert_eq!(step(work(false, false), Some(&alive), soon), Step::Done);
        assert_eq!(step(work(true, false), None, soon), Step::RemoveFinalizer);
        assert_eq!(step(work(true, false), Some(&alive), soon), Step::DeleteOwner);
        assert_eq!(step(work(true, true), Some(&alive), soon), Step::Abandon);
        assert_eq!(step(work(true, true), Some(&going), soon), Step::Wait);
        assert_eq!(step(work(true, false), Some(&going), soon), Step::Wait);
        assert_eq!(step(work(true, false), Some(&going), late), Step::Unblock);
    }

    #[test]
    fn a_deletion_waits_for_takers_then_says_so_and_then_lets_go() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let decide = |now: &str| handover(&work(true, false), at(now), Duration::from_secs(300));
        assert_eq!(decide("2024-12-31T23:59:59Z"), Handover::Wait, "clocks differ");
        assert_eq!(decide("2025-01-01T00:00:04Z"), Handover::Wait);
        assert_eq!(decide("2025-01-01T00:00:05Z"), Handover::Report);
        assert_eq!(decide("2025-01-01T00:04:59Z"), Handover::Report);
        assert_eq!(decide("2025-01-01T00:05:00Z"), Handover::Release);
        let owner = Owner {
            name: "w".into(),
            uid: "u".into(),
        };
        let foreign = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p"});
        let object = json!({"metadata": {"annotations": {"kubernetes-fleet.io/spec-hash": "h"},
            "ownerReferences": [foreign, owner.reference()]}});
        let left = released(&object, &owner).unwrap();
        assert_eq!(left["metadata"]["ownerReferences"], json!([foreign]));
        assert_eq!(
            left["metadata"]["annotations"], object["metadata"]["annotations"],
            "whoever takes it needs them"
        );
        assert_eq!(released(&left, &owner), None);
    }

    #[test]
    fn letting_go() {
        let owner = Owner {
            name: "w".into(),
            uid: "u".into(),
        };
        let foreign = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "p"});
        let alone = json!({"metadata": {"ownerReferences": [owner.reference()]}});
        let shared = json!({"metadata": {"annotations": {"kubernetes-fleet.io/spec-hash": "h", "mine": "x"},
            "ownerReferences": [foreign, owner.reference()]}});
        assert_eq!(
            unblocked(&alone, &owner),
            None,
            "objects of a single owner are never touched"
        );
        let open = unblocked(&shared, &owner).unwrap();
        assert_eq!(open["metadata"]["ownerReferences"][1]["blockOwnerDeletion"], false);
        assert_eq!(unblocked(&open, &owner), None, "once is enough");
        assert_eq!(
            abandoned(&shared, &owner),
            Some(json!({"metadata": {"annotations": {"mine": "x"}, "ownerReferences": [foreign]}}))
        );
        assert_eq!(abandoned(&alone, &owner), Some(json!({"metadata": {}})));
        assert_eq!(
            abandoned(&json!({"metadata": {"ownerReferences": [foreign]}}), &owner),
            None
        );
    }
}
