//! What of an object we wrote before, and how that moves along when the way of applying changes (member-behaviour 4.10).
//!
//! A client-side apply remembers its manifest in an annotation and holds fields as an updater; a server-side apply holds them as
//! an applier. Each removes only what its own record says. So the record is carried over before the other way is taken: between
//! the strategies, and where an object grows beyond what the annotation can hold or shrinks again.

use api::text::{annotations, managers};
use merge::ssa::{Entries, FieldSet, combine};
use serde_json::{Value, json};

use super::owners::field;
use super::prepare::{annotate, annotation, types_of};
use super::secrets::with_encoded_data;

/// The fields that the scale subresource writes; whoever scales an object need not be on record yet.
const REPLICAS: [&str; 2] = ["spec", "replicas"];

/// What we applied last, as far as the object knows: out of the annotation, the fields that we hold as applier, or both.
/// Null when nothing is known.
pub fn last_applied(live: &Value) -> Value {
    let remembered = remembered(live);
    let own = Entries::of(live, managers::WORK_AGENT);
    if own.applied.is_empty() {
        return remembered.unwrap_or_default();
    }
    let applied = own.applied.extract(live);
    match remembered {
        Some(remembered) => combine(&remembered, &applied, types_of(live)),
        None => applied,
    }
}

/// The manifest that the annotation of a client-side apply holds.
fn remembered(live: &Value) -> Option<Value> {
    let text = annotation(live, annotations::LAST_APPLIED)?;
    let manifest: Value = serde_json::from_str(text).ok()?;
    Some(with_encoded_data(&manifest).into_owned())
}

/// The patch that has to come before a server-side apply of `body`: it makes everything that we wrote the applier's. `None` when
/// nothing is to be carried over.
///
/// What was applied before and is named no longer then goes with the apply itself, and so does a branch of a union that the
/// server has filled in and that cannot stay. Replica counts that are given up are let go instead, so that they keep their value.
pub fn before_server_side(body: &Value, live: &Value) -> Option<Value> {
    let own = Entries::of(live, managers::WORK_AGENT);
    // Of what an update wrote, what was in the manifest; defaults of the server are nobody's.
    let updated = match remembered(live) {
        Some(mut manifest) => {
            annotate(&mut manifest, annotations::LAST_APPLIED, String::new());
            own.updated.within(&manifest)
        }
        None => own.updated.clone(),
    };
    let in_the_way = merge::branches_in_the_way(&last_applied(live), body, live, types_of(live));
    let mut applied = own.applied.union(&updated).union(&in_the_way);
    if body.pointer(&pointer(&REPLICAS)).is_none() {
        applied = applied.difference(&FieldSet::of_fields(&[&REPLICAS]));
    }
    if applied == own.applied && own.updated.is_empty() {
        return None;
    }
    let entries = Entries {
        applied,
        ..Entries::default()
    };
    Some(patch(&entries, body, live))
}

/// The part of a patch that has to come with a client-side apply: it makes everything that we hold the updater's. `None` when
/// nothing is to be carried over.
pub fn with_client_side(body: &Value, live: &Value) -> Option<Value> {
    let own = Entries::of(live, managers::WORK_AGENT);
    if own.applied.is_empty() {
        return None;
    }
    let entries = Entries {
        updated: own.applied.union(&own.updated),
        ..Entries::default()
    };
    Some(patch(&entries, body, live))
}

/// `body` with the live value of what it gives up and somebody else works on: replica counts, and fields that others hold (see
/// [`Entries::contested`]). A client-side apply would remove them.
pub fn with_kept_fields(body: &Value, last_applied: &Value, live: &Value) -> Value {
    let own = Entries::of(live, managers::WORK_AGENT);
    let mut kept = own.contested.keep(last_applied, body, live);
    let replicas = pointer(&REPLICAS);
    if let Some(count) = live.pointer(&replicas).filter(|count| count.is_number())
        && last_applied.pointer(&replicas).is_some()
        && body.pointer(&replicas).is_none()
        && let Some(spec) = kept.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.insert(REPLICAS[1].to_owned(), count.clone());
    }
    kept
}

/// A patch of the managed fields. It fails when somebody wrote in between, because it says what others hold as well.
fn patch(entries: &Entries, body: &Value, live: &Value) -> Value {
    let fields = entries.written(live, managers::WORK_AGENT, field(body, "apiVersion"));
    let version = live.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    json!({"metadata": {"managedFields": fields, "resourceVersion": version}})
}

fn pointer(path: &[&str]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}
