use super::*;
use proptest::prelude::*;

fn status() -> FieldSet {
    FieldSet::of_fields(&[&["status"]])
}

fn deployment() -> TypeInfo<'static> {
    TypeInfo::builtin("apps/v1", "Deployment").unwrap()
}

fn config_map() -> TypeInfo<'static> {
    TypeInfo::builtin("v1", "ConfigMap").unwrap()
}

/// Writes on behalf of `manager` through the main endpoint of a v1 kind.
fn writer<'a>(manager: &'a str, reset: &'a FieldSet) -> Writer<'a> {
    Writer {
        manager,
        api_version: "v1",
        subresource: "",
        now: "2026-01-02T03:04:05Z",
        reset,
    }
}

fn applied(
    live: Option<&Value>,
    config: Value,
    manager: &str,
    types: TypeInfo<'_>,
    force: bool,
) -> Result<Value, SsaError> {
    apply(live, &config, types, &writer(manager, &status()), force)
}

fn data(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

fn fields_of(object: &Value, manager: &str, operation: &str) -> Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    entries
        .iter()
        .find(|e| e["manager"] == manager && e["operation"] == operation)
        .map_or(Value::Null, |e| e["fieldsV1"].clone())
}

#[test]
fn the_first_apply_creates_and_owns_what_it_says() {
    let object = applied(None, data(json!({"a": "1"})), "me", config_map(), false).unwrap();
    assert_eq!(object["data"], json!({"a": "1"}));
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{"manager": "me", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {"f:a": {}}}}])
    );
}

#[test]
fn fields_that_an_applier_drops_disappear_unless_somebody_else_owns_them() {
    let first = applied(
        None,
        data(json!({"a": "1", "b": "1", "c": "1"})),
        "one",
        config_map(),
        false,
    )
    .unwrap();
    let shared = applied(Some(&first), data(json!({"b": "1"})), "two", config_map(), false).unwrap();
    let updated = update_managed_fields(
        Some(&shared),
        &crate::merge_patch(&shared, &json!({"data": {"d": "9"}})),
        config_map(),
        &writer("editor", &status()),
    );
    let dropped = applied(Some(&updated), data(json!({"a": "1"})), "one", config_map(), false).unwrap();
    assert_eq!(dropped["data"], json!({"a": "1", "b": "1", "d": "9"}));
    assert_eq!(fields_of(&dropped, "two", "Apply"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(fields_of(&dropped, "editor", "Update"), json!({"f:data": {"f:d": {}}}));
    let gone = applied(
        Some(&first),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
        "one",
        config_map(),
        false,
    )
    .unwrap();
    assert_eq!(gone.get("data"), None);
    assert_eq!(gone["metadata"].get("managedFields"), None);
}

#[test]
fn another_value_for_an_owned_field_is_a_conflict_unless_forced() {
    let live = applied(None, data(json!({"a": "1", "b": "1"})), "one", config_map(), false).unwrap();
    let same = applied(Some(&live), data(json!({"a": "1"})), "two", config_map(), false).unwrap();
    assert_eq!(
        fields_of(&same, "one", "Apply"),
        json!({"f:data": {"f:a": {}, "f:b": {}}})
    );
    let conflict = applied(Some(&live), data(json!({"a": "2"})), "two", config_map(), false).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        r#"Apply failed with 1 conflict: conflict with "one": .data.a"#
    );
    let both = applied(
        Some(&live),
        data(json!({"a": "2", "b": "2"})),
        "two",
        config_map(),
        false,
    )
    .unwrap_err();
    assert_eq!(
        both.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b"
    );
    let forced = applied(Some(&live), data(json!({"a": "2"})), "two", config_map(), true).unwrap();
    assert_eq!(forced["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(fields_of(&forced, "one", "Apply"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(fields_of(&forced, "two", "Apply"), json!({"f:data": {"f:a": {}}}));
}

#[test]
fn conflicts_with_updates_name_version_and_subresource() {
    let reset = FieldSet::default();
    let created = update_managed_fields(None, &data(json!({"a": "1"})), config_map(), &writer("creator", &reset));
    let conflict = applied(Some(&created), data(json!({"a": "2"})), "me", config_map(), false).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        r#"Apply failed with 1 conflict: conflict with "creator" using v1: .data.a"#
    );
    let scaler = Writer {
        subresource: "scale",
        api_version: "apps/v1",
        ..writer("scaler", &reset)
    };
    let live = json!({"metadata": {"name": "d"}, "spec": {"replicas": 1}});
    let scaled = update_managed_fields(
        Some(&applied(None, live, "one", deployment(), false).unwrap()),
        &json!({"metadata": {"name": "d"}, "spec": {"replicas": 3}}),
        deployment(),
        &scaler,
    );
    let conflict = applied(
        Some(&scaled),
        json!({"metadata": {"name": "d"}, "spec": {"replicas": 2}}),
        "two",
        deployment(),
        false,
    )
    .unwrap_err();
    assert_eq!(
        conflict.to_string(),
        r#"Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas"#
    );
    let SsaError::Conflicts(list) = conflict else {
        unreachable!()
    };
    assert_eq!(
        list[0].message(),
        r#"conflict with "scaler" with subresource "scale" using apps/v1"#
    );
}

#[test]
fn an_object_without_entries_belongs_to_before_first_apply() {
    let live = data(json!({"a": "1"}));
    let conflict = applied(Some(&live), data(json!({"a": "2"})), "me", config_map(), false).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        r#"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a"#
    );
    let object = applied(Some(&live), data(json!({"b": "2"})), "me", config_map(), false).unwrap();
    assert_eq!(
        fields_of(&object, "before-first-apply", "Update"),
        json!({"f:data": {".": {}, "f:a": {}}})
    );
    let untracked = update_managed_fields(
        Some(&live),
        &data(json!({"a": "3"})),
        config_map(),
        &writer("x", &status()),
    );
    assert_eq!(untracked["metadata"].get("managedFields"), None);
}

#[test]
fn lists_with_keys_are_owned_element_by_element() {
    let pod = |containers: Value| json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": containers}}}});
    let one = applied(
        None,
        pod(json!([{"name": "app", "image": "1", "ports": [{"containerPort": 80}]}])),
        "one",
        deployment(),
        false,
    )
    .unwrap();
    assert_eq!(
        fields_of(&one, "one", "Apply"),
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}})
    );
    let two = applied(Some(&one), pod(json!([{"name": "side", "image": "s"}, {"name": "app", "ports": [{"containerPort": 80, "protocol": "UDP"}]}])), "two", deployment(), false).unwrap();
    let containers = &two["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["name"], "side");
    assert_eq!(
        containers[1]["ports"],
        json!([{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}])
    );
    let left = applied(Some(&two), pod(json!([{"name": "app"}])), "two", deployment(), false).unwrap();
    assert_eq!(
        left["spec"]["template"]["spec"]["containers"],
        json!([{"name": "app", "image": "1", "ports": [{"containerPort": 80}]}])
    );
    let refused = applied(None, pod(json!([{"image": "1"}])), "one", deployment(), false).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with(".spec.template.spec.containers: element 0: associative list with keys"),
        "{refused}"
    );
    let twice = applied(
        None,
        pod(json!([{"name": "a"}, {"name": "a"}])),
        "one",
        deployment(),
        false,
    )
    .unwrap_err();
    assert_eq!(
        twice.to_string(),
        r#".spec.template.spec.containers: duplicate entries for key [name="a"]"#
    );
}

#[test]
fn a_custom_schema_says_what_is_atomic() {
    let schema = json!({"properties": {"spec": {"type": "object", "properties": {
        "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "plain": {"type": "array"},
        "limits": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}});
    let types = TypeInfo::custom(&schema);
    let config = |spec: Value| json!({"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "f"}, "spec": spec});
    let one = applied(
        None,
        config(json!({"names": ["a"], "plain": [1], "limits": {"x": "1"}, "free": {"any": {"thing": 1}}})),
        "one",
        types,
        false,
    )
    .unwrap();
    assert_eq!(
        fields_of(&one, "one", "Apply"),
        json!({"f:spec": {"f:names": {"v:\"a\"": {}}, "f:plain": {}, "f:limits": {}, "f:free": {"f:any": {".": {}, "f:thing": {}}}}})
    );
    let two = applied(Some(&one), config(json!({"names": ["b"]})), "two", types, false).unwrap();
    assert_eq!(two["spec"]["names"], json!(["a", "b"]));
    let conflict = applied(Some(&one), config(json!({"limits": {"y": "1"}})), "two", types, false).unwrap_err();
    assert_eq!(
        conflict.to_string(),
        r#"Apply failed with 1 conflict: conflict with "one": .spec.limits"#
    );
    let undeclared = applied(None, config(json!({"nope": 1})), "one", types, false).unwrap_err();
    assert_eq!(undeclared.to_string(), ".spec.nope: field not declared in schema");
}

#[test]
fn status_writes_are_kept_apart() {
    let main = status();
    let created = update_managed_fields(
        None,
        &json!({"metadata": {"name": "d"}, "spec": {"replicas": 1}, "status": {"replicas": 9}}),
        deployment(),
        &writer("user", &main),
    );
    assert_eq!(
        fields_of(&created, "user", "Update"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    let reset = FieldSet::of_fields(&[&["spec"]]);
    let through_status = Writer {
        subresource: "status",
        ..writer("controller", &reset)
    };
    let new = json!({"metadata": {"name": "d", "managedFields": []}, "spec": {"replicas": 7}, "status": {"replicas": 9, "conditions": [{"type": "Available", "status": "True"}]}});
    let object = update_managed_fields(Some(&created), &new, deployment(), &through_status);
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["subresource"], "status");
    assert_eq!(
        entries[0]["fieldsV1"]["f:status"]["f:conditions"],
        json!({".": {}, "k:{\"type\":\"Available\"}": {".": {}, "f:type": {}, "f:status": {}}})
    );
    assert!(entries[0]["fieldsV1"].get("f:spec").is_none());
}

#[test]
fn updates_take_fields_over_and_give_removed_ones_up() {
    let reset = status();
    let one = applied(
        None,
        data(json!({"a": "1", "b": "1", "c": "1"})),
        "one",
        config_map(),
        false,
    )
    .unwrap();
    let mut new = one.clone();
    new["data"] = json!({"a": "2", "b": "1"});
    let updated = update_managed_fields(Some(&one), &new, config_map(), &writer("editor", &reset));
    assert_eq!(fields_of(&updated, "one", "Apply"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(fields_of(&updated, "editor", "Update"), json!({"f:data": {"f:a": {}}}));
    new["metadata"]["managedFields"] = json!([]);
    assert_eq!(
        update_managed_fields(Some(&one), &new, config_map(), &writer("editor", &reset))["metadata"]
            .get("managedFields"),
        None
    );
    let unchanged = update_managed_fields(
        Some(&one),
        &one,
        config_map(),
        &Writer {
            now: "2030-01-01T00:00:00Z",
            ..writer("editor", &reset)
        },
    );
    assert_eq!(unchanged, one);
}

#[test]
fn too_many_updaters_are_merged() {
    let reset = status();
    let mut object = update_managed_fields(None, &data(json!({"k": "0"})), config_map(), &writer("m0", &reset));
    for i in 1..15 {
        let new = crate::merge_patch(&object, &json!({"data": {format!("k{i}"): "1"}}));
        let now = format!("2026-01-02T03:05:{i:02}Z");
        object = update_managed_fields(
            Some(&object),
            &new,
            config_map(),
            &Writer {
                now: &now,
                ..writer(&format!("m{i}"), &reset)
            },
        );
    }
    assert_eq!(object["metadata"]["managedFields"].as_array().unwrap().len(), 10);
    assert_eq!(
        fields_of(&object, "ancient-changes", "Update")["f:data"]
            .as_object()
            .unwrap()
            .len(),
        7
    );
}

#[test]
fn kubectl_may_apply_over_its_own_client_side_apply() {
    let reset = status();
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let mut live = data(json!({"a": "1", "other": "1"}));
    live["metadata"]["annotations"] = json!({annotation: data(json!({"a": "1"})).to_string()});
    let live = update_managed_fields(None, &live, config_map(), &writer("kubectl-client-side-apply", &reset));
    let upgraded = applied(Some(&live), data(json!({"a": "2"})), "kubectl", config_map(), false).unwrap();
    assert_eq!(upgraded["data"]["a"], "2");
    assert_eq!(
        upgraded["metadata"]["annotations"][annotation],
        format!("{}\n", data(json!({"a": "2"})))
    );
    let refused = applied(
        Some(&live),
        data(json!({"a": "2", "other": "2"})),
        "kubectl",
        config_map(),
        false,
    )
    .unwrap_err();
    assert_eq!(
        refused.to_string(),
        r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.other"#
    );
}

#[test]
fn extract_gives_back_what_was_applied() {
    let config = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "1"}]}}}});
    let one = applied(None, config.clone(), "one", deployment(), false).unwrap();
    let more = json!({"metadata": {"name": "d"}, "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "app", "tty": true}, {"name": "side"}]}}}});
    let two = applied(Some(&one), more, "two", deployment(), false).unwrap();
    assert_eq!(extract(&two, "one", "", deployment()), Some(config));
    assert_eq!(extract(&two, "nobody", "", deployment()), None);
    assert!(is_owned(&two, &["spec", "replicas"]) && !is_owned(&two, &["spec", "paused"]) && !is_owned(&two, &[]));
    assert!(!owned(&two, "two", true).is_empty() && owned(&two, "two", false).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn applying_twice_changes_nothing(one in entries(), two in entries(), edit in entries()) {
        let live = applied(None, labelled(&one), "one", deployment(), false).unwrap();
        let edited = crate::merge_patch(&live, &json!({"metadata": {"labels": edit}}));
        let live = update_managed_fields(Some(&live), &edited, deployment(), &writer("editor", &status()));
        let once = applied(Some(&live), labelled(&two), "one", deployment(), true).unwrap();
        let reset = status();
        let later = Writer { now: "2030-01-01T00:00:00Z", ..writer("one", &reset) };
        let twice = apply(Some(&once), &labelled(&two), deployment(), &later, false).unwrap();
        prop_assert_eq!(&once, &twice);
        for (key, value) in &two {
            prop_assert_eq!(&once["metadata"]["labels"][key], &json!(value));
        }
        for key in one.keys().filter(|key| !two.contains_key(*key) && !edit.contains_key(*key)) {
            prop_assert_eq!(once["metadata"]["labels"].get(key), None);
        }
    }
}

fn entries() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    prop::collection::btree_map("[a-d]", "[x-y]", 0..4)
}

/// The same keys as labels and as containers; without any, neither is there.
fn labelled(entries: &std::collections::BTreeMap<String, String>) -> Value {
    let containers: Vec<Value> = entries
        .iter()
        .map(|(name, image)| json!({"name": name, "image": image}))
        .collect();
    if entries.is_empty() {
        return json!({"metadata": {"name": "d"}, "spec": {"paused": true}});
    }
    json!({"metadata": {"name": "d", "labels": entries}, "spec": {"template": {"spec": {"containers": containers}}}})
}
