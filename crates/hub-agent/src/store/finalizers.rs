//! Which members put finalizers on their Works: their agent has put its own on one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::text::finalizers;
use fairway_core::objects::Work;
use kit::index::Change;
use parking_lot::RwLock;

/// Member namespaces with Works that carry the member agent's finalizer, kept up to date by the handler of the index.
#[derive(Debug, Default)]
pub struct MembersWithFinalizers {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    works: BTreeMap<String, usize>,
    /// The keys of `works`, shared with passes.
    namespaces: Arc<BTreeSet<String>>,
}

impl MembersWithFinalizers {
    /// Follows a change of a Work.
    pub fn apply(&self, change: &Change<Work>) {
        let [before, after] = [&change.old, &change.new].map(|work| work.as_deref().is_some_and(has_finalizer));
        if before == after {
            return;
        }
        let namespace = change.key.namespace.clone().unwrap_or_default();
        let mut state = self.state.write();
        let works = state.works.entry(namespace.clone()).or_default();
        *works = if after { *works + 1 } else { works.saturating_sub(1) };
        let holds = *works > 0;
        if !holds {
            state.works.remove(&namespace);
        }
        if holds != state.namespaces.contains(&namespace) {
            let namespaces = Arc::make_mut(&mut state.namespaces);
            if holds {
                namespaces.insert(namespace);
            } else {
                namespaces.remove(&namespace);
            }
        }
    }

    /// The namespaces.
    pub fn list(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.state.read().namespaces)
    }
}

/// A Work that is going away says nothing: its agent may be gone as well.
fn has_finalizer(work: &Work) -> bool {
    work.meta.has_finalizer(finalizers::WORK) && !work.meta.is_deleting()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::ObjectKey;
    use kit::index::Origin;
    use serde_json::{Value, json};

    fn work(metadata: Value) -> Option<Arc<Work>> {
        Some(Arc::new(Work::from_value(json!({"metadata": metadata})).unwrap()))
    }

    fn change(name: &str, old: Option<Arc<Work>>, new: Option<Arc<Work>>) -> Change<Work> {
        Change {
            key: ObjectKey::namespaced("fleet-member-a", name),
            old,
            new,
            version: String::new(),
            origin: Origin::Watch,
        }
    }

    #[test]
    fn a_member_is_listed_while_one_of_its_works_has_the_finalizer_and_is_not_deleted() {
        let members = MembersWithFinalizers::default();
        let listed = |change| {
            members.apply(&change);
            members.list().contains("fleet-member-a")
        };
        let free = || work(json!({}));
        let held = || work(json!({"finalizers": [finalizers::WORK]}));
        let going = work(json!({"finalizers": [finalizers::WORK], "deletionTimestamp": "2026-01-01T00:00:00Z"}));
        assert!(!listed(change("one", None, free())));
        assert!(listed(change("one", free(), held())));
        assert!(listed(change("two", None, held())));
        assert!(listed(change("one", held(), going.clone())));
        assert!(listed(change("one", going, None)));
        assert!(!listed(change("two", held(), None)));
        assert!(!listed(change(
            "three",
            None,
            work(json!({"finalizers": ["example.com/other"]}))
        )));
    }
}
