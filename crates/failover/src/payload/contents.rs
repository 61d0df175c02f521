//! Whether anything of others is in a namespace, or of a kind, that is to be deleted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::inventory::{Inventory, State};
use super::object::{ObjectId, is_terminating, text, uid};
use super::pods::owners;

/// The first object among `contents` that is neither ours, nor owned by ours, nor one that every namespace has.
///
/// Claims that a StatefulSet made have no owner, so that they count as of others: they hold data.
pub(super) fn foreign(contents: &[Value], inventory: &Inventory) -> Option<ObjectId> {
    let mut ours = BTreeSet::new();
    let mut ids = BTreeMap::new();
    for (id, entry) in inventory.entries().filter(|(_, entry)| entry.state == State::Applied) {
        ours.extend(entry.uid.as_deref());
        ids.insert(id, entry.uid.as_deref());
    }
    // Owners come in any order, so that this is repeated until nothing changes.
    loop {
        let before = ours.len();
        for object in contents {
            let (own, mut owners) = (ObjectId::of(object), owners(object).peekable());
            let owned = owners.peek().is_some() && owners.all(|owner| ours.contains(owner));
            let is_ours = ids.get(&own).is_some_and(|known| *known == Some(uid(object)));
            if owned || is_ours || is_terminating(object) || comes_by_itself(&own, object, &ids) {
                ours.insert(uid(object));
            }
        }
        if ours.len() == before {
            break;
        }
    }
    contents
        .iter()
        .find(|object| !ours.contains(uid(object)))
        .map(ObjectId::of)
}

/// Whether the cluster makes an object in every namespace, or for a Service of ours.
fn comes_by_itself(id: &ObjectId, object: &Value, ours: &BTreeMap<&ObjectId, Option<&str>>) -> bool {
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "ConfigMap") => id.name == "kube-root-ca.crt",
        ("", "ServiceAccount") => id.name == "default",
        ("" | "events.k8s.io", "Event") => true,
        ("", "Endpoints") => ours.contains_key(&ObjectId {
            kind: "Service".to_owned(),
            ..id.clone()
        }),
        ("", "Secret") => {
            let account = &object["metadata"]["annotations"]["kubernetes.io/service-account.name"];
            text(object, "/type") == "kubernetes.io/service-account-token" || account.is_string()
        }
        _ => false,
    }
}
