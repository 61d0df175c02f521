//! Label selectors, by the rules of Kubernetes.
//!
//! An absent selector matches nothing; a selector without requirements matches everything. Use [`matches`] with the
//! option, so that the two are never confused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::serde_util::null_default;

/// A label selector. All parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Labels that must be present with exactly these values.
    #[serde(
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One requirement on a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// The label key.
    pub key: String,
    /// In, NotIn, Exists or DoesNotExist.
    pub operator: String,
    /// Values for In and NotIn; empty for the others.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// Why a selector cannot be evaluated; the texts are those of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The operator is none of the four.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
    /// In or NotIn without values.
    #[error("values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty")]
    ValuesMissing,
    /// Exists or DoesNotExist with values.
    #[error("values: Invalid value: {0}: values set must be empty for exists and does not exist")]
    ValuesForbidden(String),
    /// The key is no qualified name.
    #[error("key: Invalid value: {key:?}: {why}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value is no legal label value.
    #[error("values[{index}][{key}]: Invalid value: {value:?}: {why}")]
    Value {
        /// Position in the list of values.
        index: usize,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Whether `labels` satisfy an optional selector: absent matches nothing, empty matches everything.
pub fn matches(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> Result<bool, SelectorError> {
    selector.map_or(Ok(false), |s| s.matches(labels))
}

impl LabelSelector {
    /// Whether `labels` satisfy the selector. An illegal requirement is an error, even where another part fails.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> Result<bool, SelectorError> {
        self.validate()?;
        let equal = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        Ok(equal && self.match_expressions.iter().all(|r| r.holds(labels)))
    }

    /// Whether there is no requirement at all.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// The first illegal requirement: labels in key order, then expressions in their order.
    pub fn validate(&self) -> Result<(), SelectorError> {
        for (key, value) in &self.match_labels {
            check_key(key)?;
            check_value(key, 0, value)?;
        }
        self.match_expressions
            .iter()
            .try_for_each(LabelSelectorRequirement::validate)
    }
}

impl LabelSelectorRequirement {
    /// Whether the requirement is legal.
    pub fn validate(&self) -> Result<(), SelectorError> {
        match self.operator.as_str() {
            "In" | "NotIn" if self.values.is_empty() => {
                check_key(&self.key)?;
                return Err(SelectorError::ValuesMissing);
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !self.values.is_empty() => {
                check_key(&self.key)?;
                let quoted: Vec<String> = self.values.iter().map(|v| format!("{v:?}")).collect();
                return Err(SelectorError::ValuesForbidden(format!("[{}]", quoted.join(","))));
            }
            "Exists" | "DoesNotExist" => {}
            other => return Err(SelectorError::Operator(other.to_owned())),
        }
        check_key(&self.key)?;
        self.values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check_value(&self.key, index, value))
    }

    /// Evaluates a legal requirement.
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|v| self.values.contains(v)),
            "NotIn" => value.is_none_or(|v| !self.values.contains(v)),
            "Exists" => value.is_some(),
            _ => value.is_none(),
        }
    }
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    match crate::names::qualified_name_errors(key) {
        errors if errors.is_empty() => Ok(()),
        errors => Err(SelectorError::Key {
            key: key.to_owned(),
            why: errors.join("; "),
        }),
    }
}

fn check_value(key: &str, index: usize, value: &str) -> Result<(), SelectorError> {
    match crate::names::label_value_errors(value) {
        errors if errors.is_empty() => Ok(()),
        errors => Err(SelectorError::Value {
            index,
            key: key.to_owned(),
            value: value.to_owned(),
            why: errors.join("; "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("env", "prod"), ("tier", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn matching() {
        let table = [
            (json!({}), true),
            (json!({ "matchLabels": { "env": "prod" } }), true),
            (json!({ "matchLabels": { "env": "prod", "tier": "" } }), true),
            (json!({ "matchLabels": { "env": "prod", "zone": "" } }), false),
            (json!({ "matchLabels": { "env": "dev" } }), false),
            (
                json!({ "matchExpressions": [{ "key": "env", "operator": "In", "values": ["dev", "prod"] }] }),
                true,
            ),
            (
                json!({ "matchExpressions": [{ "key": "zone", "operator": "In", "values": [""] }] }),
                false,
            ),
            (
                json!({ "matchExpressions": [{ "key": "env", "operator": "NotIn", "values": ["dev"] }] }),
                true,
            ),
            (
                json!({ "matchExpressions": [{ "key": "zone", "operator": "NotIn", "values": ["a"] }] }),
                true,
            ),
            (
                json!({ "matchExpressions": [{ "key": "env", "operator": "NotIn", "values": ["prod"] }] }),
                false,
            ),
            (
                json!({ "matchExpressions": [{ "key": "tier", "operator": "Exists" }] }),
                true,
            ),
            (
                json!({ "matchExpressions": [{ "key": "zone", "operator": "Exists" }] }),
                false,
            ),
            (
                json!({ "matchExpressions": [{ "key": "zone", "operator": "DoesNotExist", "values": null }] }),
                true,
            ),
            (
                json!({ "matchExpressions": [{ "key": "env", "operator": "DoesNotExist" }] }),
                false,
            ),
            (
                json!({ "matchLabels": { "env": "prod" }, "matchExpressions": [{ "key": "env", "operator": "DoesNotExist" }] }),
                false,
            ),
        ];
        for (selector, expected) in table {
            let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(matches(Some(&read), &labels()), Ok(expected), "{selector}");
        }
        assert_eq!(
            matches(None, &labels()),
            Ok(false),
            "an absent selector matches nothing"
        );
        assert!(LabelSelector::default().is_empty());
    }

    #[test]
    fn illegal_requirements() {
        let table = [
            (
                json!({ "key": "a", "operator": "Gt", "values": ["1"] }),
                r#""Gt" is not a valid label selector operator"#,
            ),
            (
                json!({ "key": "a", "operator": "In" }),
                "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty",
            ),
            (
                json!({ "key": "a", "operator": "Exists", "values": ["b"] }),
                r#"values: Invalid value: ["b"]: values set must be empty for exists and does not exist"#,
            ),
            (
                json!({ "key": "a/b/c", "operator": "Exists" }),
                r#"key: Invalid value: "a/b/c": a qualified name must"#,
            ),
            (
                json!({ "key": "a", "operator": "In", "values": ["ok", "-"] }),
                r#"values[1][a]: Invalid value: "-": a valid"#,
            ),
        ];
        for (requirement, text) in table {
            let selector = json!({ "matchLabels": { "env": "other" }, "matchExpressions": [requirement] });
            let read: LabelSelector = serde_json::from_value(selector).unwrap();
            let error = read.matches(&labels()).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        let read: LabelSelector = serde_json::from_value(json!({ "matchLabels": { "a": "b c" } })).unwrap();
        assert!(matches!(read.validate(), Err(SelectorError::Value { .. })));
    }
}
