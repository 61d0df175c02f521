//! What overrides do to manifests.

use super::*;

/// Applies overrides in the order in which a binding names them.
fn apply(all: &[Arc<OverrideSnapshot>], env: &str, target: &Value) -> Result<Option<Value>, String> {
    let cluster: Vec<_> = all
        .iter()
        .filter(|s| s.meta.namespace.is_none())
        .map(|s| s.meta.name.clone())
        .collect();
    let namespaced: Vec<_> = all
        .iter()
        .filter_map(|s| {
            Some(NamespacedName {
                name: s.meta.name.clone(),
                namespace: s.meta.namespace.clone()?,
            })
        })
        .collect();
    let applicable = Applicable::load(&cluster, &namespaced, all).unwrap();
    let labels = labels(env);
    let on = Cluster {
        name: "member-1",
        labels: &labels,
    };
    let result = applicable.apply(&manifest(target.clone()), on);
    result.map(|kept| kept.map(|m| m.value())).map_err(|problem| {
        assert_eq!(problem.class.label(), "user");
        problem.message
    })
}

fn service() -> Value {
    let mut service = object("v1", "Service", "app", "web");
    service["spec"] = json!({"type": "ClusterIP", "ports": [{"port": 80}]});
    service
}

fn on_service(rules: Value) -> Arc<OverrideSnapshot> {
    read(snapshot("app/ro-1", select("", "v1", "Service", "web"), rules))
}

#[test]
fn patches_change_what_they_reach() {
    let cases = [
        (
            patch("add", "/spec/externalName", json!("x")),
            "/spec/externalName",
            json!("x"),
        ),
        (
            patch("replace", "/spec/type", json!("LoadBalancer")),
            "/spec/type",
            json!("LoadBalancer"),
        ),
        (patch("remove", "/spec/ports/0", json!(null)), "/spec/ports", json!([])),
        (
            patch("add", "/spec/ports/-", json!({"port": 81})),
            "/spec/ports/1/port",
            json!(81),
        ),
        (
            patch("add", "/spec/ports/-1", json!({"port": 82})),
            "/spec/ports/1/port",
            json!(82),
        ),
        (
            patch(
                "add",
                "/metadata/annotations",
                json!({"dns": "app-${MEMBER-CLUSTER-NAME}"}),
            ),
            "/metadata/annotations/dns",
            json!("app-member-1"),
        ),
        (
            patch("add", "/spec/env", json!("${MEMBER-CLUSTER-LABEL-KEY-env}")),
            "/spec/env",
            json!("prod"),
        ),
    ];
    for (rule, pointer, wanted) in cases {
        let result = apply(&[on_service(json!([rule]))], "prod", &service())
            .unwrap()
            .unwrap();
        assert_eq!(result.pointer(pointer), Some(&wanted), "{rule}");
    }
    // A missing value is a null, also where the schema makes it explicit.
    let mut rule = patch("add", "/spec/nothing", json!(null));
    rule["jsonPatchOverrides"][0].as_object_mut().unwrap().remove("value");
    let result = apply(&[on_service(json!([rule]))], "prod", &service())
        .unwrap()
        .unwrap();
    assert_eq!(result.pointer("/spec/nothing"), Some(&Value::Null));
}

#[test]
fn namespaced_overrides_win_and_rules_apply_in_order() {
    let cluster = |name: &str, value: &str| {
        read(snapshot(
            name,
            namespace_app(),
            json!([patch("add", "/spec/by", json!(value))]),
        ))
    };
    let rules = json!([
        patch("add", "/spec/by", json!("first rule")),
        only_on("test", patch("add", "/spec/by", json!("another cluster"))),
        only_on("prod", patch("add", "/spec/by", json!("last rule"))),
    ]);
    let result = |all: &[_]| apply(all, "prod", &service()).unwrap().unwrap()["spec"]["by"].clone();
    assert_eq!(result(&[cluster("c-1", "cluster")]), "cluster");
    assert_eq!(result(&[cluster("c-1", "one"), cluster("d-1", "two")]), "two");
    assert_eq!(result(&[on_service(rules), cluster("c-1", "cluster")]), "last rule");
}

#[test]
fn delete_removes_the_object_where_its_rule_matches() {
    let delete = json!({"clusterSelector": {"clusterSelectorTerms": []}, "overrideType": "Delete"});
    let rules = json!([only_on("prod", delete)]);
    let all = [
        on_service(rules),
        read(snapshot(
            "c-1",
            namespace_app(),
            json!([patch("add", "/spec/x", json!(1))]),
        )),
    ];
    assert_eq!(apply(&all, "prod", &service()), Ok(None));
    assert_eq!(apply(&all, "test", &service()).unwrap().unwrap()["spec"]["x"], 1);
}

#[test]
fn untouched_manifests_are_handed_on_as_they_are() {
    let labels = labels("prod");
    let on = Cluster {
        name: "member-1",
        labels: &labels,
    };
    let all = [on_service(json!([patch("add", "/spec/x", json!(1))]))];
    let named = [NamespacedName {
        name: "ro-1".to_owned(),
        namespace: "app".to_owned(),
    }];
    let applicable = Applicable::load(&[], &named, &all).unwrap();
    let other = manifest(object("v1", "Service", "app", "other"));
    assert!(Arc::ptr_eq(&applicable.apply(&other, on).unwrap().unwrap(), &other));
}

#[test]
fn mistakes_are_sentences_that_name_the_override_and_the_object() {
    let begin = "The ResourceOverrideSnapshot \"app/ro-1\" cannot be applied to the Service \"app/web\": ";
    let cases = [
        (patch("replace", "/spec/missing", json!(1)), "/spec/missing"),
        (patch("remove", "/spec/missing", json!(null)), "/spec/missing"),
        (patch("add", "/spec/missing/deeper", json!(1)), "/spec/missing/deeper"),
        (patch("add", "/spec/ports/7", json!(1)), "/spec/ports/7"),
        (patch("add", "/spec/ports/first", json!(1)), "/spec/ports/first"),
        (
            patch("add", "/spec/x", json!("${MEMBER-CLUSTER-LABEL-KEY-zone}")),
            "has no label \"zone\"",
        ),
        (
            patch("add", "/spec/x", json!("${MEMBER-CLUSTER-LABEL-KEY-zone")),
            "is not closed",
        ),
        (patch("replace", "", json!([])), "the result is no object"),
        (patch("remove", "/kind", json!(null)), "the result is no object"),
    ];
    for (rule, wanted) in cases {
        let message = apply(&[on_service(json!([rule]))], "prod", &service()).unwrap_err();
        assert!(
            message.starts_with(begin) && message.contains(wanted),
            "{rule}: {message}"
        );
        assert!(message.ends_with('.') && !message.ends_with(".."), "{message}");
    }
}

#[test]
fn a_rule_with_a_bad_patch_applies_nothing_of_itself() {
    let mut rule = patch("add", "/spec/x", json!(1));
    rule["jsonPatchOverrides"]
        .as_array_mut()
        .unwrap()
        .push(json!({"op": "remove", "path": "/spec/missing"}));
    assert!(apply(&[on_service(json!([rule]))], "prod", &service()).is_err());
}

#[test]
fn a_snapshot_that_is_gone_is_the_users_mistake() {
    let named = [NamespacedName {
        name: "gone-1".to_owned(),
        namespace: "app".to_owned(),
    }];
    let err = Applicable::load(&[], &named, &[]).unwrap_err();
    assert_eq!(
        err.message,
        "The ResourceOverrideSnapshot \"app/gone-1\" that the binding names does not exist."
    );
    let err = Applicable::load(&["gone-2".to_owned()], &[], &[]).unwrap_err();
    assert_eq!(
        err.message,
        "The ClusterResourceOverrideSnapshot \"gone-2\" that the binding names does not exist."
    );
}
