//! Which overrides name a placement, so that they are looked at when placements of that name come and go.

use std::collections::{BTreeMap, BTreeSet};

use fairway_core::objects::OverrideKind;
use fairway_core::overrides::snapshots::Override;
use kit::ObjectKey;
use parking_lot::Mutex;

/// Keys of overrides by the name of the placement that they give.
#[derive(Debug, Default)]
pub struct NamedPlacements {
    by_name: Mutex<BTreeMap<String, BTreeSet<ObjectKey>>>,
}

/// The name of the placement that an override gives.
pub fn placement_of(over: &Override) -> Option<&str> {
    let placement = match &over.kind {
        OverrideKind::Cluster(spec) => spec.placement.as_ref(),
        OverrideKind::Namespaced(spec) => spec.placement.as_ref(),
    };
    placement.map(|placement| placement.name.as_str())
}

impl NamedPlacements {
    /// Takes a change of an override in.
    pub fn set(&self, key: &ObjectKey, old: Option<&Override>, new: Option<&Override>) {
        let (old, new) = (old.and_then(placement_of), new.and_then(placement_of));
        let mut by_name = self.by_name.lock();
        if let Some(name) = old
            && let Some(keys) = by_name.get_mut(name)
        {
            keys.remove(key);
            if keys.is_empty() {
                by_name.remove(name);
            }
        }
        if let Some(name) = new {
            by_name.entry(name.to_owned()).or_default().insert(key.clone());
        }
    }

    /// The overrides that name a placement.
    pub fn of(&self, name: &str) -> Vec<ObjectKey> {
        let by_name = self.by_name.lock();
        by_name.get(name).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_core::objects::Meta;
    use serde_json::{Value, json};

    #[test]
    fn only_the_name_that_an_override_gives_counts() {
        let over = |placement: Value| {
            let spec = json!({"placement": placement, "resourceSelectors": [], "policy": {"overrideRules": []}});
            Override {
                meta: Meta::default(),
                kind: OverrideKind::Namespaced(serde_json::from_value(spec.clone()).unwrap()),
                spec,
            }
        };
        let (p, q, none) = (
            over(json!({"name": "p"})),
            over(json!({"name": "q"})),
            over(Value::Null),
        );
        let key = ObjectKey::namespaced("app", "o");
        let named = NamedPlacements::default();
        named.set(&key, None, Some(&p));
        assert_eq!((named.of("p"), named.of("q")), (vec![key.clone()], vec![]));
        named.set(&key, Some(&p), Some(&q));
        assert_eq!((named.of("p"), named.of("q")), (vec![], vec![key.clone()]));
        named.set(&key, Some(&q), Some(&none));
        assert!(named.by_name.lock().is_empty());
        named.set(&key, Some(&none), None);
        assert!(named.by_name.lock().is_empty());
    }
}
