//! The paths of printer columns, scale subresources and selectable fields: a small part of JSONPath.
//!
//! Understood are `.field`, `['field']`, `[0]`, `[-1]`, `[*]`, `.*`, filters such as `[?(@.type=="Ready")]`, dots in names
//! escaped with a backslash, and braces around the whole.

use serde_json::Value;
use std::iter::Peekable;
use std::str::Chars;

/// Why a path cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The JSON path {path:?} is malformed: {reason}.")]
pub struct PathError {
    /// The path as written.
    pub path: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// All values that the path finds, in order; none when something on the way is missing.
///
/// # Errors
/// Malformed paths.
pub fn eval<'a>(path: &str, value: &'a Value) -> Result<Vec<&'a Value>, PathError> {
    let steps = parse(path).map_err(|reason| PathError {
        path: path.to_owned(),
        reason,
    })?;
    let mut found = vec![value];
    for step in &steps {
        found = found.into_iter().flat_map(|value| step.take(value)).collect();
    }
    Ok(found)
}

/// The first value that the path finds; `None` if there is none or the path is malformed.
pub fn first<'a>(path: &str, value: &'a Value) -> Option<&'a Value> {
    eval(path, value).ok()?.into_iter().next()
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter {
        path: Vec<Step>,
        condition: Option<(Comparison, Value)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Step {
    fn take<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let elements = || match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        };
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let length = value.as_array().map_or(0, Vec::len);
                let position = if *index < 0 {
                    length.checked_add_signed(isize::try_from(*index).unwrap_or(isize::MIN))
                } else {
                    usize::try_from(*index).ok()
                };
                position.and_then(|position| value.get(position)).into_iter().collect()
            }
            Self::All => elements(),
            Self::Filter { path, condition } => elements()
                .into_iter()
                .filter(|element| holds(element, path, condition.as_ref()))
                .collect(),
        }
    }
}

fn holds(element: &Value, path: &[Step], condition: Option<&(Comparison, Value)>) -> bool {
    let found = path.iter().fold(vec![element], |found, step| {
        found.into_iter().flat_map(|value| step.take(value)).collect()
    });
    let Some(found) = found.first() else { return false };
    let Some((comparison, wanted)) = condition else {
        return true;
    };
    let order = match (found, wanted) {
        (Value::Number(l), Value::Number(r)) => l.as_f64().partial_cmp(&r.as_f64()),
        (Value::String(l), Value::String(r)) => Some(l.cmp(r)),
        (l, r) if *l == r => Some(std::cmp::Ordering::Equal),
        _ => None,
    };
    match comparison {
        Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::NotEqual => !order.is_some_and(std::cmp::Ordering::is_eq),
        Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

fn parse(path: &str) -> Result<Vec<Step>, &'static str> {
    let inner = path
        .trim()
        .strip_prefix('{')
        .and_then(|p| p.strip_suffix('}'))
        .unwrap_or(path.trim());
    let inner = inner.strip_prefix('$').unwrap_or(inner);
    steps(&mut inner.chars().peekable())
}

fn steps(chars: &mut Peekable<Chars<'_>>) -> Result<Vec<Step>, &'static str> {
    let mut found = Vec::new();
    while let Some(next) = chars.next() {
        match next {
            '.' => match chars.peek() {
                Some('*') => {
                    chars.next();
                    found.push(Step::All);
                }
                Some('[') | None => {}
                Some('.') => return Err("recursive descent is not supported"),
                Some(_) => found.push(Step::Field(name(chars))),
            },
            '[' => found.push(bracket(chars)?),
            _ => return Err("a step starts with a dot or a bracket"),
        }
    }
    Ok(found)
}

fn name(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(next) = chars.peek().copied() {
        if matches!(next, '.' | '[') {
            break;
        }
        chars.next();
        text.push(if next == '\\' {
            chars.next().unwrap_or('\\')
        } else {
            next
        });
    }
    text
}

fn bracket(chars: &mut Peekable<Chars<'_>>) -> Result<Step, &'static str> {
    let inside = until_closed(chars)?;
    let inside = inside.trim();
    if inside == "*" {
        return Ok(Step::All);
    }
    if let Some(condition) = inside.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        return filter(condition);
    }
    if let Some(quoted) = unquote(inside) {
        return Ok(Step::Field(quoted));
    }
    inside
        .parse()
        .map(Step::Index)
        .map_err(|_| "a bracket holds an index, a quoted name or a filter")
}

/// What stands before the bracket that closes; brackets inside and in quotes do not count.
fn until_closed(chars: &mut Peekable<Chars<'_>>) -> Result<String, &'static str> {
    let mut text = String::new();
    let (mut depth, mut quote) = (0, None);
    while let Some(next) = chars.next() {
        match (quote, next) {
            (Some(_), '\\') => {
                text.push(next);
                text.extend(chars.next());
                continue;
            }
            (Some(open), _) if open == next => quote = None,
            (None, '\'' | '"') => quote = Some(next),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Ok(text),
            (None, ']') => depth -= 1,
            _ => {}
        }
        text.push(next);
    }
    Err("a bracket is not closed")
}

fn filter(condition: &str) -> Result<Step, &'static str> {
    const OPERATORS: [(&str, Comparison); 6] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let inner = |path: &str| {
        steps(
            &mut path
                .trim()
                .strip_prefix('@')
                .ok_or("a filter starts with @")?
                .chars()
                .peekable(),
        )
    };
    let operators = OPERATORS
        .iter()
        .filter_map(|(text, comparison)| Some((condition.find(text)?, text.len(), *comparison)));
    // The first operator counts; of two at the same position the longer one.
    let Some((at, length, comparison)) = operators.min_by_key(|(at, length, _)| (*at, usize::MAX - length)) else {
        return Ok(Step::Filter {
            path: inner(condition)?,
            condition: None,
        });
    };
    let wanted = condition[at + length..].trim();
    let wanted = match unquote(wanted) {
        Some(text) => Value::String(text),
        None => serde_json::from_str(wanted).map_err(|_| "a filter compares with a text, a number or a boolean")?,
    };
    Ok(Step::Filter {
        path: inner(&condition[..at])?,
        condition: Some((comparison, wanted)),
    })
}

fn unquote(text: &str) -> Option<String> {
    let inner = ['\'', '"']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    let mut result = String::new();
    let mut chars = inner.chars();
    while let Some(next) = chars.next() {
        result.push(if next == '\\' {
            chars.next().unwrap_or('\\')
        } else {
            next
        });
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_printer_columns_need() {
        let object = json!({
            "metadata": {"generation": 3, "labels": {"a.b/c": "x"}},
            "status": {
                "conditions": [{"type": "Joined", "status": "True", "n": 1}, {"type": "Healthy", "status": "False", "n": 2}],
                "properties": {"kubernetes-fleet.io/node-count": {"value": "4"}}}});
        let cases = [
            (".metadata.generation", json!([3])),
            ("{.metadata.generation}", json!([3])),
            ("$.metadata.generation", json!([3])),
            (r#".status.conditions[?(@.type=="Joined")].status"#, json!(["True"])),
            (".status.conditions[?(@.type=='Healthy')].status", json!(["False"])),
            (".status.conditions[?(@.type!='Healthy')].status", json!(["True"])),
            (".status.conditions[?(@.n>=2)].type", json!(["Healthy"])),
            (".status.conditions[?(@.missing)].type", json!([])),
            (
                r".status.properties.kubernetes-fleet\.io/node-count.value",
                json!(["4"]),
            ),
            (".metadata.labels['a.b/c']", json!(["x"])),
            (r".metadata.labels['a\.b/c']", json!(["x"])),
            (".status.conditions[0].type", json!(["Joined"])),
            (".status.conditions[-1].type", json!(["Healthy"])),
            (".status.conditions[9].type", json!([])),
            (".status.conditions[*].status", json!(["True", "False"])),
            (".status.properties.*.value", json!(["4"])),
            (".spec.none.at.all", json!([])),
        ];
        for (path, want) in cases {
            let got = eval(path, &object).unwrap();
            assert_eq!(json!(got), want, "{path}");
        }
        assert_eq!(first(".status.conditions[*].type", &object), Some(&json!("Joined")));
        for path in ["metadata", ".a[", ".a[x]", ".a[?(b)]", ".a[?(@.b==c)]", "..a"] {
            assert!(eval(path, &object).is_err(), "{path}");
        }
    }
}
