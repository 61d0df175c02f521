//! JSON and hashes as Go writes them, because hashes are stored (placement-api 16.3).
//!
//! Structs keep their declared field order, maps are sorted, and `<`, `>`, `&`, U+2028, U+2029 are escaped.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Serializer, Value, json};
use sha2::{Digest, Sha256};

pub use crate::hex::hex;
use crate::placement::v1beta1::{ClusterResourceOverrideSpec, NamespacedName, PlacementPolicy, ResourceOverrideSpec};

/// Hash of a placement policy without `numberOfClusters`; an absent policy hashes the text `null`.
pub fn policy(policy: Option<&PlacementPolicy>) -> Result<String, serde_json::Error> {
    of(&policy.map(|p| PlacementPolicy {
        number_of_clusters: None,
        ..p.clone()
    }))
}

/// Hash of the content of a whole group of resource snapshots, manifests in selection order.
pub fn resources(manifests: &[&Value]) -> Result<String, serde_json::Error> {
    of(&json!({ "selectedResources": manifests }))
}

/// Hash of a ClusterResourceOverride's spec.
pub fn cluster_override(spec: &ClusterResourceOverrideSpec) -> Result<String, serde_json::Error> {
    of(spec)
}

/// Hash of a ResourceOverride's spec.
pub fn resource_override(spec: &ResourceOverrideSpec) -> Result<String, serde_json::Error> {
    of(spec)
}

/// Hash of the names of the applied ClusterResourceOverride snapshots; an empty list hashes `null`.
pub fn cluster_override_list(names: &[String]) -> Result<String, serde_json::Error> {
    of(&(!names.is_empty()).then_some(names))
}

/// Hash of the applied ResourceOverride snapshots; an empty list hashes `null`.
pub fn resource_override_list(names: &[NamespacedName]) -> Result<String, serde_json::Error> {
    of(&(!names.is_empty()).then_some(names))
}

/// Lower-case hex SHA-256 of [`go_json`].
pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(go_json(value)?)))
}

/// Compact JSON, byte for byte as Go's encoder writes it.
pub fn go_json<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, GoFormatter))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            if let Some(escaped) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(escaped))?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(go_float(value).as_bytes())
    }
}

/// A float as Go's JSON encoder prints it: shortest digits, an exponent only below 1e-6 and from 1e21 on.
fn go_float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        }
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::v1beta1::*;
    use crate::selector::{LabelSelector, LabelSelectorRequirement};

    /// Checks a hash against the text that must have been hashed.
    fn check(hash: Result<String, serde_json::Error>, text: &str) {
        assert_eq!(hash.unwrap(), hex(&Sha256::digest(text)), "{text}");
    }

    #[test]
    fn known_digests() {
        // Computed with sha256sum.
        assert_eq!(
            of(&()).unwrap(),
            "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"
        );
        assert_eq!(policy(None).unwrap(), of(&()).unwrap());
        assert_eq!(cluster_override_list(&[]).unwrap(), of(&()).unwrap());
        assert_eq!(resource_override_list(&[]).unwrap(), of(&()).unwrap());
    }

    #[test]
    fn strings_and_floats_are_written_as_go_does() {
        let table = [
            (json!("<a> & b"), r#""\u003ca\u003e \u0026 b""#),
            (json!("\u{2028}x\u{2029}"), r#""\u2028x\u2029""#),
            (
                json!("tab\t line\n \"q\" \\ ü \u{1} \u{7f}"),
                "\"tab\\t line\\n \\\"q\\\" \\\\ ü \\u0001 \u{7f}\"",
            ),
            (
                json!({ "b": 1, "a": { "d": [], "c": null } }),
                r#"{"a":{"c":null,"d":[]},"b":1}"#,
            ),
            (json!({ "<": 1 }), r#"{"\u003c":1}"#),
            (
                json!([1.0, -0.5, 1e20, 1e21, 1.5e-7, 0.000001, 1e300]),
                "[1,-0.5,100000000000000000000,1e+21,1.5e-7,0.000001,1e+300]",
            ),
            (
                json!([u64::MAX, i64::MIN, 0.0]),
                "[18446744073709551615,-9223372036854775808,0]",
            ),
        ];
        for (value, text) in table {
            assert_eq!(go_json(&value).unwrap(), text);
        }
    }

    #[test]
    fn policies_hash_in_declared_order_without_the_number_of_clusters() {
        let term = ClusterSelectorTerm {
            label_selector: Some(LabelSelector {
                match_labels: [("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())].into(),
                match_expressions: vec![LabelSelectorRequirement {
                    key: "k".into(),
                    operator: "Exists".into(),
                    values: vec![],
                }],
            }),
            property_selector: Some(PropertySelector {
                match_expressions: vec![PropertySelectorRequirement {
                    name: "p".into(),
                    operator: "Ge".into(),
                    values: vec!["5".into()],
                }],
            }),
            property_sorter: None,
        };
        let sorter = PropertySorter {
            name: "p".into(),
            sort_order: PropertySortOrder::Descending,
        };
        let full = PlacementPolicy {
            placement_type: Some(PlacementType::PickN),
            cluster_names: vec!["c".into()],
            number_of_clusters: Some(3),
            affinity: Some(Affinity {
                cluster_affinity: Some(ClusterAffinity {
                    required_during_scheduling_ignored_during_execution: Some(ClusterSelector {
                        cluster_selector_terms: vec![term],
                    }),
                    preferred_during_scheduling_ignored_during_execution: vec![PreferredClusterSelector {
                        weight: 5,
                        preference: ClusterSelectorTerm {
                            property_sorter: Some(sorter),
                            ..Default::default()
                        },
                    }],
                }),
            }),
            topology_spread_constraints: vec![TopologySpreadConstraint {
                max_skew: Some(1),
                topology_key: "zone".into(),
                when_unsatisfiable: Some(UnsatisfiableConstraintAction::DoNotSchedule),
            }],
            tolerations: vec![Toleration {
                key: "k".into(),
                operator: Some(TolerationOperator::Equal),
                value: "v".into(),
                effect: Some(TaintEffect::NoSchedule),
            }],
        };
        let text = concat!(
            r#"{"placementType":"PickN","clusterNames":["c"],"affinity":{"clusterAffinity":{"#,
            r#""requiredDuringSchedulingIgnoredDuringExecution":{"clusterSelectorTerms":[{"#,
            r#""labelSelector":{"matchLabels":{"a":"2","b":"1"},"matchExpressions":[{"key":"k","operator":"Exists"}]},"#,
            r#""propertySelector":{"matchExpressions":[{"name":"p","operator":"Ge","values":["5"]}]}}]},"#,
            r#""preferredDuringSchedulingIgnoredDuringExecution":[{"weight":5,"preference":{"propertySorter":"#,
            r#"{"name":"p","sortOrder":"Descending"}}}]}},"topologySpreadConstraints":[{"maxSkew":1,"#,
            r#""topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"}],"tolerations":[{"key":"k","#,
            r#""operator":"Equal","value":"v","effect":"NoSchedule"}]}"#,
        );
        check(policy(Some(&full)), text);
        let other = PlacementPolicy {
            number_of_clusters: Some(4),
            ..full
        };
        check(policy(Some(&other)), text);
        check(policy(Some(&PlacementPolicy::default())), "{}");
    }

    #[test]
    fn overrides_hash_in_declared_order() {
        let rule = OverrideRule {
            cluster_selector: Some(ClusterSelector::default()),
            override_type: Some(OverrideType::JSONPatch),
            json_patch_overrides: vec![
                JSONPatchOverride {
                    operator: JSONPatchOverrideOperator::Add,
                    path: "/a".into(),
                    value: json!({ "z": "<", "y": 1 }),
                },
                JSONPatchOverride {
                    operator: JSONPatchOverrideOperator::Remove,
                    path: "/b".into(),
                    value: Value::Null,
                },
            ],
        };
        let rules = concat!(
            r#""policy":{"overrideRules":[{"clusterSelector":{"clusterSelectorTerms":[]},"overrideType":"JSONPatch","#,
            r#""jsonPatchOverrides":[{"op":"add","path":"/a","value":{"y":1,"z":"\u003c"}},"#,
            r#"{"op":"remove","path":"/b","value":null}]}]}}"#,
        );
        let placement = Some(PlacementRef {
            name: "p".into(),
            scope: Some(ResourceScope::Cluster),
        });
        let of_cluster = ClusterResourceOverrideSpec {
            placement: placement.clone(),
            cluster_resource_selectors: vec![ResourceSelectorTerm {
                version: "v1".into(),
                kind: "Namespace".into(),
                name: "app".into(),
                selection_scope: Some(SelectionScope::NamespaceWithResources),
                ..Default::default()
            }],
            policy: OverridePolicy {
                override_rules: vec![rule.clone()],
            },
        };
        let head = concat!(
            r#"{"placement":{"name":"p","scope":"Cluster"},"clusterResourceSelectors":[{"group":"","version":"v1","#,
            r#""kind":"Namespace","name":"app","selectionScope":"NamespaceWithResources"}],"#,
        );
        check(cluster_override(&of_cluster), &format!("{head}{rules}"));
        let of_resource = ResourceOverrideSpec {
            placement: None,
            resource_selectors: vec![ResourceSelector {
                version: "v1".into(),
                kind: "Service".into(),
                name: "s".into(),
                ..Default::default()
            }],
            policy: OverridePolicy {
                override_rules: vec![rule],
            },
        };
        let head = r#"{"resourceSelectors":[{"group":"","version":"v1","kind":"Service","name":"s"}],"#;
        check(resource_override(&of_resource), &format!("{head}{rules}"));
    }

    #[test]
    fn lists_and_resources() {
        check(cluster_override_list(&["b".into(), "a".into()]), r#"["b","a"]"#);
        let name = NamespacedName {
            name: "n".into(),
            namespace: "ns".into(),
        };
        check(resource_override_list(&[name]), r#"[{"name":"n","namespace":"ns"}]"#);
        check(resources(&[]), r#"{"selectedResources":[]}"#);
        let manifest = json!({ "kind": "ConfigMap", "apiVersion": "v1", "data": { "b": "&", "a": "" } });
        let text = r#"{"selectedResources":[{"apiVersion":"v1","data":{"a":"","b":"\u0026"},"kind":"ConfigMap"}]}"#;
        check(resources(&[&manifest]), text);
    }
}
