//! Which placements care about which change: of a resource, of a member, of an override (hub-behaviour 2.9, 4.2, 5.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::LabelSelector;
use api::condition::ConditionState;
use api::placement::v1beta1::{PlacementType, ResourceSelectorTerm, SelectionScope};
use api::text::conditions::PlacementCondition;
use fairway_core::objects::{Member, OverrideSnapshot, Placement, PlacementKey};
use fairway_core::schedule::{eligible, reads_properties};
use fairway_core::select::Selectable;
use jiff::Timestamp;
use parking_lot::RwLock;

/// All placements with an index of what their selectors name.
#[derive(Debug, Default)]
pub struct Interest {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    placements: BTreeMap<PlacementKey, Arc<Placement>>,
    /// By group and kind that selectors name.
    kinds: BTreeMap<(String, String), KindTerms>,
}

/// Selectors of one kind.
#[derive(Debug, Default)]
struct KindTerms {
    by_name: BTreeMap<String, BTreeMap<PlacementKey, Reach>>,
    by_labels: BTreeMap<PlacementKey, Vec<(Option<LabelSelector>, Reach)>>,
}

/// Whether a selector of namespaces covers what is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    ObjectOnly,
    WithContent,
}

/// Group and kind of namespaces.
const NAMESPACES: (&str, &str) = ("", "Namespace");

impl Interest {
    /// Follows a change of a placement.
    pub fn set(&self, key: &PlacementKey, new: Option<&Arc<Placement>>) {
        let mut state = self.state.write();
        let old = match new {
            Some(new) => state.placements.insert(key.clone(), Arc::clone(new)),
            None => state.placements.remove(key),
        };
        let old_terms = old
            .as_ref()
            .map(|p| p.spec.resource_selectors.as_slice())
            .unwrap_or_default();
        let new_terms = new.map(|p| p.spec.resource_selectors.as_slice()).unwrap_or_default();
        if old_terms == new_terms {
            return;
        }
        for term in old_terms {
            state.forget(key, term);
        }
        for term in new_terms {
            state.learn(key, term);
        }
    }

    /// One placement.
    pub fn placement(&self, key: &PlacementKey) -> Option<Arc<Placement>> {
        self.state.read().placements.get(key).cloned()
    }

    /// Keys of all placements.
    pub fn all(&self) -> Vec<PlacementKey> {
        self.state.read().placements.keys().cloned().collect()
    }

    /// Placements whose selectors name this kind.
    pub fn naming(&self, group: &str, kind: &str) -> BTreeSet<PlacementKey> {
        let state = self.state.read();
        let Some(terms) = state.kinds.get(&(group.to_owned(), kind.to_owned())) else {
            return BTreeSet::new();
        };
        terms
            .by_name
            .values()
            .flat_map(BTreeMap::keys)
            .chain(terms.by_labels.keys())
            .cloned()
            .collect()
    }

    /// Placements that a change of a selectable object concerns. `namespace` is the Namespace object around it, if any.
    pub fn in_object(
        &self,
        old: Option<&Selectable>,
        new: Option<&Selectable>,
        namespace: Option<&Selectable>,
    ) -> BTreeSet<PlacementKey> {
        let mut found = BTreeSet::new();
        let state = self.state.read();
        for object in [old, new].into_iter().flatten() {
            let id = &object.manifest.id;
            let own_namespace = Some(id.namespace.as_str()).filter(|n| !n.is_empty());
            let here = |key: &PlacementKey| match (own_namespace, &key.namespace) {
                (None, owner) => owner.is_none(),
                (Some(own), Some(owner)) => own == owner,
                // A namespaced object is selected by a cluster-scoped placement through its namespace only.
                (Some(_), None) => false,
            };
            state.matching((&id.group, &id.kind), object, |key, _| here(key), &mut found);
            if own_namespace.is_some()
                && let Some(namespace) = namespace
            {
                let covers = |key: &PlacementKey, reach| key.namespace.is_none() && reach == Reach::WithContent;
                state.matching(NAMESPACES, namespace, covers, &mut found);
            }
        }
        found
    }

    /// Placements that a change of a member concerns (hub-behaviour 4.2 and 4.2.1).
    pub fn in_member(&self, old: Option<&Member>, new: Option<&Member>, now: Timestamp) -> Vec<PlacementKey> {
        let state = self.state.read();
        let Some(new) = new else {
            return state.placements.keys().cloned().collect();
        };
        if new.meta.is_deleting() {
            return Vec::new();
        }
        let fresh = Member::default();
        let old = old.unwrap_or(&fresh);
        let woke_up = eligible(old, now).is_err() && eligible(new, now).is_ok();
        let for_all = woke_up
            || old.meta.labels != new.meta.labels
            || old.taints.iter().any(|taint| !new.taints.contains(taint))
            || old.namespaces != new.namespaces;
        let properties = old.properties != new.properties
            || old.capacity != new.capacity
            || old.allocatable != new.allocatable
            || old.available != new.available;
        let concerned = |placement: &Placement| {
            (for_all || (properties && reads_properties(placement.spec.policy.as_ref()))) && may_still_pick(placement)
        };
        state
            .placements
            .iter()
            .filter(|(_, p)| concerned(p))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Placements that a change of an override snapshot concerns: the one it names, or all.
    pub fn in_override(&self, snapshot: &OverrideSnapshot) -> Vec<PlacementKey> {
        snapshot.placement().map_or_else(|| self.all(), |key| vec![key])
    }
}

impl State {
    fn learn(&mut self, key: &PlacementKey, term: &ResourceSelectorTerm) {
        let terms = self.kinds.entry((term.group.clone(), term.kind.clone())).or_default();
        let reach = reach(term);
        if term.name.is_empty() {
            terms
                .by_labels
                .entry(key.clone())
                .or_default()
                .push((term.label_selector.clone(), reach));
        } else {
            let known = terms
                .by_name
                .entry(term.name.clone())
                .or_default()
                .entry(key.clone())
                .or_insert(reach);
            *known = reach.max(*known);
        }
    }

    /// Removes all that a placement's terms of this kind have left.
    fn forget(&mut self, key: &PlacementKey, term: &ResourceSelectorTerm) {
        let kind = (term.group.clone(), term.kind.clone());
        let Some(terms) = self.kinds.get_mut(&kind) else { return };
        terms.by_labels.remove(key);
        if let Some(keys) = terms.by_name.get_mut(&term.name) {
            keys.remove(key);
            if keys.is_empty() {
                terms.by_name.remove(&term.name);
            }
        }
        if terms.by_name.is_empty() && terms.by_labels.is_empty() {
            self.kinds.remove(&kind);
        }
    }

    fn matching(
        &self,
        kind: (&str, &str),
        object: &Selectable,
        applies: impl Fn(&PlacementKey, Reach) -> bool,
        found: &mut BTreeSet<PlacementKey>,
    ) {
        let Some(terms) = self.kinds.get(&(kind.0.to_owned(), kind.1.to_owned())) else {
            return;
        };
        let named = terms.by_name.get(&object.manifest.id.name).into_iter().flatten();
        found.extend(
            named
                .filter(|(key, reach)| applies(key, **reach))
                .map(|(key, _)| key.clone()),
        );
        for (key, selectors) in &terms.by_labels {
            let hit = selectors.iter().any(|(selector, reach)| {
                // A selector that cannot be evaluated is a user error, which the pass reports.
                applies(key, *reach)
                    && selector
                        .as_ref()
                        .is_none_or(|s| s.matches(&object.manifest.labels).unwrap_or(true))
            });
            if hit {
                found.insert(key.clone());
            }
        }
    }
}

fn reach(term: &ResourceSelectorTerm) -> Reach {
    if term.selection_scope == Some(SelectionScope::NamespaceOnly) {
        Reach::ObjectOnly
    } else {
        Reach::WithContent
    }
}

/// Whether a change of a member can still change what is picked (hub-behaviour 4.2.1).
fn may_still_pick(placement: &Placement) -> bool {
    placement.placement_type() == PlacementType::PickAll || {
        let scheduled = PlacementCondition::Scheduled.on(placement.key().kind());
        api::condition::state(&placement.status.conditions, scheduled, placement.meta.generation)
            != ConditionState::True
    }
}

#[cfg(test)]
mod tests;
