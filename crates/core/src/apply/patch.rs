//! The patch of a client-side apply, and what conflicts of a server-side apply say (member-behaviour 4.10).

use api::text::managers;
use serde_json::{Map, Value};

use super::owners::field;
use super::ownership;
use super::request::PatchFormat;

/// What a client-side apply has to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The object is as wanted.
    Nothing,
    /// This patch.
    Patch {
        /// Kind of patch.
        format: PatchFormat,
        /// The patch.
        body: Value,
        /// Whether it carries over fields that we held as applier, and fails when somebody wrote in between.
        carries_over: bool,
    },
}

/// Whether patches of the kind merge lists by their keys, because it is built into Kubernetes' own clients.
pub fn merges_lists(object: &Value) -> bool {
    merge::strategic::is_client_go_kind(field(object, "apiVersion"), field(object, "kind"))
}

/// The three-way patch from what was applied last and what is live to `wanted`.
///
/// # Errors
/// When the manifest does not have the shape that its kind requires, in words.
pub fn client_side(wanted: &Value, live: &Value, guarded: bool) -> Result<Change, String> {
    let original = ownership::last_applied(live);
    let wanted = &ownership::with_kept_fields(wanted, &original, live);
    let (format, mut body) = if merges_lists(wanted) {
        let (api_version, kind) = (field(wanted, "apiVersion"), field(wanted, "kind"));
        let body =
            merge::strategic::three_way(api_version, kind, &original, wanted, live).map_err(|e| e.to_string())?;
        (PatchFormat::Strategic, body)
    } else {
        (PatchFormat::Merge, merge::three_way_json(&original, wanted, live))
    };
    if changes_identity(&body) {
        return Err("the patch would change the object's identity".to_owned());
    }
    let carried = ownership::with_client_side(wanted, live);
    if body.as_object().is_none_or(Map::is_empty) && carried.is_none() {
        return Ok(Change::Nothing);
    }
    let carries_over = carried.is_some();
    if let Some(carried) = carried {
        body = merge::merge_patch(&body, &carried);
    } else if guarded {
        guard(&mut body, live);
    }
    pin(&mut body, live);
    Ok(Change::Patch {
        format,
        body,
        carries_over,
    })
}

/// Puts the live object's version into a patch, so that it fails when somebody wrote in between.
pub fn guard(body: &mut Value, live: &Value) {
    copy_metadata(body, live, "resourceVersion");
}

/// Puts the live object's uid into a patch, so that it fails when the object was deleted and created anew in between:
/// the new one need not be ours.
pub fn pin(body: &mut Value, live: &Value) {
    copy_metadata(body, live, "uid");
}

fn copy_metadata(body: &mut Value, live: &Value, field: &str) {
    let found = live.get("metadata").and_then(|metadata| metadata.get(field));
    let (Some(found), Some(body)) = (found, body.as_object_mut()) else {
        return;
    };
    let metadata = body.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert(field.to_owned(), found.clone());
    }
}

/// Whether every conflict that a server-side apply met is with ourselves, read from the server's message.
pub fn conflicts_only_with_us(message: &str) -> bool {
    let mut rest = message;
    let mut found = false;
    while let Some(at) = rest.find(" with \"") {
        rest = &rest[at + " with \"".len()..];
        let Some(end) = rest.find('"') else { return false };
        if &rest[..end] != managers::WORK_AGENT {
            return false;
        }
        found = true;
        rest = &rest[end..];
    }
    found
}

fn changes_identity(patch: &Value) -> bool {
    ["/apiVersion", "/kind", "/metadata/name"]
        .iter()
        .any(|path| patch.pointer(path).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::owners::Owner;
    use crate::apply::prepare::prepare;
    use serde_json::json;

    fn prepared(manifest: &Value) -> Value {
        prepare(
            manifest,
            "h",
            &Owner {
                name: "w".into(),
                uid: "u".into(),
            },
            true,
        )
        .body
    }

    #[test]
    fn three_ways_for_both_families_of_kinds() {
        for (api_version, kind, format) in [
            ("v1", "ConfigMap", PatchFormat::Strategic),
            ("x/v1", "Odd", PatchFormat::Merge),
        ] {
            let manifest =
                |data: Value| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "data": data});
            let mut live = prepared(&manifest(json!({"a": "1", "b": "2"})));
            live["data"]["foreign"] = json!("kept");
            live["metadata"]["resourceVersion"] = json!("7");
            live["metadata"]["uid"] = json!("x");
            assert_eq!(
                client_side(&prepared(&manifest(json!({"a": "1", "b": "2"}))), &live, true),
                Ok(Change::Nothing),
                "{kind}"
            );
            let Change::Patch { format: got, body, .. } =
                client_side(&prepared(&manifest(json!({"a": "3"}))), &live, true).unwrap()
            else {
                panic!("{kind}: a change needs a patch");
            };
            assert_eq!((got, &body["data"]), (format, &json!({"a": "3", "b": null})), "{kind}");
            let metadata = &body["metadata"];
            assert_eq!(
                (&metadata["resourceVersion"], &metadata["uid"]),
                (&json!("7"), &json!("x")),
                "{kind}"
            );
        }
    }

    #[test]
    fn conflicts_are_read_from_the_message() {
        let ours = "Apply failed with 1 conflict: conflict with \"work-api-agent\" using apps/v1: .spec.replicas";
        let both = "Apply failed with 2 conflicts: conflicts with \"kubectl\":\n- .a\nconflicts with \"work-api-agent\" using v1:\n- .b";
        assert!(conflicts_only_with_us(ours));
        assert!(!conflicts_only_with_us(both));
        assert!(!conflicts_only_with_us("the object has been modified"));
    }
}
