//! The two faces of events: they are stored as core `Event` and also served as `events.k8s.io/v1`.

use crate::object::as_map;
use serde_json::Value;

/// Field names in the core group and in `events.k8s.io`.
const FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Rewrites a core event for `events.k8s.io/v1`.
pub fn to_events_group(event: &mut Value) {
    rename(
        event,
        "events.k8s.io/v1",
        FIELDS.iter().map(|(core, new)| (*core, *new)),
    );
}

/// Rewrites an event of `events.k8s.io/v1` for storage.
pub fn to_core(event: &mut Value) {
    rename(event, "v1", FIELDS.iter().map(|(core, new)| (*new, *core)));
}

fn rename<'a>(event: &mut Value, api_version: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let map = as_map(event);
    map.insert("apiVersion".into(), api_version.into());
    for (from, to) in pairs {
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_survives_the_round_trip() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "involvedObject": {"name": "x"}, "message": "m", "type": "Normal"});
        let mut event = core.clone();
        to_events_group(&mut event);
        assert_eq!(event["note"], "m");
        assert_eq!(event["regarding"]["name"], "x");
        assert!(event.get("message").is_none());
        to_core(&mut event);
        assert_eq!(event, core);
    }
}
