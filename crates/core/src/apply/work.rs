//! A Work as the member agent reads it.

use api::placement::v1beta1::{AppliedResourceMeta, WorkStatus};
use api::text::{annotations, finalizers};
use serde::Deserialize;
use serde_json::Value;

use super::strategy::Strategy;
use super::work_group::{ObjectSet, WorkGroup};
use crate::meta;

/// What a pass needs of a Work. Unknown words of its strategy are kept, because they end as failures of manifests.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Name; the AppliedWork has the same.
    pub name: String,
    /// The member's namespace on the hub.
    pub namespace: String,
    /// Identity of this incarnation.
    pub uid: String,
    /// Version of the spec.
    pub generation: i64,
    /// Version of the whole object.
    pub resource_version: String,
    /// Whether its deletion was requested.
    pub is_deleting: bool,
    /// When its deletion was requested.
    pub deleted: Option<jiff::Timestamp>,
    /// All finalizers.
    pub finalizers: Vec<String>,
    /// Whether the placed objects stay behind when it is deleted.
    pub abandon: bool,
    /// What to apply.
    pub manifests: Vec<Value>,
    /// The objects of the manifests; kept where the manifests are not.
    pub objects: ObjectSet,
    /// The placement that it belongs to, if any.
    pub group: Option<WorkGroup>,
    /// How to apply it.
    pub strategy: Strategy,
    /// Whether the status of placed objects is reported back.
    pub mirror: bool,
    /// Size of the Work without its status, in bytes of JSON.
    pub size: usize,
    /// What was reported last.
    pub status: WorkStatus,
}

/// A Work or AppliedWork that does not have the shape of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The {kind} {name:?} cannot be read: {cause}.")]
pub struct Unreadable {
    /// Kind of the object.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub cause: String,
}

impl Work {
    /// Reads a Work.
    ///
    /// # Errors
    /// When its status or finalizers do not have the shape of the API.
    pub fn decode(mut object: Value) -> Result<Self, Unreadable> {
        let text = |path: &str| meta::text(&object, path).to_owned();
        let (name, namespace, uid) = (
            text("/metadata/name"),
            text("/metadata/namespace"),
            text("/metadata/uid"),
        );
        let resource_version = text("/metadata/resourceVersion");
        let generation = object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let is_deleting = object
            .pointer("/metadata/deletionTimestamp")
            .is_some_and(|time| !time.is_null());
        let deleted = text("/metadata/deletionTimestamp").parse().ok();
        let finalizers = object
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let finalizers = finalizers.filter_map(Value::as_str).map(str::to_owned).collect();
        let abandon = object
            .pointer("/metadata/annotations")
            .and_then(|all| all.get(annotations::ABANDON_ON_DELETE))
            .is_some_and(|value| value == "true");
        let strategy = Strategy::decode(object.pointer("/spec/applyStrategy"));
        let mirror = object
            .pointer("/spec/reportBackStrategy/type")
            .is_some_and(|word| word == "Mirror");
        let status = object
            .as_object_mut()
            .and_then(|root| root.remove("status"))
            .unwrap_or(Value::Null);
        let status = Option::<WorkStatus>::deserialize(status).map_err(|err| Unreadable {
            kind: "Work",
            name: name.clone(),
            cause: err.to_string(),
        })?;
        let size = json_size(&object);
        let group = WorkGroup::of(&object);
        let manifests = match object.pointer_mut("/spec/workload/manifests").map(Value::take) {
            Some(Value::Array(manifests)) => manifests,
            _ => Vec::new(),
        };
        Ok(Self {
            name,
            namespace,
            uid,
            generation,
            resource_version,
            is_deleting,
            deleted,
            finalizers,
            abandon,
            objects: ObjectSet::of(&manifests),
            manifests,
            group,
            strategy,
            mirror,
            size,
            status: status.unwrap_or_default(),
        })
    }

    /// Whether the member agent still has to clean up before the Work may go.
    pub fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|name| name == finalizers::WORK)
    }
}

/// An AppliedWork as a pass needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppliedWork {
    /// Name; the same as the Work's.
    pub name: String,
    /// Identity of this incarnation.
    pub uid: String,
    /// When its deletion was requested.
    pub deleted: Option<jiff::Timestamp>,
    /// What it says is applied.
    pub applied: Vec<AppliedResourceMeta>,
    /// Objects that it owns or is about to own, whatever its status says.
    pub held: Vec<AppliedResourceMeta>,
}

/// Annotation of an AppliedWork: objects that are about to be applied, or that it owns while a strategy only reports
/// (member-behaviour 4.6).
pub const HELD_ANNOTATION: &str = "kubernetes-fleet.io/held-resources";

impl AppliedWork {
    /// Reads an AppliedWork.
    ///
    /// # Errors
    /// When its status does not have the shape of the API.
    pub fn decode(object: &Value) -> Result<Self, Unreadable> {
        let text = |path: &str| meta::text(object, path).to_owned();
        let name = text("/metadata/name");
        let unreadable = |cause: String| Unreadable {
            kind: "AppliedWork",
            name: name.clone(),
            cause,
        };
        let applied = object.pointer("/status/appliedResources").cloned().unwrap_or_default();
        let applied = Option::<Vec<_>>::deserialize(applied).map_err(|err| unreadable(err.to_string()))?;
        let held = object
            .pointer("/metadata/annotations")
            .and_then(|all| all.get(HELD_ANNOTATION))
            .and_then(Value::as_str);
        let held = held
            .map_or(Ok(Vec::new()), serde_json::from_str)
            .map_err(|err| unreadable(err.to_string()))?;
        Ok(Self {
            uid: text("/metadata/uid"),
            deleted: text("/metadata/deletionTimestamp").parse().ok(),
            applied: applied.unwrap_or_default(),
            held,
            name,
        })
    }
}

/// Length of a value as compact JSON, in bytes.
pub(super) fn json_size<T: serde::Serialize>(value: &T) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting cannot fail, and what is counted came from JSON.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn works_are_read_with_everything_absent_or_null() {
        let work =
            Work::decode(json!({"metadata": {"name": "w", "namespace": "n"}, "spec": {}, "status": null})).unwrap();
        assert_eq!(
            (work.name.as_str(), work.is_deleting, work.manifests.len()),
            ("w", false, 0)
        );
        let work = Work::decode(json!({
            "metadata": {"name": "w", "generation": 3, "deletionTimestamp": "2025-01-01T00:00:00Z",
                "finalizers": ["kubernetes-fleet.io/work-cleanup"],
                "annotations": {"kubernetes-fleet.io/abandon-on-delete": "true"}},
            "spec": {"workload": {"manifests": [{"kind": "A"}]}, "reportBackStrategy": {"type": "Mirror"}},
            "status": {"conditions": null}
        }))
        .unwrap();
        assert!(work.is_deleting && work.has_finalizer() && work.abandon && work.mirror);
        assert_eq!(work.manifests, [json!({"kind": "A"})]);
        assert!(work.size > 200, "manifests count");
        let broken = Work::decode(json!({"metadata": {"name": "w"}, "status": {"conditions": 5}})).unwrap_err();
        assert!(
            broken.to_string().starts_with("The Work \"w\" cannot be read: "),
            "{broken}"
        );
    }

    #[test]
    fn applied_works_remember_what_they_hold() {
        let object = json!({
            "metadata": {"name": "w", "uid": "u", "deletionTimestamp": "2025-01-01T00:00:00Z", "annotations": {
                (HELD_ANNOTATION): r#"[{"ordinal":0,"version":"v1","kind":"ConfigMap","name":"a","uid":"x"}]"#}},
            "status": {"appliedResources": [{"ordinal": 1, "version": "v1", "kind": "Secret", "name": "b", "uid": "y"}]}
        });
        let got = AppliedWork::decode(&object).unwrap();
        assert_eq!(
            (got.applied[0].identifier.name.as_str(), got.held[0].uid.as_str()),
            ("b", "x")
        );
        assert!(got.deleted.is_some());
    }
}
