//! How important the change of a Work is (member-behaviour 4.1).
//!
//! What people wait for goes first: Works that are new, gone or not yet fine. A fine Work that changes matters less the
//! older it is. Changes on the member have the queue's usual priority, and periodic passes come last.

use std::time::Duration;

use api::condition;
use api::text::conditions::work as types;
use fairway_core::apply::{self, Work};
use jiff::Timestamp;

use super::Item;
use crate::args::Aging;

/// Priority of what somebody waits for.
pub(super) const URGENT: i32 = 100;

/// The priority of a change. What counts is how the Work was before it.
pub(super) fn of_change(old: Option<&Item>, new: Option<&Item>, aging: Aging, now: Timestamp) -> i32 {
    match (old, new) {
        (Some(old), Some(new)) if old.work.uid == new.work.uid && is_fine(&old.work) => {
            let age = new.created.map(|created| now.duration_since(created));
            let age = age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
            apply::aged_priority(aging.per_minute, aging.fresh, age)
        }
        _ => URGENT,
    }
}

/// Whether a Work had nothing left to do at its generation.
fn is_fine(work: &Work) -> bool {
    let holds = |kind| condition::is_true(&work.status.conditions, kind, work.generation);
    if work.strategy.only_reports() {
        holds(types::DIFF_REPORTED)
    } else {
        holds(types::APPLIED) && holds(types::AVAILABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const AGING: Aging = Aging {
        per_minute: -3,
        fresh: 100,
    };

    fn item(uid: &str, strategy: &str, fine: &[&str], observed: i64) -> Item {
        let conditions: Vec<Value> = fine
            .iter()
            .map(|kind| {
                json!({"type": kind, "status": "True", "reason": "R", "message": "", "observedGeneration": observed,
                    "lastTransitionTime": "2025-01-01T00:00:00Z"})
            })
            .collect();
        let object = json!({
            "metadata": {"name": "w", "uid": uid, "generation": 2, "creationTimestamp": "2025-01-01T00:00:00Z"},
            "spec": {"applyStrategy": {"type": strategy}},
            "status": {"conditions": conditions},
        });
        Item::decode(object).unwrap()
    }

    #[test]
    fn what_somebody_waits_for_is_urgent_and_the_rest_ages() {
        let now: Timestamp = "2025-01-01T00:10:59Z".parse().unwrap();
        let apply = |fine: &[&str], observed| item("u", "ClientSideApply", fine, observed);
        let both = ["Applied", "Available"];
        let new = apply(&[], 0);
        let of = |old: Option<&Item>, new: Option<&Item>| of_change(old, new, AGING, now);
        assert_eq!(of(None, Some(&new)), URGENT, "created");
        assert_eq!(of(Some(&apply(&both, 2)), None), URGENT, "deleted");
        assert_eq!(
            of(Some(&item("v", "", &both, 2)), Some(&new)),
            URGENT,
            "another incarnation"
        );
        assert_eq!(of(Some(&apply(&both, 2)), Some(&new)), 70);
        assert_eq!(of(Some(&apply(&both, 1)), Some(&new)), URGENT, "its status is old");
        assert_eq!(of(Some(&apply(&["Applied"], 2)), Some(&new)), URGENT);
        assert_eq!(of(Some(&item("u", "ReportDiff", &["DiffReported"], 2)), Some(&new)), 70);
        assert_eq!(of(Some(&item("u", "ReportDiff", &both, 2)), Some(&new)), URGENT);
    }
}
