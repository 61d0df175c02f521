//! What can never have an effect, and what may.

use std::sync::Arc;

use super::*;
use crate::objects::{Meta, OverrideKind};
use crate::overrides::references::{Surroundings, standing};
use crate::overrides::snapshots::Override;
use crate::select::{Api, ApiKey, ResourceView, Selectable};

/// A hub that serves ConfigMaps and Namespaces.
struct Served;

impl ResourceView for Served {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api> {
        matches!(kind, "ConfigMap" | "Namespace").then(|| Api {
            key: ApiKey::new(group, version, kind),
            plural: String::new(),
            namespaced: kind == "ConfigMap",
            synced: true,
        })
    }

    fn get(&self, _: &ApiKey, _: Option<&str>, _: &str) -> Option<Arc<Selectable>> {
        None
    }

    fn list(&self, _: &ApiKey, _: Option<&str>) -> Vec<Arc<Selectable>> {
        Vec::new()
    }

    fn namespaced(&self) -> Vec<Api> {
        Vec::new()
    }
}

fn an_override(namespace: Option<&str>, placement: Value, selected: (&str, &str)) -> Override {
    let selectors = select(selected.0, "v1", selected.1, "one");
    let policy = json!({"overrideRules": [{"clusterSelector": {"clusterSelectorTerms": []}}]});
    let kind = match namespace {
        Some(_) => {
            let spec = json!({"placement": placement, "resourceSelectors": selectors, "policy": policy});
            OverrideKind::Namespaced(serde_json::from_value(spec).unwrap())
        }
        None => {
            let spec = json!({"placement": placement, "clusterResourceSelectors": selectors, "policy": policy});
            OverrideKind::Cluster(serde_json::from_value(spec).unwrap())
        }
    };
    Override {
        meta: Meta {
            name: "o".to_owned(),
            namespace: namespace.map(str::to_owned),
            generation: 4,
            ..Meta::default()
        },
        kind,
        spec: Value::Null,
    }
}

fn reasons(over: &Override, cluster: bool, namespaces: &[&str]) -> Vec<&'static str> {
    let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let surroundings = Surroundings {
        has_cluster_placement: cluster,
        placement_namespaces: &namespaces,
        resources: &Served,
    };
    let found = standing(over, &surroundings);
    assert!(
        found
            .iter()
            .all(|standing| standing.generation == 4 && standing.event.warning)
    );
    found.iter().map(|standing| standing.event.reason).collect()
}

#[test]
fn a_placement_of_the_other_scope_is_reported() {
    let namespaced = |scope: Value| an_override(Some("app"), json!({"name": "p", "scope": scope}), ("", "ConfigMap"));
    let cluster = an_override(None, json!({"name": "p"}), ("", "Namespace"));
    let never = vec!["ReferenceNeverMatches"];
    let none: Vec<&str> = Vec::new();
    for (over, has_cluster, namespaces, wanted) in [
        (namespaced(Value::Null), false, &["app"][..], &never),
        (namespaced(json!("Cluster")), false, &["app"], &never),
        (namespaced(json!("Cluster")), true, &["app"], &none),
        // A placement that exists nowhere may still come, and another namespace's is none of its business.
        (namespaced(json!("Cluster")), false, &[], &none),
        (namespaced(json!("Cluster")), false, &["other"], &none),
        (namespaced(json!("Namespaced")), true, &[], &never),
        (namespaced(json!("Namespaced")), true, &["other"], &never),
        (namespaced(json!("Namespaced")), true, &["app"], &none),
        (namespaced(json!("Namespaced")), false, &[], &none),
        (cluster.clone(), false, &["app"], &never),
        (cluster.clone(), true, &["app"], &none),
        (cluster, false, &[], &none),
        (
            an_override(Some("app"), Value::Null, ("", "ConfigMap")),
            false,
            &["app"],
            &none,
        ),
    ] {
        assert_eq!(
            reasons(&over, has_cluster, namespaces),
            *wanted,
            "{over:?} {has_cluster} {namespaces:?}"
        );
    }
}

#[test]
fn selectors_of_the_wrong_scope_are_reported() {
    let fleet = "placement.kubernetes-fleet.io";
    for (namespace, selected, wanted) in [
        (None, ("", "Namespace"), 0),
        (None, ("", "ConfigMap"), 1),
        (Some("app"), ("", "ConfigMap"), 0),
        (Some("app"), ("", "Namespace"), 1),
        // What the hub does not serve may be in an envelope; the envelope itself is never overridden.
        (Some("app"), ("example.com", "Widget"), 0),
        (Some("app"), (fleet, "ResourceEnvelope"), 1),
        (None, (fleet, "ClusterResourceEnvelope"), 1),
    ] {
        let over = an_override(namespace, Value::Null, selected);
        assert_eq!(reasons(&over, false, &[]).len(), wanted, "{namespace:?} {selected:?}");
    }
}

#[test]
fn names_and_rules_that_cannot_be_used_are_reported() {
    let mut over = an_override(Some("app"), Value::Null, ("", "ConfigMap"));
    over.meta.name = "o".repeat(64);
    assert_eq!(reasons(&over, false, &[]), ["InvalidName"]);
    let plan = crate::overrides::snapshots::plan(&over, &[], &Default::default());
    assert_eq!(
        plan.steps,
        Vec::<Vec<crate::effects::Write>>::new(),
        "no snapshot can be made"
    );
    over.meta.name = "o".to_owned();
    let term = json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}});
    let rules = json!({"overrideRules": [{"clusterSelector": {"clusterSelectorTerms": [term]}}]});
    if let OverrideKind::Namespaced(spec) = &mut over.kind {
        spec.policy = serde_json::from_value(rules).unwrap();
    }
    assert_eq!(reasons(&over, false, &[]), ["InvalidClusterSelector"]);
    over.meta.deleted = Some("2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(reasons(&over, false, &[]), Vec::<&str>::new());
}
