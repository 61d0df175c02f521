//! Field differences between two JSON values, in the order and with the paths that users see in drift and diff details
//! (member-behaviour 4.11).

pub use crate::equal::same;
use crate::types::TypeInfo;
use crate::values;

use serde_json::Value;

/// What happened to a field on the way from the source to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Only the target has it.
    Add,
    /// Only the source has it.
    Remove,
    /// Both have it, with different values.
    Replace,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What happened.
    pub op: Op,
    /// JSON pointer (RFC 6901); appended list elements end in `/-`, surplus ones in the target's length.
    pub path: String,
    /// The source's value; `None` for additions.
    pub old: Option<Value>,
    /// The target's value; `None` for removals.
    pub new: Option<Value>,
}

/// The differences that lead from `source` to `target`: keys in byte order, lists index by index.
///
/// Values that mean the same at their place of `types` are no difference, however they are written.
pub fn diff(source: &Value, target: &Value, types: TypeInfo<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut String::new(), source, target, types, &mut found);
    found
}

/// Escapes a key for use in a JSON pointer.
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn walk(path: &mut String, source: &Value, target: &Value, node: TypeInfo<'_>, found: &mut Vec<Difference>) {
    if values::same(source, target, node) {
        return;
    }
    match (source, target) {
        (Value::Object(old), Value::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let (old, new) = (old.get(key), new.get(key));
                at(path, &pointer_token(key), |path| {
                    both(path, old, new, node.member(key), found)
                });
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let (shared, item) = (old.len().min(new.len()), node.item());
            for surplus in &old[shared..] {
                at(path, &shared.to_string(), |path| {
                    both(path, Some(surplus), None, item, found)
                });
            }
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                at(path, &index.to_string(), |path| walk(path, old, new, item, found));
            }
            for added in &new[shared..] {
                at(path, "-", |path| both(path, None, Some(added), item, found));
            }
        }
        _ => both(path, Some(source), Some(target), node, found),
    }
}

fn at(path: &mut String, token: &str, visit: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(token);
    visit(path);
    path.truncate(length);
}

fn both(path: &mut String, old: Option<&Value>, new: Option<&Value>, node: TypeInfo<'_>, found: &mut Vec<Difference>) {
    if values::same_member(old, new, node) {
        return;
    }
    let op = match (old, new) {
        (Some(old), Some(new)) if old.is_object() && new.is_object() || old.is_array() && new.is_array() => {
            return walk(path, old, new, node, found);
        }
        (Some(_), Some(_)) => Op::Replace,
        (Some(_), None) => Op::Remove,
        (None, _) => Op::Add,
    };
    found.push(Difference {
        op,
        path: path.clone(),
        old: old.cloned(),
        new: new.cloned(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lines(source: Value, target: Value) -> Vec<String> {
        let show = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), Value::to_string);
        let entries = diff(&source, &target, TypeInfo::Deduced);
        entries
            .iter()
            .map(|d| format!("{:?} {} {} {}", d.op, d.path, show(&d.old), show(&d.new)))
            .collect()
    }

    #[test]
    fn keys_come_in_byte_order_with_old_and_new_mixed() {
        let got = lines(
            json!({"b": 1, "d": 1, "e": {"x": 1}}),
            json!({"a": 2, "b": 2, "c": 2, "e": {"x": 1, "y": 0, "z": null}}),
        );
        assert_eq!(
            got,
            [
                "Add /a - 2",
                "Replace /b 1 2",
                "Add /c - 2",
                "Remove /d 1 -",
                "Add /e/y - 0"
            ]
        );
    }

    #[test]
    fn lists_are_compared_index_by_index() {
        assert_eq!(
            lines(json!({"c": [1, 2, 3, 4]}), json!({"c": [1, 9]})),
            ["Remove /c/2 3 -", "Remove /c/2 4 -", "Replace /c/1 2 9"]
        );
        assert_eq!(
            lines(json!({"c": [1]}), json!({"c": [2, 3, 4]})),
            ["Replace /c/0 1 2", "Add /c/- - 3", "Add /c/- - 4"]
        );
        assert_eq!(lines(json!([]), json!([])), Vec::<String>::new());
    }

    #[test]
    fn service_ports_with_one_missing_in_the_middle() {
        let hub = json!({"spec": {"ports": [{"name": "a"}, {"name": "custom", "port": 10000, "protocol": "UDP", "targetPort": 10000}, {"name": "https", "port": 443}]}});
        let member = json!({"spec": {"ports": [{"name": "a"}, {"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}]}});
        assert_eq!(
            lines(hub, member),
            [
                r#"Remove /spec/ports/2 {"name":"https","port":443} -"#,
                r#"Replace /spec/ports/1/name "custom" "https""#,
                "Replace /spec/ports/1/port 10000 443",
                r#"Replace /spec/ports/1/protocol "UDP" "TCP""#,
                r#"Replace /spec/ports/1/targetPort 10000 "https""#,
            ]
        );
    }

    #[test]
    fn types_numbers_and_escapes() {
        assert_eq!(
            lines(json!({"a/b": {"~": 1}}), json!({"a/b": {"~": "1"}})),
            [r#"Replace /a~1b/~0 1 "1""#]
        );
        assert_eq!(
            lines(json!({"n": 1, "l": [2.0]}), json!({"n": 1.0, "l": [2]})),
            Vec::<String>::new()
        );
        assert_eq!(
            lines(
                json!({"n": 9_007_199_254_740_993_i64}),
                json!({"n": 9_007_199_254_740_992_i64})
            )
            .len(),
            1
        );
        assert_eq!(
            lines(json!({"a": {"b": 1}}), json!({"a": [1]})),
            [r#"Replace /a {"b":1} [1]"#]
        );
        assert_eq!(lines(json!({"a": {}}), json!({"a": null})), ["Replace /a {} null"]);
        assert_eq!(lines(json!(1), json!(2)), ["Replace  1 2"]);
    }
}
