//! Tests of the selection.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::problem::Class;

/// A view over a fixed set of objects.
#[derive(Default)]
struct Hub {
    objects: BTreeMap<ApiKey, Vec<Arc<Selectable>>>,
    unsynced: Option<&'static str>,
    unknown_group: Option<&'static str>,
}

impl Hub {
    fn add(&mut self, group: &str, kind: &str, namespace: &str, name: &str, extra: Value) {
        let api_version = if group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{group}/v1")
        };
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        self.objects
            .entry(ApiKey::new(group, "v1", kind))
            .or_default()
            .push(Arc::new(take_in(object).unwrap()));
    }

    fn api(&self, key: &ApiKey) -> Api {
        let namespaced = !["Namespace", "ClusterRole"].contains(&key.kind.as_str());
        Api {
            key: key.clone(),
            plural: format!("{}s", key.kind.to_lowercase()),
            namespaced,
            synced: self.unsynced != Some(&key.kind),
        }
    }
}

impl ResourceView for Hub {
    fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<Api> {
        let key = ApiKey::new(group, version, kind);
        self.objects.contains_key(&key).then(|| self.api(&key))
    }

    fn get(&self, api: &ApiKey, namespace: Option<&str>, name: &str) -> Option<Arc<Selectable>> {
        self.list(api, namespace)
            .into_iter()
            .find(|o| o.manifest.id.name == name)
    }

    fn list(&self, api: &ApiKey, namespace: Option<&str>) -> Vec<Arc<Selectable>> {
        let wanted = |o: &&Arc<Selectable>| namespace.is_none_or(|n| o.manifest.id.namespace == n);
        self.objects
            .get(api)
            .into_iter()
            .flatten()
            .filter(wanted)
            .cloned()
            .collect()
    }

    fn namespaced(&self) -> Vec<Api> {
        self.objects
            .keys()
            .map(|key| self.api(key))
            .filter(|api| api.namespaced)
            .collect()
    }

    fn unknown_groups(&self) -> BTreeSet<String> {
        self.unknown_group.into_iter().map(str::to_owned).collect()
    }
}

fn hub() -> Hub {
    let mut hub = Hub::default();
    let labels = |value: &str| json!({"labels": {"team": value}});
    for (name, extra) in [
        ("app", labels("x")),
        ("web", labels("y")),
        (
            "leaving",
            json!({"labels": {"team": "z"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}),
        ),
        ("kube-system", labels("system")),
    ] {
        hub.add("", "Namespace", "", name, extra);
    }
    hub.add("", "ConfigMap", "app", "one", labels("x"));
    hub.add("", "ConfigMap", "app", "two", labels("y"));
    hub.add("", "ConfigMap", "app", "kube-root-ca.crt", json!({}));
    hub.add("", "ConfigMap", "leaving", "three", json!({}));
    hub.add("", "Service", "app", "svc", json!({}));
    hub.add("", "Endpoints", "app", "svc", json!({}));
    hub.add("", "Endpoints", "app", "manual", json!({}));
    hub.add("", "Event", "app", "happened", json!({}));
    hub.add("", "PersistentVolumeClaim", "web", "disk", json!({}));
    hub.add("apps", "Deployment", "web", "site", labels("y"));
    hub.add("rbac.authorization.k8s.io", "ClusterRole", "", "reader", json!({}));
    hub
}

/// A term from `[group]/kind[/name]`, a label value for `team`, and a scope.
fn term(what: &str, team: &str, scope: &str) -> ResourceSelectorTerm {
    let mut parts = what.split('/');
    let mut value = json!({"group": parts.next(), "version": "v1", "kind": parts.next(), "name": parts.next()});
    if !team.is_empty() {
        value["labelSelector"] = json!({"matchLabels": {"team": team}});
    }
    if !scope.is_empty() {
        value["selectionScope"] = json!(scope);
    }
    serde_json::from_value(value).unwrap()
}

#[derive(Default)]
struct Lists {
    apis: ApiLists,
    namespaces: NamespaceRule,
}

fn rules(lists: &Lists, enable_workload: bool) -> Rules<'_> {
    Rules {
        apis: &lists.apis,
        namespaces: &lists.namespaces,
        enable_workload,
    }
}

fn run(hub: &Hub, key: &PlacementKey, terms: &[ResourceSelectorTerm]) -> Result<Vec<String>, Problem> {
    let selected = select(key, terms, hub, rules(&Lists::default(), false), Recorder::off())?;
    Ok(selected
        .iter()
        .map(|m| format!("{}:{}/{}", m.id.kind, m.id.namespace, m.id.name))
        .collect())
}

#[test]
fn what_cluster_placements_select() {
    let app: &[&str] = &[
        "Namespace:/app",
        "ConfigMap:app/one",
        "ConfigMap:app/two",
        "Service:app/svc",
        "Endpoints:app/manual",
    ];
    let cases: Vec<(Vec<ResourceSelectorTerm>, &[&str])> = vec![
        (vec![term("/Namespace/app", "", "")], app),
        (vec![term("/Namespace", "x", "NamespaceWithResources")], app),
        (vec![term("/Namespace/app", "", "NamespaceOnly")], &["Namespace:/app"]),
        (vec![term("/Namespace/none", "", "")], &[]),
        (vec![term("/Namespace/leaving", "", "")], &[]),
        (
            vec![
                term("/Namespace/web", "", ""),
                term("rbac.authorization.k8s.io/ClusterRole", "", ""),
            ],
            &[
                "Namespace:/web",
                "PersistentVolumeClaim:web/disk",
                "ClusterRole:/reader",
                "Deployment:web/site",
            ],
        ),
        (
            vec![
                term("/ConfigMap", "x", ""),
                term("/Namespace/app", "", "NamespaceWithResourceSelectors"),
                term("rbac.authorization.k8s.io/ClusterRole/reader", "", ""),
            ],
            &["Namespace:/app", "ConfigMap:app/one", "ClusterRole:/reader"],
        ),
        // APIs that must stay on the hub are passed over silently.
        (
            vec![term("coordination.k8s.io/Lease", "", ""), term("/Pod", "", "")],
            &[],
        ),
    ];
    for (terms, expected) in cases {
        assert_eq!(
            run(&hub(), &PlacementKey::cluster("p"), &terms).unwrap(),
            expected,
            "{terms:?}"
        );
    }
}

#[test]
fn what_namespaced_placements_select() {
    let key = PlacementKey::namespaced("app", "p");
    let selected = run(
        &hub(),
        &key,
        &[term("/ConfigMap", "", ""), term("/Service/svc", "", "")],
    )
    .unwrap();
    assert_eq!(selected, ["ConfigMap:app/one", "ConfigMap:app/two", "Service:app/svc"]);
    for refused in [
        term("/Namespace/app", "", "NamespaceOnly"),
        term("rbac.authorization.k8s.io/ClusterRole", "", ""),
    ] {
        assert_eq!(run(&hub(), &key, &[refused]).unwrap_err().class, Class::User);
    }
}

#[test]
fn mistakes_of_users() {
    let cluster = PlacementKey::cluster("p");
    let cases = vec![
        (vec![term("/ConfigMap/one", "", "")], "selects through its namespace"),
        (vec![term("example.com/Thing", "", "")], "not served"),
        (vec![term("/Namespace/kube-system", "", "")], "reserved"),
        (vec![term("/Namespace/kube-system", "", "NamespaceOnly")], "reserved"),
        (vec![term("/Namespace", "", "")], "reserved"),
        (
            vec![term("/Namespace/app", "", ""), term("/Namespace", "x", "NamespaceOnly")],
            "more than one",
        ),
        (
            vec![term("/Namespace/none", "", "NamespaceWithResourceSelectors")],
            ONE_NAMESPACE,
        ),
        (
            vec![term("/Namespace/leaving", "", "NamespaceWithResourceSelectors")],
            ONE_NAMESPACE,
        ),
        (
            vec![term("/Namespace/kube-system", "", "NamespaceWithResourceSelectors")],
            ONE_NAMESPACE,
        ),
    ];
    for (terms, text) in cases {
        let problem = run(&hub(), &cluster, &terms).unwrap_err();
        assert_eq!(problem.class, Class::User, "{problem}");
        assert!(problem.message.contains(text), "{problem}");
    }
}

const ONE_NAMESPACE: &str =
    "NamespaceWithResourceSelectors mode requires exactly one namespace, but no namespaces were selected";

#[test]
fn an_incomplete_index_is_never_read_in_part() {
    let cluster = PlacementKey::cluster("p");
    for (unsynced, terms) in [
        ("Namespace", vec![term("/Namespace/app", "", "")]),
        ("Deployment", vec![term("/Namespace/app", "", "")]),
        (
            "ClusterRole",
            vec![term("rbac.authorization.k8s.io/ClusterRole", "", "")],
        ),
    ] {
        let hub = Hub {
            unsynced: Some(unsynced),
            ..hub()
        };
        assert_eq!(
            run(&hub, &cluster, &terms).unwrap_err().class,
            Class::Expected,
            "{unsynced}"
        );
    }
    // What must stay on the hub anyway is not waited for.
    let hub = Hub {
        unsynced: Some("Event"),
        ..hub()
    };
    assert!(run(&hub, &cluster, &[term("/Namespace/app", "", "")]).is_ok());
}

#[test]
fn a_group_that_does_not_tell_what_it_serves_is_not_one_without_kinds() {
    let cluster = PlacementKey::cluster("p");
    for (unknown, selector, expected) in [
        ("down.io", "/Namespace/app", Some(Class::Expected)),
        ("down.io", "down.io/Thing", Some(Class::Expected)),
        ("down.io", "other.io/Thing", Some(Class::User)),
        ("down.io", "rbac.authorization.k8s.io/ClusterRole", None),
        // What must stay on the hub anyway is not waited for.
        ("metrics.k8s.io", "/Namespace/app", None),
    ] {
        let hub = Hub {
            unknown_group: Some(unknown),
            ..hub()
        };
        let selected = run(&hub, &cluster, &[term(selector, "", "")]);
        assert_eq!(
            selected.err().map(|problem| problem.class),
            expected,
            "{unknown} {selector}"
        );
    }
}

#[test]
fn claims_stay_when_the_hub_runs_workloads() {
    let terms = [term("/Namespace/web", "", "")];
    let selected = select(
        &PlacementKey::cluster("p"),
        &terms,
        &hub(),
        rules(&Lists::default(), true),
        Recorder::off(),
    )
    .unwrap();
    assert!(selected.iter().all(|m| m.id.kind != "PersistentVolumeClaim"));
}
