//! Applying what is wanted, letting the server settle it, and applying it again sends nothing: for lists whose merge key is not
//! unique, for quantities in every spelling and for unions, client-side and server-side.

use super::{apply, three_way};
use crate::ssa::{self, FieldSet, Writer};
use crate::types::TypeInfo;
use crate::values;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ME: Writer<'static> = Writer {
    manager: "me",
    api_version: "apps/v1",
    subresource: "",
    now: "2026-01-01T00:00:00Z",
    reset: &NOTHING,
};
static NOTHING: FieldSet = FieldSet::empty();

/// What the server makes of a written Deployment.
fn settled(mut object: Value) -> Value {
    let spec = object.pointer_mut("/spec").unwrap();
    let strategy = spec
        .as_object_mut()
        .unwrap()
        .entry("strategy")
        .or_insert_with(|| json!({}));
    if strategy.get("type").is_none_or(Value::is_null) {
        strategy["type"] = json!("RollingUpdate");
    }
    if strategy["type"] == "RollingUpdate" {
        strategy["rollingUpdate"] = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
    }
    let pod = spec.pointer_mut("/template/spec").unwrap().as_object_mut().unwrap();
    for volume in pod
        .get_mut("volumes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let volume = volume.as_object_mut().unwrap();
        if volume.len() == 1 {
            volume.insert("emptyDir".into(), json!({}));
        }
    }
    let container = pod["containers"][0].as_object_mut().unwrap();
    for port in container
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        port.as_object_mut()
            .unwrap()
            .entry("protocol")
            .or_insert_with(|| json!("TCP"));
    }
    for amount in container["resources"]["limits"]
        .as_object_mut()
        .into_iter()
        .flatten()
        .map(|(_, amount)| amount)
    {
        *amount = json!(match amount.to_string().trim_matches('"') {
            "1000m" | "1" | "1.0" => "1",
            "1500m" | "1.5" => "1500m",
            other => panic!("{other}"),
        });
    }
    let node = at(&["spec", "template", "spec", "containers", "[]"]);
    container.retain(|key, value| !values::is_absent(value, node.member(key)) || key == "resources");
    let node = at(&["spec", "template", "spec"]);
    let pod = object
        .pointer_mut("/spec/template/spec")
        .and_then(Value::as_object_mut)
        .unwrap();
    pod.retain(|key, value| !values::is_absent(value, node.member(key)));
    object
}

fn at(path: &[&str]) -> TypeInfo<'static> {
    let root = TypeInfo::builtin("apps/v1", "Deployment").unwrap();
    path.iter().fold(
        root,
        |node, step| if *step == "[]" { node.item() } else { node.member(step) },
    )
}

/// Elements that `key` identifies.
fn unique(list: Vec<Value>, key: impl Fn(&Value) -> String) -> Vec<Value> {
    let mut seen = BTreeMap::new();
    for (place, item) in list.into_iter().enumerate() {
        seen.entry(key(&item)).or_insert((place, item));
    }
    let mut kept: Vec<(usize, Value)> = seen.into_values().collect();
    kept.sort_by_key(|(place, _)| *place);
    kept.into_iter().map(|(_, item)| item).collect()
}

fn deployment() -> impl Strategy<Value = Value> {
    let some = |words: &'static [&'static str]| prop::option::of(prop::sample::select(words));
    let port = (
        prop::sample::select(&[53, 80][..]),
        some(&["TCP", "UDP"]),
        some(&["a", "b"]),
    )
        .prop_map(|(number, protocol, name)| {
            let mut port = json!({ "containerPort": number });
            protocol.into_iter().for_each(|word| port["protocol"] = json!(word));
            name.into_iter().for_each(|word| port["name"] = json!(word));
            port
        });
    let ports = prop::collection::vec(port, 0..4).prop_map(|list| {
        unique(list, |port| {
            format!(
                "{} {}",
                port["containerPort"],
                port.get("protocol").unwrap_or(&json!("TCP"))
            )
        })
    });
    let spread = (
        prop::sample::select(&["zone", "node"][..]),
        prop::sample::select(&["DoNotSchedule", "ScheduleAnyway"][..]),
        1..3,
    )
        .prop_map(
            |(topology, when, skew)| json!({"topologyKey": topology, "whenUnsatisfiable": when, "maxSkew": skew}),
        );
    let spreads = prop::collection::vec(spread, 0..4).prop_map(|list| {
        unique(list, |one| {
            format!("{}{}", one["topologyKey"], one["whenUnsatisfiable"])
        })
    });
    let limit = prop::sample::select(vec![
        json!("1000m"),
        json!(1),
        json!("1"),
        json!(1.5),
        json!("1500m"),
        json!("1.5"),
    ]);
    let source = prop::sample::select(vec![
        json!({}),
        json!({"emptyDir": {}}),
        json!({"configMap": {"name": "c"}}),
        json!({"hostPath": {"path": "/"}}),
    ]);
    let volumes = prop::collection::btree_map(prop::sample::select(&["v", "w"][..]), source, 0..3).prop_map(|map| {
        let named = |(name, mut source): (&str, Value)| {
            source["name"] = json!(name);
            source
        };
        map.into_iter().map(named).collect::<Vec<Value>>()
    });
    let empties = prop::sample::select(vec![
        json!({}),
        json!({"env": [], "stdin": false, "workingDir": ""}),
        json!({"command": null}),
    ]);
    let strategy = some(&["Recreate", "RollingUpdate"]);
    (ports, spreads, limit, volumes, empties, strategy).prop_map(
        |(ports, spreads, limit, volumes, empties, strategy)| {
            let mut container = json!({"name": "c", "ports": ports, "resources": {"limits": {"cpu": limit}}});
            container
                .as_object_mut()
                .unwrap()
                .extend(empties.as_object().unwrap().clone());
            let pod = json!({"containers": [container], "topologySpreadConstraints": spreads, "volumes": volumes});
            let mut spec = json!({"template": {"spec": pod}});
            strategy
                .into_iter()
                .for_each(|word| spec["strategy"] = json!({ "type": word }));
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
        },
    )
}

/// That the server would not refuse the object: no union has two branches.
fn check_unions(object: &Value) -> Result<(), TestCaseError> {
    let recreate = object
        .pointer("/spec/strategy/type")
        .is_some_and(|word| word == "Recreate");
    prop_assert!(
        !recreate || object.pointer("/spec/strategy/rollingUpdate").is_none(),
        "{}",
        object
    );
    let volumes = object.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
    prop_assert!(
        volumes
            .into_iter()
            .flatten()
            .all(|volume| volume.as_object().map_or(0, Map::len) == 2),
        "{}",
        object
    );
    Ok(())
}

/// That all elements of `wanted` stand in `found`.
fn check_lists(wanted: &Value, found: &Value) -> Result<(), TestCaseError> {
    for (path, keys) in [
        ("/spec/template/spec/containers/0/ports", ["containerPort", "protocol"]),
        (
            "/spec/template/spec/topologySpreadConstraints",
            ["topologyKey", "whenUnsatisfiable"],
        ),
    ] {
        let list = |object: &Value| {
            object
                .pointer(path)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let id = |item: &Value| keys.map(|key| item.get(key).cloned().unwrap_or_else(|| json!("TCP")));
        for item in list(wanted) {
            let twins = list(found)
                .into_iter()
                .filter(|other| id(other) == id(&item))
                .collect::<Vec<_>>();
            prop_assert_eq!(twins.len(), 1, "{} in {}", item, found);
            prop_assert!(
                item.as_object()
                    .into_iter()
                    .flatten()
                    .all(|(key, value)| twins[0].get(key) == Some(value))
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn client_side_what_is_applied_rests(original in deployment(), modified in deployment(), foreign in deployment()) {
        let apply_once = |original: &Value, live: &Value, wanted: &Value| {
            let patch = three_way("apps/v1", "Deployment", original, wanted, live).unwrap();
            (patch.clone(), settled(apply("apps/v1", "Deployment", live, &patch).unwrap()))
        };
        // Somebody else works on the object as well.
        let (_, live) = apply_once(&Value::Null, &settled(original.clone()), &foreign);
        let (patch, after) = apply_once(&original, &live, &modified);
        check_lists(&modified, &after)?;
        let (again, rests) = apply_once(&modified, &after, &modified);
        prop_assert_eq!(&again, &json!({}), "after {}", patch);
        prop_assert_eq!(rests, after);
    }

    #[test]
    fn client_side_no_union_gets_two_branches(original in deployment(), modified in deployment()) {
        let live = settled(original.clone());
        let patch = three_way("apps/v1", "Deployment", &original, &modified, &live).unwrap();
        check_unions(&settled(apply("apps/v1", "Deployment", &live, &patch).unwrap()))?;
    }

    #[test]
    fn server_side_what_is_applied_rests(original in deployment(), modified in deployment()) {
        let types = at(&[]);
        let apply = |live: Option<&Value>, config: &Value| settled(ssa::apply(live, config, types, &ME, false).unwrap());
        let live = apply(None, &original);
        let lost = crate::branches_in_the_way(&original, &modified, &live, types);
        let mut own = ssa::Entries::of(&live, "me");
        own.applied = own.applied.union(&lost);
        let mut live = live.clone();
        live["metadata"]["managedFields"] = own.written(&live, "me", "apps/v1");
        let after = apply(Some(&live), &modified);
        check_lists(&modified, &after)?;
        check_unions(&after)?;
        prop_assert_eq!(apply(Some(&after), &modified), after);
    }
}
