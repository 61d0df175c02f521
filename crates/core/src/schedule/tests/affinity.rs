//! Required and preferred cluster affinity.

use super::super::affinity::{Preferences, required};
use super::*;

fn fleet() -> Vec<Arc<Member>> {
    let member = |name: &str, cpu: &str, nodes: Value| {
        let properties = if nodes.is_null() {
            json!({})
        } else {
            json!({"nodes": {"value": nodes, "observationTime": NOW}})
        };
        let usage = json!({"capacity": {"cpu": cpu, "nvidia.com/gpu-mem": "8Gi"}, "available": {"cpu": "1"}, "observationTime": NOW});
        member_with(
            name,
            json!({"env": name}),
            json!([]),
            json!({"resourceUsage": usage, "properties": properties}),
        )
    };
    vec![
        member("a", "4", json!("2")),
        member("b", "8", json!("6")),
        member("c", "16", json!(null)),
    ]
}

#[test]
fn required_terms() {
    let members = fleet();
    let property = |name: &str, operator: &str, value: &str| json!({"propertySelector": {"matchExpressions": [{"name": name, "operator": operator, "values": [value]}]}});
    let cpu = "resources.kubernetes-fleet.io/total-cpu";
    let cases: Vec<(Value, &[&str])> = vec![
        (json!([]), &["a", "b", "c"]),
        (json!([{}]), &["a", "b", "c"]),
        (json!([{"labelSelector": {"matchLabels": {"env": "a"}}}]), &["a"]),
        (
            json!([{"labelSelector": {"matchLabels": {"env": "a"}}}, {"labelSelector": {"matchLabels": {"env": "c"}}}]),
            &["a", "c"],
        ),
        (json!([property(cpu, "Gt", "4")]), &["b", "c"]),
        (json!([property(cpu, "Ge", "4000m")]), &["a", "b", "c"]),
        (json!([property(cpu, "Eq", "8")]), &["b"]),
        (json!([property(cpu, "Ne", "8")]), &["a", "c"]),
        (json!([property(cpu, "Lt", "8")]), &["a"]),
        (json!([property(cpu, "Le", "8")]), &["a", "b"]),
        (json!([property("nodes", "Ne", "2")]), &["b"]),
        (
            json!([property("resources.kubernetes-fleet.io/available-cpu", "Eq", "1")]),
            &["a", "b", "c"],
        ),
        (
            json!([property(
                "resources.kubernetes-fleet.io/total-nvidia.com/gpu-mem",
                "Ge",
                "8Gi"
            )]),
            &["a", "b", "c"],
        ),
        (
            json!([{"labelSelector": {"matchLabels": {"env": "a"}}, "propertySelector": property(cpu, "Gt", "4")["propertySelector"]}]),
            &[],
        ),
    ];
    for (terms, expected) in cases {
        let terms: Vec<_> = serde_json::from_value(terms).unwrap();
        let passing = members.iter().filter(|m| required(&terms, m, &mut Vec::new()).unwrap());
        assert_eq!(passing.map(|m| m.name()).collect::<Vec<_>>(), expected, "{terms:?}");
    }
    for wrong in [
        property("nodes", "Above", "1"),
        property("nodes", "Gt", "many"),
        property("resources.kubernetes-fleet.io/used-cpu", "Gt", "1"),
        property("resources.kubernetes-fleet.io/cpu", "Gt", "1"),
    ] {
        let terms: Vec<_> = serde_json::from_value(json!([wrong])).unwrap();
        assert!(required(&terms, &members[0], &mut Vec::new()).is_err(), "{wrong}");
    }
}

#[test]
fn a_property_that_is_no_quantity_counts_as_absent_and_is_told_once() {
    let properties = json!({"nodes": {"value": "lots", "observationTime": NOW}});
    let mut members = fleet();
    members.push(member_with(
        "d",
        json!({}),
        json!([]),
        json!({"properties": properties}),
    ));
    let required = json!({"clusterSelectorTerms": [{"propertySelector": {"matchExpressions":
        [{"name": "nodes", "operator": "Gt", "values": ["1"]}]}}]});
    let affinity = json!({"clusterAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}});
    let case = Case::new(
        json!({"placementType": "PickAll", "affinity": affinity}),
        members,
        vec![],
    );
    let outcome = case.run();
    assert_eq!(short(&outcome), ["+a", "+b"]);
    assert_eq!(outcome.bad_properties.len(), 1);
    assert_eq!(outcome.bad_properties[0].member, "d");
}

#[test]
fn preferred_terms() {
    let members = fleet();
    let sorter = |weight: i32, order: &str, name: &str| json!({"weight": weight, "preference": {"propertySorter": {"name": name, "sortOrder": order}}});
    let cpu = "resources.kubernetes-fleet.io/total-cpu";
    let label = json!({"weight": 7, "preference": {"labelSelector": {"matchLabels": {"env": "b"}}}});
    let cases = [
        (json!([label]), [0, 7, 0]),
        (json!([{"weight": -3, "preference": {}}]), [-3, -3, -3]),
        (json!([sorter(30, "Descending", cpu)]), [0, 10, 30]),
        (json!([sorter(30, "Ascending", cpu)]), [30, 20, 0]),
        // Half is rounded away from zero: 4/12 of -10 is -3.3, of 10 for the rest 6.7.
        (json!([sorter(-10, "Descending", cpu)]), [0, -3, -10]),
        (json!([sorter(10, "Ascending", cpu)]), [10, 7, 0]),
        // Only two members have the property.
        (json!([sorter(10, "Descending", "nodes")]), [0, 10, 0]),
        (
            json!([sorter(10, "Descending", "resources.kubernetes-fleet.io/available-cpu")]),
            [0, 0, 0],
        ),
        (json!([label, sorter(30, "Descending", cpu)]), [0, 17, 30]),
    ];
    for (terms, expected) in cases {
        let terms: Vec<_> = serde_json::from_value(terms).unwrap();
        let mut bad = Vec::new();
        let preferences = Preferences::new(&terms, &members, &mut bad).unwrap();
        let scores: Vec<_> = members
            .iter()
            .map(|m| preferences.score(m, &mut bad).unwrap())
            .collect();
        assert_eq!(scores, expected, "{terms:?}");
    }
}

#[test]
fn only_policies_that_name_a_property_read_properties() {
    let preferred = |preference: Value| {
        let terms = json!([{"weight": 1, "preference": preference}]);
        json!({"affinity": {"clusterAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}})
    };
    let required = |term: Value| {
        let terms = json!({"clusterSelectorTerms": [term]});
        json!({"affinity": {"clusterAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}})
    };
    let labels = json!({"labelSelector": {"matchLabels": {"a": "propertySelector"}}});
    let selector =
        json!({"propertySelector": {"matchExpressions": [{"name": "p", "operator": "Gt", "values": ["1"]}]}});
    for (value, reads) in [
        (json!({}), false),
        (required(labels.clone()), false),
        (preferred(labels), false),
        (required(selector.clone()), true),
        (preferred(selector), true),
        (
            preferred(json!({"propertySorter": {"name": "p", "sortOrder": "Ascending"}})),
            true,
        ),
    ] {
        assert_eq!(reads_properties(Some(&policy(value.clone()))), reads, "{value}");
    }
    assert!(!reads_properties(None));
}
