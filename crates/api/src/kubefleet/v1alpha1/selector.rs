//! How clusters and resources are selected.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::rules;
use crate::serde_util::{null_default, string_enum};

/// Refers to an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// Namespace, absent for cluster-scoped objects.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// API group, absent for the core group.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// API version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
}

/// Conditions on one cluster, ANDed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSelectorTerm {
    /// Labels that must be present with exactly these values.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(extend("maxProperties" = 10))]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements on labels.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub match_label_expressions: Vec<SelectorExpression>,
    /// Requirements on properties.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub match_cluster_property_expressions: Vec<SelectorExpression>,
}

string_enum! {
    /// How a value is compared.
    SelectorOperator {
        /// It is one of the values.
        In,
        /// It is none of the values.
        NotIn,
        /// It is there.
        Exists,
        /// It is not there.
        DoesNotExist,
        /// It is greater.
        Gt,
        /// It is smaller.
        Lt,
        /// It is greater or equal.
        Ge,
        /// It is smaller or equal.
        Le,
        /// It is equal.
        Eq,
        /// It is not equal.
        Ne,
    }
}

/// A requirement on a label or property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(EXPRESSION)))]
pub struct SelectorExpression {
    /// Label or property.
    pub key: String,
    /// How the value is compared.
    pub operator: SelectorOperator,
    /// What it is compared with.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

const EXPRESSION: &[(&str, &str)] = &[
    (
        "(self.operator == 'In' || self.operator == 'NotIn') ? (has(self.values) && size(self.values) > 0) : true",
        "values must be non-empty when operator is In or NotIn",
    ),
    (
        "(self.operator == 'Exists' || self.operator == 'DoesNotExist') ? \
         (!has(self.values) || size(self.values) == 0) : true",
        "values must be empty when operator is Exists or DoesNotExist",
    ),
    (
        "(self.operator == 'Gt' || self.operator == 'Lt' || self.operator == 'Ge' || self.operator == 'Le' || \
         self.operator == 'Eq' || self.operator == 'Ne') ? (has(self.values) && size(self.values) == 1) : true",
        "values must contain exactly one element when operator is Gt, Lt, Ge, Le, Eq, or Ne",
    ),
];
