//! Stage 1: which resources a placement selects (hub-behaviour 2).
//!
//! [`select`] evaluates the selectors over the in-memory index; [`take_in`] prepares objects for that index.

mod apis;
mod intake;
mod order;
mod table;
mod trace;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::placement::v1beta1::{ResourceSelectorTerm, SelectionScope};
use api::selector;

pub use apis::{ApiListError, ApiLists, NamespaceRule};
pub use intake::take_in;
pub use order::compare;
pub use table::ResourceTable;
pub use trace::{SelectorTrace, Trace};
pub use view::{Api, ApiKey, Exclusion, ResourceView, Selectable};

use crate::objects::{Manifest, ObjectId, PlacementKey};
use crate::problem::Problem;
use crate::trace::Recorder;

/// What a selection may hold, by the agent's flags.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Which APIs may be selected.
    pub apis: &'a ApiLists,
    /// Which namespaces may be selected.
    pub namespaces: &'a NamespaceRule,
    /// `--enable-workload`: the hub runs workloads itself.
    pub enable_workload: bool,
}

/// Evaluates the selectors of a placement. The result is sorted (hub-behaviour 2.6) and free of duplicates.
///
/// # Errors
/// A user problem when a selector is not legal; an expected one when a needed part of the index is not complete yet.
pub fn select(
    key: &PlacementKey,
    selectors: &[ResourceSelectorTerm],
    view: &dyn ResourceView,
    rules: Rules<'_>,
    mut trace: Recorder<'_, Trace>,
) -> Result<Vec<Arc<Manifest>>, Problem> {
    let selection = Selection {
        key,
        view,
        rules,
        scope: scope_namespace(key, selectors, view, rules)?,
    };
    let mut found = BTreeMap::new();
    for selector in selectors {
        let objects = selection.evaluate(selector)?;
        trace.record(|trace| trace.selectors.push(SelectorTrace::of(selector, objects.len())));
        for object in objects {
            let id = object.manifest.id.clone();
            if found.insert(id.clone(), Arc::clone(&object.manifest)).is_some() {
                return Err(Problem::user(format!(
                    "The object {id} is selected by more than one resource selector."
                )));
            }
        }
    }
    let mut manifests: Vec<_> = found.into_values().collect();
    manifests.sort_by(|a, b| compare(&a.id, &b.id));
    Ok(manifests)
}

/// Whether an object may be propagated as far as its kind and content are concerned (hub-behaviour 2.7).
pub fn may_propagate(object: &Selectable, view: &dyn ResourceView, enable_workload: bool) -> bool {
    match object.exclusion {
        Exclusion::None => true,
        Exclusion::Always => false,
        Exclusion::WhenHubRunsWorkloads => !enable_workload,
        Exclusion::WhenServiceExists => {
            let ObjectId { namespace, name, .. } = &object.manifest.id;
            let service = view.resolve("", "v1", "Service");
            service.is_none_or(|api| view.get(&api.key, Some(namespace), name).is_none())
        }
    }
}

/// Whether a term selects core v1 Namespaces.
fn is_namespace_term(term: &ResourceSelectorTerm) -> bool {
    term.group.is_empty() && term.version == "v1" && term.kind == "Namespace"
}

fn scope_of(term: &ResourceSelectorTerm) -> SelectionScope {
    term.selection_scope.unwrap_or(SelectionScope::NamespaceWithResources)
}

/// First pass over the selectors: the one namespace that `NamespaceWithResourceSelectors` names (hub-behaviour 2.4).
fn scope_namespace(
    key: &PlacementKey,
    selectors: &[ResourceSelectorTerm],
    view: &dyn ResourceView,
    rules: Rules<'_>,
) -> Result<Option<String>, Problem> {
    let restricted = |term: &&ResourceSelectorTerm| {
        is_namespace_term(term) && scope_of(term) == SelectionScope::NamespaceWithResourceSelectors
    };
    let Some(term) = selectors.iter().find(restricted).filter(|_| key.namespace.is_none()) else {
        return Ok(None);
    };
    let name = name_of(term).unwrap_or_default();
    let api = synced(view, term)?;
    let usable = view.get(&api.key, None, name).is_some_and(|ns| !ns.deleting) && rules.namespaces.allows(name);
    if usable {
        return Ok(Some(name.to_owned()));
    }
    Err(Problem::user(format!(
        "NamespaceWithResourceSelectors mode requires exactly one namespace, but no namespaces were selected: \
         {name:?} does not exist, is being deleted or must not be propagated."
    )))
}

/// An empty name counts as none.
fn name_of(term: &ResourceSelectorTerm) -> Option<&str> {
    Some(term.name.as_str()).filter(|name| !name.is_empty())
}

/// Resolves the API of a term, which must be served and completely indexed.
fn synced(view: &dyn ResourceView, term: &ResourceSelectorTerm) -> Result<Api, Problem> {
    let ResourceSelectorTerm {
        group, version, kind, ..
    } = term;
    let named = if group.is_empty() {
        version.clone()
    } else {
        format!("{group}/{version}")
    };
    let api = view.resolve(group, version, kind).ok_or_else(|| {
        if view.unknown_groups().contains(group) {
            return unknown_group(group);
        }
        Problem::user(format!(
            "The kind {kind} of {named}, which a resource selector names, is not served by the hub."
        ))
    })?;
    if api.synced {
        return Ok(api);
    }
    Err(Problem::expected(format!(
        "The objects of kind {kind} of {named} are not completely known yet."
    )))
}

fn unknown_group(group: &str) -> Problem {
    Problem::expected(format!(
        "The API group {group:?} has not answered yet which resources it serves."
    ))
}

struct Selection<'a> {
    key: &'a PlacementKey,
    view: &'a dyn ResourceView,
    rules: Rules<'a>,
    /// The namespace to which `NamespaceWithResourceSelectors` restricts the other selectors.
    scope: Option<String>,
}

impl Selection<'_> {
    fn evaluate(&self, term: &ResourceSelectorTerm) -> Result<Vec<Arc<Selectable>>, Problem> {
        if self.rules.apis.is_disabled(&term.group, &term.version, &term.kind) {
            return Ok(Vec::new());
        }
        let api = synced(self.view, term)?;
        let refuse = |why: &str| {
            Err(Problem::user(format!(
                "The resource selector for kind {} {why}.",
                term.kind
            )))
        };
        match (&self.key.namespace, api.namespaced) {
            (Some(_), false) => refuse("names a cluster-scoped kind, which a ResourcePlacement cannot select"),
            (Some(namespace), true) => self.matching(&api.key, Some(namespace), term),
            (None, true) => match &self.scope {
                Some(namespace) => self.matching(&api.key, Some(namespace), term),
                None => {
                    refuse("names a namespaced kind, which a ClusterResourcePlacement selects through its namespace")
                }
            },
            (None, false) if is_namespace_term(term) => self.namespaces(&api.key, term),
            (None, false) => self.matching(&api.key, None, term),
        }
    }

    /// Namespaces, with what is in them unless the scope says otherwise.
    fn namespaces(&self, api: &ApiKey, term: &ResourceSelectorTerm) -> Result<Vec<Arc<Selectable>>, Problem> {
        if let Some(name) = name_of(term) {
            self.check_namespace(name)?;
        }
        let namespaces = self.matching(api, None, term)?;
        for namespace in &namespaces {
            self.check_namespace(&namespace.manifest.id.name)?;
        }
        if scope_of(term) != SelectionScope::NamespaceWithResources || namespaces.is_empty() {
            return Ok(namespaces);
        }
        let contents = self.content_apis()?;
        let mut all = Vec::new();
        for namespace in namespaces {
            let name = namespace.manifest.id.name.clone();
            all.push(namespace);
            for api in &contents {
                all.extend(
                    self.view
                        .list(api, Some(&name))
                        .into_iter()
                        .filter(|object| self.is_wanted(object)),
                );
            }
        }
        Ok(all)
    }

    fn check_namespace(&self, name: &str) -> Result<(), Problem> {
        if self.rules.namespaces.allows(name) {
            return Ok(());
        }
        Err(Problem::user(format!(
            "The namespace {name:?} is reserved and must not be propagated."
        )))
    }

    /// All enabled namespaced APIs. They must all be known, and each completely indexed.
    fn content_apis(&self) -> Result<BTreeSet<ApiKey>, Problem> {
        let unknown = self.view.unknown_groups();
        if let Some(group) = unknown.iter().find(|group| self.rules.apis.may_enable(group)) {
            return Err(unknown_group(group));
        }
        let mut keys = BTreeSet::new();
        for Api { key, synced, .. } in self.view.namespaced() {
            if self.rules.apis.is_disabled(&key.group, &key.version, &key.kind) {
                continue;
            }
            if !synced {
                let message = format!("The objects of kind {} are not completely known yet.", key.kind);
                return Err(Problem::expected(message));
            }
            keys.insert(key);
        }
        Ok(keys)
    }

    /// Objects of one API that the term names, or whose labels it matches, or all.
    fn matching(
        &self,
        api: &ApiKey,
        namespace: Option<&str>,
        term: &ResourceSelectorTerm,
    ) -> Result<Vec<Arc<Selectable>>, Problem> {
        let mut objects = match name_of(term) {
            Some(name) => self.view.get(api, namespace, name).into_iter().collect(),
            None => self.view.list(api, namespace),
        };
        if let (None, Some(labels)) = (name_of(term), &term.label_selector) {
            labels.validate().map_err(|err| {
                Problem::user(format!("The label selector for kind {} is invalid: {err}.", term.kind))
            })?;
            objects.retain(|object| selector::matches(Some(labels), &object.manifest.labels).unwrap_or_default());
        }
        objects.retain(|object| self.is_wanted(object));
        Ok(objects)
    }

    fn is_wanted(&self, object: &Selectable) -> bool {
        !object.deleting && may_propagate(object, self.view, self.rules.enable_workload)
    }
}

#[cfg(test)]
mod tests;
