//! How objects of a payload are marked, and what the marks say.

use api::multicluster::names::{field_manager, label_value};
use api::text::multicluster::{annotations, labels};
use serde_json::{Value, json};

use super::inventory::Entry;
use super::object::text;
use super::resolve::Object;
use crate::member::MemberId;

/// The MultiCluster, and the member, on whose behalf objects are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Namespace of the MultiCluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Identity of the member.
    pub member: MemberId,
}

impl Owner {
    /// The field manager that applies.
    pub fn manager(&self) -> String {
        field_manager(&self.namespace, &self.name)
    }

    /// Whether an object's marks say that this member created it or took it over.
    ///
    /// Marks of another member come with manifests that were copied from its cluster; they say nothing here.
    pub(super) fn owns(&self, live: &Value) -> bool {
        let label = |key: &str| live["metadata"]["labels"][key].as_str();
        label(labels::NAME) == Some(&label_value(&self.name))
            && label(labels::NAMESPACE) == Some(&label_value(&self.namespace))
            && annotation(live, annotations::MEMBER_ID) == Some(self.member.as_str())
            && annotation(live, annotations::SHARED).is_none()
    }

    /// Whether this member's applies own anything of an object.
    pub(super) fn manages(&self, live: &Value) -> bool {
        let manager = self.manager();
        let fields = live.pointer("/metadata/managedFields").and_then(Value::as_array);
        let ours = |entry: &Value| text(entry, "/manager") == manager && text(entry, "/operation") == "Apply";
        fields.into_iter().flatten().any(ours)
    }

    /// The object as it is applied. A `uid` is a precondition: no other object of that name is written.
    pub(super) fn intent(&self, object: &Object, hash: &str, term: u64, shared: bool, uid: Option<&str>) -> Value {
        let mut body = object.manifest.clone();
        let metadata = &mut body["metadata"];
        if let Some(uid) = uid {
            metadata["uid"] = uid.into();
        }
        metadata["labels"][labels::NAME] = label_value(&self.name).into();
        metadata["labels"][labels::NAMESPACE] = label_value(&self.namespace).into();
        let marks = &mut metadata["annotations"];
        marks[annotations::TERM] = term.to_string().into();
        marks[annotations::MEMBER_ID] = self.member.as_str().into();
        marks[annotations::PAYLOAD_HASH] = hash.into();
        if shared {
            marks[annotations::SHARED] = "true".into();
        }
        body
    }
}

/// What gives up all fields of an object when it is applied.
pub(super) fn empty_intent(entry: &Entry, uid: &str) -> Value {
    let mut metadata = json!({ "name": entry.name, "uid": uid });
    if let Some(namespace) = &entry.namespace {
        metadata["namespace"] = namespace.as_str().into();
    }
    json!({ "apiVersion": entry.resource.api_version(), "kind": entry.resource.kind, "metadata": metadata })
}

/// Whether an object was applied in a newer term than `term`.
pub(super) fn outranks(live: &Value, term: u64) -> bool {
    let theirs = annotation(live, annotations::TERM).and_then(|text| text.parse::<u64>().ok());
    theirs.is_some_and(|theirs| theirs > term)
}

fn annotation<'a>(live: &'a Value, key: &str) -> Option<&'a str> {
    live["metadata"]["annotations"][key].as_str()
}
