//! Variables in override values (hub-behaviour 6.5).

use std::collections::BTreeMap;

use serde_json::Value;

/// Stands for the name of the member cluster.
const CLUSTER_NAME: &str = "${MEMBER-CLUSTER-NAME}";
/// Opens a variable that stands for a label of the member cluster; the key ends at `}`.
const CLUSTER_LABEL: &str = "${MEMBER-CLUSTER-LABEL-KEY-";

/// Why a variable has no value. The text is the rest of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// The member cluster does not carry the label.
    #[error("the member cluster {cluster:?} has no label {key:?}")]
    MissingLabel {
        /// The cluster that was evaluated.
        cluster: String,
        /// The label key that the variable names.
        key: String,
    },
    /// The variable has a beginning only.
    #[error("the variable that begins with {start:?} is not closed by '}}'")]
    NotClosed {
        /// The text from the beginning of the variable on, cut short.
        start: String,
    },
}

/// Replaces the variables in every text of a value, keys of objects included.
///
/// # Errors
/// When a label is missing or a variable is not closed.
pub fn substitute(value: &Value, cluster: &str, labels: &BTreeMap<String, String>) -> Result<Value, VariableError> {
    Ok(match value {
        Value::String(text) => Value::String(in_text(text, cluster, labels)?),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| substitute(item, cluster, labels))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, field)| Ok((in_text(key, cluster, labels)?, substitute(field, cluster, labels)?)))
                .collect::<Result<_, _>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// Cluster names go in first, so that a label key may be built from one. Label values are never looked at again:
/// they cannot hold variables, and a pass over the text ends whatever they hold.
fn in_text(text: &str, cluster: &str, labels: &BTreeMap<String, String>) -> Result<String, VariableError> {
    let text = text.replace(CLUSTER_NAME, cluster);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(CLUSTER_LABEL) {
        let (before, variable) = rest.split_at(at);
        let after = &variable[CLUSTER_LABEL.len()..];
        let Some((key, tail)) = after.split_once('}') else {
            return Err(VariableError::NotClosed {
                start: variable.chars().take(60).collect(),
            });
        };
        let Some(label) = labels.get(key) else {
            return Err(VariableError::MissingLabel {
                cluster: cluster.to_owned(),
                key: key.to_owned(),
            });
        };
        out.push_str(before);
        out.push_str(label);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels() -> BTreeMap<String, String> {
        [("env", "prod"), ("example.com/zone", "a-1"), ("member-1", "by-name")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn every_text_is_replaced() {
        let cases = [
            (json!("${MEMBER-CLUSTER-NAME}"), json!("member-1")),
            (
                json!("a-${MEMBER-CLUSTER-NAME}-${MEMBER-CLUSTER-NAME}"),
                json!("a-member-1-member-1"),
            ),
            (
                json!("${MEMBER-CLUSTER-LABEL-KEY-env}/${MEMBER-CLUSTER-LABEL-KEY-example.com/zone}!"),
                json!("prod/a-1!"),
            ),
            (
                json!("${MEMBER-CLUSTER-LABEL-KEY-${MEMBER-CLUSTER-NAME}}"),
                json!("by-name"),
            ),
            (
                json!("${member-cluster-name} ${OTHER} $ {"),
                json!("${member-cluster-name} ${OTHER} $ {"),
            ),
            (
                json!({"${MEMBER-CLUSTER-NAME}": ["x", {"k": "${MEMBER-CLUSTER-NAME}"}]}),
                json!({"member-1": ["x", {"k": "member-1"}]}),
            ),
            (json!([1, 1.5, true, null]), json!([1, 1.5, true, null])),
        ];
        for (value, wanted) in cases {
            assert_eq!(substitute(&value, "member-1", &labels()), Ok(wanted), "{value}");
        }
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        let cases = [
            (
                "x ${MEMBER-CLUSTER-LABEL-KEY-nope}",
                "the member cluster \"member-1\" has no label \"nope\"",
            ),
            (
                "${MEMBER-CLUSTER-LABEL-KEY-}",
                "the member cluster \"member-1\" has no label \"\"",
            ),
            (
                "${MEMBER-CLUSTER-LABEL-KEY-env",
                "the variable that begins with \"${MEMBER-CLUSTER-LABEL-KEY-env\" is not closed by '}'",
            ),
        ];
        for (text, wanted) in cases {
            let err = substitute(&json!([{"a": text}]), "member-1", &labels()).unwrap_err();
            assert_eq!(err.to_string(), wanted);
        }
    }
}
