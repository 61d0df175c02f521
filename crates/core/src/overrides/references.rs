//! What an override says that can never have an effect: names that do not fit, selectors that cannot be evaluated, and
//! references to what its kind, scope or name keeps out of reach. Events report it, because overrides have no status.

use api::names;
use api::placement::v1beta1::{EnvelopeType, OverrideRule, ResourceScope};
use api::text::events::warning as events;
use api::text::groups;
use api::{kinds, selector};

use super::snapshots::Override;
use crate::effects::{Event, Standing, Target};
use crate::objects::OverrideKind;
use crate::select::ResourceView;

/// What an override may refer to.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Whether there is a ClusterResourcePlacement of the name that the override gives.
    pub has_cluster_placement: bool,
    /// Namespaces in which there is a ResourcePlacement of that name.
    pub placement_namespaces: &'a [String],
    /// The resources that may be selected.
    pub resources: &'a dyn ResourceView,
}

/// What can never have an effect, in the order of the fields.
pub fn standing(over: &Override, surroundings: &Surroundings<'_>) -> Vec<Standing> {
    if over.meta.is_deleting() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Err(why) = names::check_override(&over.meta.name) {
        found.push((events::INVALID_NAME, why));
    }
    let never = |why| (events::REFERENCE_NEVER_MATCHES, why);
    found.extend(placement(over, surroundings).map(never));
    found.extend(selectors(over, surroundings).into_iter().map(never));
    let (is_cluster, rules) = match &over.kind {
        OverrideKind::Cluster(spec) => (true, &spec.policy.override_rules),
        OverrideKind::Namespaced(spec) => (false, &spec.policy.override_rules),
    };
    let bad = rules
        .iter()
        .enumerate()
        .filter_map(|(number, rule)| bad_rule(number, rule));
    found.extend(bad.map(|why| (events::INVALID_CLUSTER_SELECTOR, why)));
    let kind = if is_cluster {
        kinds::CLUSTER_RESOURCE_OVERRIDE
    } else {
        kinds::RESOURCE_OVERRIDE
    };
    let about = Target::new(kind, over.meta.namespace.as_deref(), &over.meta.name);
    let event = |(reason, note)| Standing {
        event: Event {
            about: about.clone(),
            uid: over.meta.uid.clone(),
            warning: true,
            reason,
            note,
        },
        generation: over.meta.generation,
    };
    found.into_iter().map(event).collect()
}

/// A placement that does not exist, while one of the same name does in the other scope. One that exists in no scope may
/// still be made.
fn placement(over: &Override, surroundings: &Surroundings<'_>) -> Option<String> {
    let (meant, can_be_namespaced) = match &over.kind {
        OverrideKind::Cluster(spec) => (spec.placement.as_ref()?, false),
        OverrideKind::Namespaced(spec) => (spec.placement.as_ref()?, true),
    };
    let name = &meant.name;
    let own = over.meta.namespace.as_deref().unwrap_or_default();
    let in_own = surroundings
        .placement_namespaces
        .iter()
        .any(|namespace| namespace == own);
    if can_be_namespaced && meant.scope == Some(ResourceScope::Namespaced) {
        let misses = !in_own && surroundings.has_cluster_placement;
        return misses.then(|| {
            format!(
                "The override is meant for the ResourcePlacement {name:?} of scope Namespaced in its namespace {own:?}, which \
                 does not exist, while a ClusterResourcePlacement of that name does. To mean that one, set placement.scope \
                 to Cluster in a new override."
            )
        });
    }
    if surroundings.has_cluster_placement {
        return None;
    }
    if can_be_namespaced && in_own {
        return Some(format!(
            "The override is meant for the ClusterResourcePlacement {name:?} of scope Cluster, which does not exist, while a \
             ResourcePlacement of that name does in its namespace {own:?}. To mean that one, set placement.scope to \
             Namespaced in a new override."
        ));
    }
    let elsewhere = surroundings
        .placement_namespaces
        .first()
        .filter(|_| !can_be_namespaced)?;
    Some(format!(
        "The override is meant for the ClusterResourcePlacement {name:?}, which does not exist, while a ResourcePlacement of \
         that name does in the namespace {elsewhere:?}. A ClusterResourceOverride without placement reaches it too; one with \
         a placement of scope Cluster does not."
    ))
}

/// Selectors of kinds that such an override never reaches. A kind that the hub does not serve may still be in envelopes.
fn selectors(over: &Override, surroundings: &Surroundings<'_>) -> Vec<String> {
    let named: Vec<(&str, &str, &str)> = match &over.kind {
        OverrideKind::Cluster(spec) => {
            let all = spec.cluster_resource_selectors.iter();
            all.map(|s| (s.group.as_str(), s.version.as_str(), s.kind.as_str()))
                .collect()
        }
        OverrideKind::Namespaced(spec) => {
            let all = spec.resource_selectors.iter();
            all.map(|s| (s.group.as_str(), s.version.as_str(), s.kind.as_str()))
                .collect()
        }
    };
    let is_cluster = matches!(over.kind, OverrideKind::Cluster(_));
    let judge = |(group, version, kind): (&str, &str, &str)| {
        let is_envelope = group == groups::PLACEMENT && kind.parse::<EnvelopeType>().is_ok();
        if is_envelope {
            return Some(format!(
                "A selector names the kind {kind}: overrides change what is in envelopes, never the envelopes themselves. \
                 Select the objects in it."
            ));
        }
        let api = surroundings.resources.resolve(group, version, kind)?;
        match (is_cluster, api.namespaced) {
            (true, true) => Some(format!(
                "A selector names the kind {kind}, whose objects are in namespaces, but a ClusterResourceOverride selects \
                 cluster-scoped objects only. Select the Namespace that they are in, or use a ResourceOverride."
            )),
            (false, false) => Some(format!(
                "A selector names the kind {kind}, whose objects are cluster-scoped, but a ResourceOverride selects objects of \
                 its own namespace only. Use a ClusterResourceOverride."
            )),
            _ => None,
        }
    };
    let mut all: Vec<String> = named.into_iter().filter_map(judge).collect();
    all.dedup();
    all
}

fn bad_rule(number: usize, rule: &OverrideRule) -> Option<String> {
    let terms = &rule.cluster_selector.as_ref()?.cluster_selector_terms;
    let labels = Default::default();
    let err = terms
        .iter()
        .find_map(|term| selector::matches(term.label_selector.as_ref(), &labels).err())?;
    Some(format!(
        "The cluster selector of rule {} cannot be evaluated, so that the rule applies to no cluster: {err}.",
        number + 1
    ))
}
