//! Label and field selectors of list, watch and deletecollection.

use crate::object;
use crate::registry::Resource;
use crate::routes::Query;
use crate::status::{ApiError, ApiResult};
use crate::storage::Stored;
use serde_json::Value;
use std::collections::BTreeMap;

/// One requirement on labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A parsed label selector; the default one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Vec<Requirement>);

impl Labels {
    /// Parses the text form (`a=b,c in (d,e),!f`).
    pub fn parse(text: &str) -> ApiResult<Self> {
        let fail = |why: &str| ApiError::bad_request(format!("unable to parse requirement: {why}"));
        split_outside_parentheses(text)
            .into_iter()
            .map(|part| parse_requirement(part).map_err(|e| fail(&e)))
            .collect::<ApiResult<_>>()
            .map(Labels)
    }

    /// A `metav1.LabelSelector` object.
    pub fn from_object(selector: &Value) -> Self {
        let mut list = Vec::new();
        for (key, value) in object::at(selector, &["matchLabels"])
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            list.push(Requirement::In(
                key.clone(),
                vec![value.as_str().unwrap_or_default().to_owned()],
            ));
        }
        for expression in object::items(selector, &["matchExpressions"]) {
            let key = object::text(expression, &["key"]).to_owned();
            let values: Vec<String> = object::strings(expression.get("values"))
                .into_iter()
                .map(str::to_owned)
                .collect();
            list.push(match object::text(expression, &["operator"]) {
                "In" => Requirement::In(key, values),
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                _ => Requirement::Absent(key),
            });
        }
        Labels(list)
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a set of labels matches.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::Greater(key, n) => number(labels.get(key)).is_some_and(|v| v > *n),
            Requirement::Less(key, n) => number(labels.get(key)).is_some_and(|v| v < *n),
        })
    }
}

/// The text form of a `metav1.LabelSelector` object, or of the plain map that older kinds use.
pub fn text_of(selector: &Value) -> String {
    let has_parts = ["matchLabels", "matchExpressions"]
        .iter()
        .any(|k| selector.get(k).is_some());
    let labels = if has_parts {
        selector.get("matchLabels")
    } else {
        Some(selector)
    };
    let equal = labels.and_then(Value::as_object).into_iter().flatten();
    let mut parts: Vec<String> = equal
        .filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?)))
        .collect();
    for expression in object::items(selector, &["matchExpressions"]) {
        let (key, values) = (
            object::text(expression, &["key"]),
            object::strings(expression.get("values")).join(","),
        );
        parts.push(match object::text(expression, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    parts.join(",")
}

fn number(text: Option<&String>) -> Option<i64> {
    text?.parse().ok()
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text.get(start..i).unwrap_or_default().trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default().trim());
    parts.retain(|p| !p.is_empty());
    parts
}

fn parse_requirement(part: &str) -> Result<Requirement, String> {
    let key = |k: &str| -> Result<String, String> {
        let k = k.trim();
        let valid = !k.is_empty() && k.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if valid {
            Ok(k.to_owned())
        } else if let Some((_, next)) = k.split_once(char::is_whitespace) {
            Err(format!(
                "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                next.trim()
            ))
        } else {
            Err(format!("invalid label key {k:?}"))
        }
    };
    for (operator, negative) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((k, v)) = part.split_once(operator) {
            let values = vec![v.trim().to_owned()];
            if let Some(fault) = crate::validate::label_value(v.trim()) {
                return Err(format!(
                    "values[0][{}]: Invalid value: {:?}: {fault}",
                    k.trim(),
                    v.trim()
                ));
            }
            return Ok(if negative {
                Requirement::NotIn(key(k)?, values)
            } else {
                Requirement::In(key(k)?, values)
            });
        }
    }
    for (operator, greater) in [(">", true), ("<", false)] {
        if let Some((k, v)) = part.split_once(operator) {
            let n = v.trim().parse().map_err(|_| format!("{v:?} is not an integer"))?;
            return Ok(if greater {
                Requirement::Greater(key(k)?, n)
            } else {
                Requirement::Less(key(k)?, n)
            });
        }
    }
    if let Some(absent) = part.strip_prefix('!') {
        return Ok(Requirement::Absent(key(absent)?));
    }
    let Some((head, list)) = part.split_once('(') else {
        return Ok(Requirement::Exists(key(part)?));
    };
    let list = list
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| "found '', expected: ',' or ')'".to_owned())?;
    let values = list.split(',').map(|v| v.trim().to_owned()).collect();
    match head.trim().rsplit_once(char::is_whitespace) {
        Some((k, "in")) => Ok(Requirement::In(key(k)?, values)),
        Some((k, "notin")) => Ok(Requirement::NotIn(key(k)?, values)),
        _ => Err(format!("found {part:?}, expected: in, notin, =, ==, !=, gt, lt")),
    }
}

/// A parsed field selector: path, value, and whether they must be equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String, bool)>);

impl Fields {
    /// Parses the text form (`metadata.name=x,type!=y`).
    pub fn parse(text: &str) -> ApiResult<Self> {
        let mut list = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (path, value, equal) = match (part.split_once("!="), part.split_once('=')) {
                (Some((p, v)), _) => (p, v, false),
                (None, Some((p, v))) => (p, v.strip_prefix('=').unwrap_or(v), true),
                _ => {
                    let message = format!("invalid field selector: {text:?}; can't understand {part:?}");
                    return Err(ApiError::bad_request(message));
                }
            };
            list.push((path.trim().to_owned(), value.trim().to_owned(), equal));
        }
        Ok(Fields(list))
    }
}

/// The one name that a field selector leaves possible, if it names one.
pub fn selected_name(text: &str) -> Option<String> {
    let fields = Fields::parse(text).ok()?.0;
    let mut named = fields
        .into_iter()
        .filter(|(path, _, equal)| path == "metadata.name" && *equal);
    named.next().map(|(_, name, _)| name)
}

/// Both selectors of a request.
#[derive(Debug, Clone, Default)]
pub struct Selectors {
    /// On labels.
    pub labels: Labels,
    /// On fields.
    pub fields: Fields,
}

impl Selectors {
    /// The selectors of a query, checked against what the resource can select by.
    pub fn of(query: &Query, resource: &Resource, version: &str) -> ApiResult<Self> {
        let selectors = Selectors {
            labels: Labels::parse(query.get("labelSelector"))?,
            fields: Fields::parse(query.get("fieldSelector"))?,
        };
        let custom: &[String] = resource
            .version(version)
            .map(|v| v.selectable.as_slice())
            .unwrap_or_default();
        for (path, _, _) in &selectors.fields.0 {
            let known = matches!(path.as_str(), "metadata.name" | "metadata.namespace")
                || selectable(&resource.table).contains(&path.as_str())
                || custom.iter().any(|p| p.trim_start_matches('.') == path);
            if !known {
                let own = !selectable(&resource.table).is_empty() || resource.crd.is_some();
                let message = if own {
                    format!("field label not supported: {path}")
                } else {
                    format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
                };
                return Err(ApiError::bad_request(message));
            }
        }
        Ok(selectors)
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.0.is_empty()
    }

    /// Whether an object matches.
    pub fn matches(&self, object: &Stored) -> bool {
        self.labels.matches(&object.labels) && self.fields_match(object)
    }

    fn fields_match(&self, object: &Stored) -> bool {
        // Parsed at most once, and only for fields beyond name and namespace.
        let mut parsed: Option<Value> = None;
        self.fields.0.iter().all(|(path, wanted, equal)| {
            let found = match path.as_str() {
                "metadata.name" => object.name.to_string(),
                "metadata.namespace" => object.namespace.to_string(),
                path => field(parsed.get_or_insert_with(|| object.value()), path),
            };
            (found == *wanted) == *equal
        })
    }
}

fn field(value: &Value, path: &str) -> String {
    if path == "source" {
        return object::text(value, &["source", "component"]).to_owned();
    }
    let keys: Vec<&str> = path.split('.').collect();
    match object::at(value, &keys) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::Number(n)) => n.to_string(),
        _ if matches!(path, "spec.unschedulable" | "spec.hostNetwork") => "false".into(),
        _ if matches!(path, "status.successful" | "status.replicas") => "0".into(),
        _ => String::new(),
    }
}

fn selectable(table: &str) -> &'static [&'static str] {
    match table {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "nodes" => &["spec.unschedulable"],
        "secrets" => &["type"],
        "namespaces" => &["status.phase"],
        "services" => &["spec.clusterIP", "spec.type"],
        "jobs.batch" => &["status.successful"],
        "replicasets.apps" | "replicationcontrollers" => &["status.replicas"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors_follow_the_grammar() {
        let labels: BTreeMap<String, String> = [("app", "web"), ("tier", "front"), ("n", "5")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        let cases = [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app!=web", false),
            ("missing!=x", true),
            ("app in (api, web),tier notin (back)", true),
            ("app notin (web)", false),
            ("app,!gone", true),
            ("!app", false),
            ("n>4,n<6", true),
            ("n>5", false),
        ];
        for (text, expected) in cases {
            assert_eq!(Labels::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
        for bad in ["a in (b", "a like (b)", "a>x", "a b"] {
            assert!(Labels::parse(bad).is_err(), "{bad}");
        }
        let object =
            json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]});
        assert!(Labels::from_object(&object).matches(&labels));
    }

    #[test]
    fn field_selectors_read_known_fields_only() {
        let registry = crate::registry::Registry::default();
        let events = registry.resource("", "events").unwrap();
        let query = Query::parse(Some("fieldSelector=involvedObject.name%3Dx%2Ctype!%3DWarning"));
        let selectors = Selectors::of(&query, &events, "v1").unwrap();
        let event = |name: &str, kind: &str| {
            Stored::new(
                json!({"metadata": {"name": "e"}, "involvedObject": {"name": name}, "type": kind}),
                1,
            )
        };
        assert!(selectors.matches(&event("x", "Normal")));
        assert!(!selectors.matches(&event("x", "Warning")));
        assert!(!selectors.matches(&event("y", "Normal")));
        let query = Query::parse(Some("fieldSelector=spec.nodeName%3Dx"));
        let error = Selectors::of(&query, &events, "v1").unwrap_err();
        assert_eq!(error.message, "field label not supported: spec.nodeName");
    }
}
