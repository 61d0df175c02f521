//! Owner references of placed objects (member-behaviour 1, 4.7, 4.10).

use std::collections::BTreeMap;

use api::RootKind;
use api::placement::v1beta1::AppliedWork;
use serde_json::{Value, json};

/// What the Work of an AppliedWork that owns an object says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkClaim {
    /// It keeps the object.
    Keeps,
    /// It belongs to the same placement and no longer lists the object, so the other Work may take it.
    Yields,
}

/// The AppliedWork that owns what a Work places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Name; the same as the Work's.
    pub name: String,
    /// Identity of this incarnation.
    pub uid: String,
}

impl Owner {
    /// The reference put on every placed object: blocks foreground deletion, is no controller.
    pub fn reference(&self) -> Value {
        json!({
            "apiVersion": AppliedWork::API_VERSION,
            "kind": AppliedWork::KIND,
            "name": self.name,
            "uid": self.uid,
            "blockOwnerDeletion": true,
        })
    }

    /// Whether a reference points at this very AppliedWork.
    pub fn is_in(&self, reference: &Value) -> bool {
        is_applied_work(reference) && field(reference, "name") == self.name && field(reference, "uid") == self.uid
    }

    /// Whether the object is ours, alone or beside others.
    pub fn owns(&self, object: &Value) -> bool {
        references(object).iter().any(|reference| self.is_in(reference))
    }

    /// The references of the object without ours.
    pub fn others(&self, object: &Value) -> Vec<Value> {
        references(object)
            .iter()
            .filter(|reference| !self.is_in(reference))
            .cloned()
            .collect()
    }
}

/// All owner references of an object.
pub fn references(object: &Value) -> &[Value] {
    object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Whether some AppliedWork owns the object.
pub fn has_owner(object: &Value) -> bool {
    references(object).iter().any(is_applied_work)
}

/// Whether a reference points at some AppliedWork; group version and kind must both agree.
pub fn is_applied_work(reference: &Value) -> bool {
    field(reference, "apiVersion") == AppliedWork::API_VERSION && field(reference, "kind") == AppliedWork::KIND
}

/// A text field of a reference.
pub fn field<'a>(reference: &'a Value, name: &str) -> &'a str {
    reference.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The object with another list of owners; an empty list removes the field.
pub fn with_references(object: &Value, references: Vec<Value>) -> Value {
    let mut out = object.clone();
    if let Some(metadata) = out.get_mut("metadata").and_then(Value::as_object_mut) {
        if references.is_empty() {
            metadata.remove("ownerReferences");
        } else {
            metadata.insert("ownerReferences".to_owned(), Value::Array(references));
        }
    }
    out
}

/// Checks whether a manifest may be applied over the live object (member-behaviour 4.10, "owner validation").
///
/// # Errors
/// The sentence that explains which rule forbids it.
pub fn validate(
    manifest: &Value,
    live: Option<&Value>,
    owner: &Owner,
    allow_co_ownership: bool,
) -> Result<(), &'static str> {
    let wanted = references(manifest);
    if !wanted.is_empty() && !allow_co_ownership {
        return Err("manifest is set to have owner references but co-ownership is disallowed");
    }
    if wanted.iter().any(is_applied_work) {
        return Err("an AppliedWork object is unexpectedly added as an owner in the manifest object");
    }
    let Some(live) = live else { return Ok(()) };
    let owners = references(live);
    if owners.len() > 1 && !allow_co_ownership {
        return Err("object is co-owned by multiple objects but co-ownership has been disallowed");
    }
    if !owner.owns(live) {
        return Err("object is not owned by the expected AppliedWork object");
    }
    if owners
        .iter()
        .any(|reference| is_applied_work(reference) && !owner.is_in(reference))
    {
        return Err("object is already owned by another AppliedWork object");
    }
    Ok(())
}

/// What the owner references say about taking over a live object that is not ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It can be ours with this list of owners.
    Free(Vec<Value>),
    /// Somebody else's claim forbids it.
    Taken(&'static str),
}

/// Names of the Works whose AppliedWorks own the object beside `owner`; those that no longer exist on the hub have no claim
/// any more.
pub fn other_works(live: &Value, owner: &Owner) -> Vec<String> {
    let mut names: Vec<String> = references(live)
        .iter()
        .filter(|r| is_applied_work(r) && !owner.is_in(r))
        .map(|r| field(r, "name").to_owned())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The owners of an object that Works of the same placement hand over to `owner`: those who keep it, and `owner`, in one
/// list, so that the object never is without an owner. `None` when nobody hands it over.
///
/// It is ours already, so neither the takeover policy nor the rule about other owners applies (docs/decisions/0009).
pub fn handed_over(live: &Value, owner: &Owner, claims: &BTreeMap<String, WorkClaim>) -> Option<Vec<Value>> {
    let claim = |r: &Value| claims.get(field(r, "name")).copied();
    let works = || {
        references(live)
            .iter()
            .filter(|r| is_applied_work(r) && !owner.is_in(r))
    };
    let yields = works().any(|r| claim(r) == Some(WorkClaim::Yields));
    let is_kept = works().any(|r| claim(r) == Some(WorkClaim::Keeps));
    if !yields || is_kept {
        return None;
    }
    let mut kept: Vec<Value> = references(live)
        .iter()
        .filter(|r| !is_applied_work(r))
        .cloned()
        .collect();
    kept.push(owner.reference());
    Some(kept)
}

/// Decides about a takeover by the owners alone; `exists` says whether a Work of that name is on the hub.
pub fn claim(live: &Value, owner: &Owner, allow_co_ownership: bool, exists: impl Fn(&str) -> bool) -> Claim {
    let mut kept: Vec<Value> = references(live)
        .iter()
        .filter(|r| !is_applied_work(r) || exists(field(r, "name")))
        .cloned()
        .collect();
    if !kept.is_empty() && !allow_co_ownership {
        return Claim::Taken(
            "the object is already owned by some other sources(s) and co-ownership is disallowed by the apply strategy",
        );
    }
    if kept.iter().any(|r| is_applied_work(r) && field(r, "uid") != owner.uid) {
        return Claim::Taken("the object is already owned by another Fleet AppliedWork object");
    }
    kept.push(owner.reference());
    Claim::Free(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            name: "w".into(),
            uid: "u".into(),
        }
    }

    fn foreign() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "f", "uid": "x"})
    }

    fn other_work() -> Value {
        Owner {
            name: "o".into(),
            uid: "v".into(),
        }
        .reference()
    }

    fn owned_by(references: &[Value]) -> Value {
        json!({"metadata": {"ownerReferences": references}})
    }

    #[test]
    fn validation_rules_in_order() {
        let ours = owner().reference();
        let cases: Vec<(Value, Option<Value>, bool, &str)> = vec![
            (json!({}), None, false, ""),
            (owned_by(&[foreign()]), None, false, "manifest is set to have owner"),
            (owned_by(&[foreign()]), None, true, ""),
            (owned_by(&[other_work()]), None, true, "unexpectedly added"),
            (json!({}), Some(owned_by(std::slice::from_ref(&ours))), false, ""),
            (
                json!({}),
                Some(owned_by(&[ours.clone(), foreign()])),
                false,
                "co-owned by multiple",
            ),
            (json!({}), Some(owned_by(&[ours.clone(), foreign()])), true, ""),
            (
                json!({}),
                Some(owned_by(&[foreign()])),
                true,
                "not owned by the expected",
            ),
            (
                json!({}),
                Some(owned_by(&[ours, other_work()])),
                true,
                "already owned by another",
            ),
        ];
        for (manifest, live, allowed, wanted) in cases {
            let got = validate(&manifest, live.as_ref(), &owner(), allowed)
                .err()
                .unwrap_or_default();
            assert!(
                if wanted.is_empty() {
                    got.is_empty()
                } else {
                    got.contains(wanted)
                },
                "{manifest} {live:?}: {got}"
            );
        }
    }

    #[test]
    fn claims() {
        let ours = owner().reference();
        let half = json!({"apiVersion": "v1", "kind": "AppliedWork", "name": "gone", "uid": "z"});
        let free = |list: &[Value]| Claim::Free(list.to_vec());
        let cases = vec![
            (owned_by(&[]), false, free(std::slice::from_ref(&ours))),
            (owned_by(&[foreign()]), true, free(&[foreign(), ours.clone()])),
            (owned_by(std::slice::from_ref(&half)), true, free(&[half, ours.clone()])),
        ];
        for (live, allowed, wanted) in cases {
            assert_eq!(claim(&live, &owner(), allowed, |_| false), wanted, "{live}");
        }
        let taken = |live: Value, allowed, exists: bool| match claim(&live, &owner(), allowed, |_| exists) {
            Claim::Taken(why) => why,
            Claim::Free(_) => "",
        };
        assert!(taken(owned_by(&[foreign()]), false, true).contains("co-ownership is disallowed"));
        assert!(taken(owned_by(&[other_work()]), true, true).contains("another Fleet AppliedWork"));
        assert_eq!(
            taken(owned_by(&[other_work()]), false, false),
            "",
            "the Work of the other owner is gone"
        );
        assert_eq!(
            other_works(
                &owned_by(&[foreign(), other_work(), owner().reference(), other_work()]),
                &owner()
            ),
            ["o"]
        );
    }

    #[test]
    fn an_object_is_handed_over_with_its_foreign_owners_and_never_without_an_owner() {
        let ours = owner().reference();
        let claims = |claim| BTreeMap::from([("o".to_owned(), claim)]);
        let handed_over = |owners: &[Value], claim| handed_over(&owned_by(owners), &owner(), &claims(claim));
        let cases = [
            (vec![other_work()], WorkClaim::Yields, Some(vec![ours.clone()])),
            (
                vec![other_work(), foreign()],
                WorkClaim::Yields,
                Some(vec![foreign(), ours.clone()]),
            ),
            (
                vec![ours.clone(), other_work()],
                WorkClaim::Yields,
                Some(vec![ours.clone()]),
            ),
            (vec![other_work()], WorkClaim::Keeps, None),
            (vec![foreign()], WorkClaim::Yields, None),
            (vec![ours], WorkClaim::Yields, None),
        ];
        for (owners, claim, wanted) in cases {
            assert_eq!(handed_over(&owners, claim), wanted, "{owners:?} {claim:?}");
        }
    }
}
