use super::*;
use proptest::prelude::*;
use serde_json::json;

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "spec": spec})
}

fn patched(spec: Value, patch: Value) -> Value {
    apply("v1", "Pod", &pod(spec), &json!({ "spec": patch })).unwrap()["spec"].clone()
}

#[test]
fn lists_merge_by_their_keys() {
    let spec = json!({"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}], "tolerations": [{"key": "t"}]});
    let cases = [
        (
            json!({"containers": [{"name": "a", "image": "2"}]}),
            "/containers/0/image",
            json!("2"),
        ),
        (
            json!({"containers": [{"name": "a", "env": [{"name": "Y"}]}]}),
            "/containers/0/env",
            json!([{"name": "Y"}, {"name": "X", "value": "1"}]),
        ),
        (
            json!({"containers": [{"name": "a", "image": null}]}),
            "/containers/0",
            json!({"name": "a", "env": [{"name": "X", "value": "1"}]}),
        ),
        (
            json!({"containers": [{"name": "c"}]}),
            "/containers/0",
            json!({"name": "c"}),
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            "/containers",
            json!([{"name": "b"}]),
        ),
        (
            json!({"containers": [{"$patch": "replace"}, {"name": "z", "image": null}]}),
            "/containers",
            json!([{"name": "z"}]),
        ),
        (
            json!({"containers": [{"name": "a", "$patch": "replace"}, {"name": "y"}]}),
            "/containers",
            json!([{"name": "y"}]),
        ),
        (
            json!({"tolerations": [{"key": "u"}]}),
            "/tolerations",
            json!([{"key": "u"}]),
        ),
        (
            json!({"nodeSelector": {"a": "b", "c": null}}),
            "/nodeSelector",
            json!({"a": "b"}),
        ),
        (
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
            "/containers/0/name",
            json!("b"),
        ),
    ];
    for (patch, at, want) in cases {
        assert_eq!(patched(spec.clone(), patch.clone()).pointer(at), Some(&want), "{patch}");
    }
}

#[test]
fn directives_on_maps_unions_and_scalars() {
    let deployment = json!({"metadata": {"finalizers": ["a", "b", "c"], "labels": {"x": "1", "y": "2"}}, "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let apply = |patch: Value| super::apply("apps/v1", "Deployment", &deployment, &patch);
    let cases = [
        (
            json!({"metadata": {"labels": {"$patch": "replace", "z": "3"}}}),
            "/metadata/labels",
            json!({"z": "3"}),
        ),
        (
            json!({"metadata": {"labels": {"$patch": "delete"}}}),
            "/metadata/labels",
            json!({}),
        ),
        (
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            "/spec/strategy",
            json!({"type": "Recreate"}),
        ),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"]}}),
            "/metadata/finalizers",
            json!(["a", "c"]),
        ),
        (
            json!({"metadata": {"finalizers": ["d", "a"]}}),
            "/metadata/finalizers",
            json!(["d", "a", "b", "c"]),
        ),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["d"], "$setElementOrder/finalizers": ["d", "c"]}}),
            "/metadata/finalizers",
            json!(["d", "b", "c"]),
        ),
    ];
    for (patch, at, want) in cases {
        assert_eq!(apply(patch.clone()).unwrap().pointer(at), Some(&want), "{patch}");
    }
    for patch in [
        json!({"metadata": {"$patch": "explode"}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}),
        json!({"metadata": {"$setElementOrder/finalizers": 1}}),
    ] {
        assert!(
            matches!(apply(patch.clone()), Err(StrategicError::BadDirective { .. })),
            "{patch}"
        );
    }
    let keyless = json!({"spec": {"containers": [{"image": "x"}]}});
    assert_eq!(
        super::apply("v1", "Pod", &pod(json!({"containers": []})), &keyless),
        Err(StrategicError::MissingKey {
            field: "containers".into(),
            key: "name".into()
        })
    );
    assert!(matches!(
        super::apply("example.org/v1", "Foo", &json!({}), &json!({})),
        Err(StrategicError::UnknownKind { .. })
    ));
}

/// The patches in this table are those that kubectl sends for the same three documents, less what changes nothing.
#[test]
fn three_way_patches_look_like_those_of_kubectl() {
    let cases = [
        // A container is changed, one withdrawn, a foreign one stays.
        (
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}),
            json!({"containers": [{"name": "a", "image": "2"}]}),
            json!({"containers": [{"name": "a", "image": "1", "imagePullPolicy": "Always"}, {"name": "b"}, {"name": "side"}]}),
            json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"image": "2", "name": "a"}, {"$patch": "delete", "name": "b"}]}),
        ),
        // The volume changes its source: only the named members stay.
        (
            json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
            json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
            json!({"$setElementOrder/volumes": [{"name": "v"}], "volumes": [{"$retainKeys": ["configMap", "name"], "configMap": {"name": "c"}, "emptyDir": null, "name": "v"}]}),
        ),
        // An explicit null clears a field that the server set.
        (
            json!({}),
            json!({"hostname": null}),
            json!({"hostname": "h"}),
            json!({"hostname": null}),
        ),
        // A list that is one value.
        (
            json!({}),
            json!({"tolerations": [{"key": "a"}]}),
            json!({"tolerations": [{"key": "b"}]}),
            json!({"tolerations": [{"key": "a"}]}),
        ),
        // Order alone.
        (
            json!({}),
            json!({"containers": [{"name": "b"}, {"name": "a"}]}),
            json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}),
        ),
        // Nothing to do although the server added defaults and elements.
        (
            json!({"containers": [{"name": "a"}]}),
            json!({"containers": [{"name": "a"}]}),
            json!({"containers": [{"name": "side"}, {"name": "a", "image": "x"}], "dnsPolicy": "ClusterFirst"}),
            json!({}),
        ),
    ];
    for (original, modified, current, want) in cases {
        let (original, modified, current) = (pod(original), pod(modified), pod(current));
        let patch = three_way("v1", "Pod", &original, &modified, &current).unwrap();
        let spec = patch.get("spec").cloned().unwrap_or_else(|| json!({}));
        assert_eq!(spec, want, "{modified}");
        let after = apply("v1", "Pod", &current, &patch).unwrap();
        assert_eq!(
            three_way("v1", "Pod", &original, &modified, &after).unwrap(),
            json!({}),
            "{modified}"
        );
    }
}

#[test]
fn three_way_handles_scalar_lists_and_strategy_unions() {
    let original = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"strategy": {"type": "RollingUpdate"}}});
    let modified = json!({"metadata": {"finalizers": ["b", "c"]}, "spec": {"strategy": {"type": "Recreate"}}});
    let current = json!({"metadata": {"finalizers": ["a", "b", "x"]}, "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = three_way("apps/v1", "Deployment", &original, &modified, &current).unwrap();
    assert_eq!(
        patch,
        json!({"metadata": {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b", "c"]},
               "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    );
    let after = apply("apps/v1", "Deployment", &current, &patch).unwrap();
    assert_eq!(after["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(after["metadata"]["finalizers"], json!(["b", "c", "x"]));
}

/// Lists in which the merge key does not identify all elements: case g2 and its siblings.
#[test]
fn elements_that_share_their_merge_key_stay_apart() {
    let (tcp, udp) = (
        json!({"name": "t", "port": 53, "protocol": "TCP"}),
        json!({"name": "u", "port": 53, "protocol": "UDP"}),
    );
    let bare = json!({"name": "t", "port": 53});
    let live_tcp = json!({"name": "t", "port": 53, "protocol": "TCP", "nodePort": 30053});
    let foreign = json!({"name": "f", "port": 80, "protocol": "TCP"});
    // original, modified, current, wanted in the end
    let cases = [
        (
            json!([tcp]),
            json!([tcp, udp]),
            json!([live_tcp]),
            json!([live_tcp, udp]),
        ),
        (
            json!([tcp, udp]),
            json!([udp, tcp]),
            json!([live_tcp, udp]),
            json!([udp, live_tcp]),
        ),
        (json!([tcp, udp]), json!([udp]), json!([live_tcp, udp]), json!([udp])),
        (json!([tcp, udp]), json!([]), json!([live_tcp, udp]), json!([])),
        // Another protocol on the same port is another element.
        (json!([tcp]), json!([udp]), json!([live_tcp]), json!([udp])),
        // One without protocol is the TCP one.
        (
            json!([bare]),
            json!([bare, udp]),
            json!([udp, live_tcp]),
            json!([live_tcp, udp]),
        ),
        (
            json!([tcp]),
            json!([bare]),
            json!([live_tcp, udp]),
            json!([{"name": "t", "port": 53, "nodePort": 30053}, udp]),
        ),
        // What others have added stays where it was.
        (
            json!([tcp]),
            json!([tcp, udp]),
            json!([foreign, live_tcp]),
            json!([foreign, live_tcp, udp]),
        ),
        (
            json!([]),
            json!([tcp]),
            json!([udp, foreign]),
            json!([tcp, udp, foreign]),
        ),
        // Nothing was there.
        (json!([]), json!([tcp, udp]), json!([]), json!([tcp, udp])),
        (json!([]), json!([tcp, udp]), Value::Null, json!([tcp, udp])),
        // A port that somebody else has put in the place of ours is not ours to remove.
        (json!([udp]), json!([]), json!([live_tcp]), json!([live_tcp])),
    ];
    let service = |ports: &Value| match ports {
        Value::Null => json!({"spec": {}}),
        ports => json!({"spec": {"ports": ports}}),
    };
    for (original, modified, current, wanted) in cases {
        let (before, after, live) = (service(&original), service(&modified), service(&current));
        let patch = three_way("v1", "Service", &before, &after, &live).unwrap();
        let result = apply("v1", "Service", &live, &patch).unwrap();
        let label = format!("{original} {modified} {current}: {patch}");
        assert_eq!(result["spec"]["ports"], wanted, "{label}");
        assert_eq!(
            three_way("v1", "Service", &after, &after, &result).unwrap(),
            json!({}),
            "{label}"
        );
    }
}

#[test]
fn variables_that_are_named_twice_are_told_apart_by_their_order() {
    let env = |values: &[&str]| {
        let env: Vec<Value> = values
            .iter()
            .map(|value| json!({"name": "A", "value": value}))
            .collect();
        pod(json!({"containers": [{"name": "c", "env": env}]}))
    };
    for (original, modified, current) in [
        (env(&["1", "2"]), env(&["1", "3"]), env(&["1", "2"])),
        (env(&["1", "2"]), env(&["2"]), env(&["1", "2"])),
        (env(&["1"]), env(&["1", "2"]), env(&["1"])),
    ] {
        let patch = three_way("v1", "Pod", &original, &modified, &current).unwrap();
        let after = apply("v1", "Pod", &current, &patch).unwrap();
        assert_eq!(after, modified, "{patch}");
        assert_eq!(
            three_way("v1", "Pod", &modified, &modified, &after).unwrap(),
            json!({}),
            "{patch}"
        );
    }
}

#[test]
fn what_means_the_same_is_not_sent() {
    let cases = [
        (
            json!({"containers": [{"name": "c", "env": [], "stdin": false, "resources": {"limits": {"cpu": 1.5, "memory": "1024Mi"}}}], "tolerations": null, "nodeSelector": {}}),
            json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}}]}),
            json!({}),
        ),
        (
            json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": 2}}}], "hostNetwork": false}),
            json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}}}], "hostNetwork": true}),
            json!({"$setElementOrder/containers": [{"name": "c"}], "containers": [{"name": "c", "resources": {"limits": {"cpu": 2}}}], "hostNetwork": false}),
        ),
        (
            json!({"automountServiceAccountToken": false}),
            json!({}),
            json!({"automountServiceAccountToken": false}),
        ),
    ];
    for (modified, current, wanted) in cases {
        let patch = three_way("v1", "Pod", &Value::Null, &pod(modified.clone()), &pod(current)).unwrap();
        assert_eq!(
            patch.get("spec").cloned().unwrap_or_else(|| json!({})),
            wanted,
            "{modified}"
        );
    }
}

#[test]
fn a_branch_that_the_server_filled_in_makes_way() {
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
    let of = |strategy: &Value| json!({"spec": {"updateStrategy": strategy}});
    let patch = three_way(
        "apps/v1",
        "StatefulSet",
        &json!({}),
        &of(&json!({"type": "OnDelete"})),
        &of(&rolling),
    )
    .unwrap();
    assert_eq!(patch, of(&json!({"type": "OnDelete", "rollingUpdate": null})));
    let handler = |probe: Value| pod(json!({"containers": [{"name": "c", "livenessProbe": probe}]}));
    let (exec, get) = (
        handler(json!({"exec": {"command": ["a"]}})),
        handler(json!({"httpGet": {"port": 1}, "periodSeconds": 10})),
    );
    let patch = three_way("v1", "Pod", &json!({}), &exec, &get).unwrap();
    let after = apply("v1", "Pod", &get, &patch).unwrap();
    assert_eq!(after, handler(json!({"exec": {"command": ["a"]}, "periodSeconds": 10})));
}

/// Pod specs with lists of every kind; names are few, so that elements often match.
fn spec() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let container = (
        name.clone(),
        prop::option::of(0..3u8),
        prop::collection::btree_map(name.clone(), 0..3u8, 0..3),
    )
        .prop_map(|(name, image, env)| {
            let env: Vec<Value> = env
                .into_iter()
                .map(|(name, value)| json!({"name": name, "value": value.to_string()}))
                .collect();
            let mut container = json!({"name": name, "env": env});
            if let Some(image) = image {
                container["image"] = json!(image.to_string());
            }
            container
        });
    let containers = prop::collection::vec(container, 0..3).prop_map(|mut list| {
        let mut seen = std::collections::BTreeSet::new();
        list.retain(|c| seen.insert(c["name"].to_string()));
        list
    });
    let finalizers = prop::collection::btree_set(name.clone(), 0..3);
    let selector = prop::collection::btree_map(name, 0..3u8, 0..3);
    (containers, finalizers, selector).prop_map(|(containers, finalizers, selector)| {
        json!({"metadata": {"finalizers": finalizers}, "spec": {"containers": containers, "nodeSelector": selector}})
    })
}

/// Whether all that `wanted` says stands in `found`; elements of merged lists are found by name.
fn holds(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(k, w)| found.get(k).is_some_and(|f| holds(w, f)))
        }
        (Value::Array(wanted), Value::Array(found)) => wanted.iter().all(|w| found.iter().any(|f| holds(w, f))),
        _ => wanted == found,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_three_way_patch_yields_what_was_wanted_and_then_rests(original in spec(), modified in spec(), current in spec()) {
        let patch = three_way("v1", "Pod", &original, &modified, &current).unwrap();
        let after = apply("v1", "Pod", &current, &patch).unwrap();
        prop_assert!(holds(&modified, &after), "{} gives {}", patch, after);
        prop_assert_eq!(three_way("v1", "Pod", &modified, &modified, &after).unwrap(), json!({}));
        prop_assert_eq!(apply("v1", "Pod", &after, &patch).unwrap(), after);
    }

    #[test]
    fn a_json_three_way_patch_yields_what_was_wanted(original in spec(), modified in spec(), current in spec()) {
        let patch = crate::three_way_json(&original, &modified, &current);
        let after = crate::merge_patch(&current, &patch);
        prop_assert!(holds(&modified, &after));
        prop_assert_eq!(crate::three_way_json(&modified, &modified, &after), json!({}));
        prop_assert_eq!(crate::merge_patch(&after, &patch), after);
    }

    #[test]
    fn differences_lead_from_source_to_target(source in spec(), target in spec()) {
        let operations: Vec<Value> = crate::diff::diff(&source, &target, TypeInfo::Deduced).into_iter().map(|d| match d.op {
            crate::diff::Op::Add => json!({"op": "add", "path": d.path, "value": d.new}),
            crate::diff::Op::Remove => json!({"op": "remove", "path": d.path}),
            crate::diff::Op::Replace => json!({"op": "replace", "path": d.path, "value": d.new}),
        }).collect();
        prop_assert_eq!(crate::json_patch(&source, &json!(operations)).unwrap(), target);
    }
}
