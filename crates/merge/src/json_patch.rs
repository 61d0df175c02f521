//! RFC 6902 as users of Kubernetes know it, with the habits of the Go library that the API server uses (hub-behaviour 6.5):
//! indices may be negative or have leading zeros, a missing value acts as null, and the whole patch applies or nothing does.

use serde_json::Value;

/// Why a patch did not apply. `index` is the position of the operation in the patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not a list.
    #[error("The patch is not a list of operations.")]
    NotAList,
    /// An entry is not an operation.
    #[error("Operation {index} is malformed: {reason}.")]
    Malformed {
        /// Position in the patch.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A path does not exist.
    #[error("Operation {index} ({op}) names {path:?}, which does not exist.")]
    MissingPath {
        /// Position in the patch.
        index: usize,
        /// The operation's name.
        op: String,
        /// The path as written.
        path: String,
    },
    /// The container of what a path names does not exist.
    #[error("Operation {index} ({op}) names {path:?}, but there is no object or list at {missing:?}.")]
    MissingParent {
        /// Position in the patch.
        index: usize,
        /// The operation's name.
        op: String,
        /// The path as written.
        path: String,
        /// The first part of the path at which there is no object or list.
        missing: String,
    },
    /// A list index that is not a number or beyond the list.
    #[error("Operation {index} ({op}) uses {path:?}, whose list index is not valid there.")]
    BadIndex {
        /// Position in the patch.
        index: usize,
        /// The operation's name.
        op: String,
        /// The path as written.
        path: String,
    },
    /// A `test` operation found something else.
    #[error("Operation {index} (test) found another value at {path:?}.")]
    TestFailed {
        /// Position in the patch.
        index: usize,
        /// The path as written.
        path: String,
    },
}

/// Applies `patch` to a copy of `doc`.
///
/// # Errors
/// The first operation that fails; nothing is applied then.
pub fn json_patch(doc: &Value, patch: &Value) -> Result<Value, PatchError> {
    run(doc, patch, false)
}

/// Applies `patch` as the API server applies a PATCH request. It uses an older library, for which replacing a member that a map
/// does not have adds it.
///
/// # Errors
/// The first operation that fails; nothing is applied then.
pub fn json_patch_request(doc: &Value, patch: &Value) -> Result<Value, PatchError> {
    run(doc, patch, true)
}

fn run(doc: &Value, patch: &Value, missing_is_null: bool) -> Result<Value, PatchError> {
    let operations = patch.as_array().ok_or(PatchError::NotAList)?;
    let mut result = doc.clone();
    for (index, operation) in operations.iter().enumerate() {
        let operation = Operation::read(index, operation)?;
        if missing_is_null && operation.op == "replace" {
            operation.fill_gap(&mut result);
        }
        operation.apply(&mut result)?;
    }
    Ok(result)
}

struct Operation<'a> {
    index: usize,
    op: &'a str,
    path: &'a str,
    from: Option<&'a str>,
    value: Value,
}

/// Why a pointer could not be followed.
enum Miss {
    Path,
    Index,
}

impl<'a> Operation<'a> {
    fn read(index: usize, operation: &'a Value) -> Result<Self, PatchError> {
        let malformed = |reason: &str| PatchError::Malformed {
            index,
            reason: reason.to_owned(),
        };
        let fields = operation.as_object().ok_or_else(|| malformed("it is not an object"))?;
        let op = fields
            .get("op")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("it has no op"))?;
        if !matches!(op, "add" | "remove" | "replace" | "move" | "copy" | "test") {
            return Err(malformed(&format!("{op:?} is no operation")));
        }
        let path = fields
            .get("path")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("it has no path"))?;
        if !path.is_empty() && !path.starts_with('/') {
            return Err(malformed(&format!("the path {path:?} does not start with a slash")));
        }
        let from = fields.get("from").and_then(Value::as_str);
        if matches!(op, "move" | "copy") && !from.is_some_and(|from| from.is_empty() || from.starts_with('/')) {
            return Err(malformed("it has no usable from"));
        }
        Ok(Self {
            index,
            op,
            path,
            from,
            value: fields.get("value").cloned().unwrap_or(Value::Null),
        })
    }

    /// Sets the member that is to be replaced to null where its map does not have it.
    fn fill_gap(&self, doc: &mut Value) {
        if let Ok((Value::Object(map), key)) = parent(doc, self.path) {
            map.entry(key).or_insert(Value::Null);
        }
    }

    fn apply(self, doc: &mut Value) -> Result<(), PatchError> {
        match self.op {
            "add" => add(doc, self.path, self.value.clone()).map_err(|miss| self.error(doc, miss, self.path)),
            "remove" => remove(doc, self.path)
                .map(drop)
                .map_err(|miss| self.error(doc, miss, self.path)),
            "replace" => replace(doc, self.path, self.value.clone()).map_err(|miss| self.error(doc, miss, self.path)),
            "test" => self.test(doc),
            _ => {
                let from = self.from.unwrap_or_default();
                let value = if self.op == "copy" {
                    find(doc, from).map(|v| v.clone())
                } else {
                    remove(doc, from)
                };
                let value = value.map_err(|miss| self.error(doc, miss, from))?;
                add(doc, self.path, value).map_err(|miss| self.error(doc, miss, self.path))
            }
        }
    }

    /// A missing value equals null, as a null one does.
    fn test(&self, doc: &mut Value) -> Result<(), PatchError> {
        let found = match find(doc, self.path).map(|found| found.clone()) {
            Ok(found) => found,
            Err(Miss::Path) if parent_exists(doc, self.path) => Value::Null,
            Err(miss) => return Err(self.error(doc, miss, self.path)),
        };
        if found == self.value {
            return Ok(());
        }
        Err(PatchError::TestFailed {
            index: self.index,
            path: self.path.to_owned(),
        })
    }

    fn error(&self, doc: &mut Value, miss: Miss, path: &str) -> PatchError {
        let (index, op) = (self.index, self.op.to_owned());
        let missing = missing_parent(doc, path);
        let path = path.to_owned();
        match (miss, missing) {
            (Miss::Path, Some(missing)) => PatchError::MissingParent {
                index,
                op,
                path,
                missing,
            },
            (Miss::Path, None) => PatchError::MissingPath { index, op, path },
            (Miss::Index, _) => PatchError::BadIndex { index, op, path },
        }
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The container of the last token, and that token.
fn parent<'a>(doc: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Miss> {
    let (containers, last) = path.rsplit_once('/').ok_or(Miss::Path)?;
    Ok((find(doc, containers)?, unescape(last)))
}

/// The first container on the way to the last token that does not exist, or is none.
fn missing_parent(doc: &mut Value, path: &str) -> Option<String> {
    let (containers, _) = path.rsplit_once('/')?;
    let ends = containers.match_indices('/').map(|(start, _)| start).skip(1);
    let mut ends = ends.chain([containers.len()]).filter(|end| *end > 0);
    let is_missing = |end: &usize| !matches!(find(doc, &containers[..*end]), Ok(Value::Object(_) | Value::Array(_)));
    ends.find(is_missing).map(|end| containers[..end].to_owned())
}

fn parent_exists(doc: &mut Value, path: &str) -> bool {
    matches!(parent(doc, path), Ok((Value::Object(_), _)))
}

fn find<'a>(doc: &'a mut Value, path: &str) -> Result<&'a mut Value, Miss> {
    path.split('/').skip(1).try_fold(doc, |here, token| {
        let token = unescape(token);
        match here {
            Value::Object(map) => map.get_mut(&token).ok_or(Miss::Path),
            Value::Array(list) => {
                let index = position(&token, list.len())?;
                list.get_mut(index).ok_or(Miss::Index)
            }
            _ => Err(Miss::Path),
        }
    })
}

/// An index below `len`; negative ones count from the end.
fn position(token: &str, len: usize) -> Result<usize, Miss> {
    let index: i64 = token.parse().map_err(|_| Miss::Index)?;
    let len = i64::try_from(len).map_err(|_| Miss::Index)?;
    let index = if index < 0 { index + len } else { index };
    if (0..len).contains(&index) {
        usize::try_from(index).map_err(|_| Miss::Index)
    } else {
        Err(Miss::Index)
    }
}

fn add(doc: &mut Value, path: &str, value: Value) -> Result<(), Miss> {
    if path.is_empty() {
        *doc = value;
        return Ok(());
    }
    match parent(doc, path)? {
        (Value::Object(map), key) => {
            map.insert(key, value);
        }
        (Value::Array(list), key) if key == "-" => list.push(value),
        (Value::Array(list), key) => {
            let index = position(&key, list.len() + 1)?;
            list.insert(index, value);
        }
        _ => return Err(Miss::Path),
    }
    Ok(())
}

fn remove(doc: &mut Value, path: &str) -> Result<Value, Miss> {
    match parent(doc, path)? {
        (Value::Object(map), key) => map.remove(&key).ok_or(Miss::Path),
        (Value::Array(list), key) => {
            let index = position(&key, list.len())?;
            Ok(list.remove(index))
        }
        _ => Err(Miss::Path),
    }
}

fn replace(doc: &mut Value, path: &str, value: Value) -> Result<(), Miss> {
    *find(doc, path)? = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_behave_like_the_go_library() {
        let list = json!({"a": [1, 2, 3], "m": {"x/y": 1, "~": 2, "": 3, "n": null}});
        let cases = [
            (
                json!({"op": "add", "path": "/a/-", "value": 4}),
                "/a",
                json!([1, 2, 3, 4]),
            ),
            (
                json!({"op": "add", "path": "/a/-1", "value": 4}),
                "/a",
                json!([1, 2, 3, 4]),
            ),
            (
                json!({"op": "add", "path": "/a/-2", "value": 4}),
                "/a",
                json!([1, 2, 4, 3]),
            ),
            (
                json!({"op": "add", "path": "/a/3", "value": 4}),
                "/a",
                json!([1, 2, 3, 4]),
            ),
            (
                json!({"op": "add", "path": "/a/01", "value": 4}),
                "/a",
                json!([1, 4, 2, 3]),
            ),
            (
                json!({"op": "replace", "path": "/a/-1", "value": 4}),
                "/a",
                json!([1, 2, 4]),
            ),
            (
                json!({"op": "replace", "path": "/a/-3", "value": 4}),
                "/a",
                json!([4, 2, 3]),
            ),
            (json!({"op": "remove", "path": "/a/-1"}), "/a", json!([1, 2])),
            (
                json!({"op": "remove", "path": "/m/x~1y"}),
                "/m",
                json!({"~": 2, "": 3, "n": null}),
            ),
            (json!({"op": "replace", "path": "/m/~0", "value": 9}), "/m/~0", json!(9)),
            (json!({"op": "replace", "path": "/m/", "value": 9}), "/m/", json!(9)),
            (json!({"op": "add", "path": "/m/x~1y"}), "/m/x~1y", Value::Null),
            (json!({"op": "replace", "path": "/m/n", "value": 1}), "/m/n", json!(1)),
            (
                json!({"op": "move", "from": "/a/0", "path": "/a/-"}),
                "/a",
                json!([2, 3, 1]),
            ),
            (json!({"op": "copy", "from": "/a/-1", "path": "/m/c"}), "/m/c", json!(3)),
            (
                json!({"op": "test", "path": "/m/absent", "value": null}),
                "/a",
                json!([1, 2, 3]),
            ),
            (json!({"op": "add", "path": "", "value": [1]}), "", json!([1])),
        ];
        for (operation, at, want) in cases {
            let got = json_patch(&list, &json!([operation])).unwrap();
            assert_eq!(got.pointer(at), Some(&want), "{operation}");
        }
    }

    #[test]
    fn failures_have_a_kind() {
        let doc = json!({"a": [1], "n": null, "s": "text"});
        let missing = |op: &str, path: &str| PatchError::MissingPath {
            index: 0,
            op: op.into(),
            path: path.into(),
        };
        let index = |op: &str, path: &str| PatchError::BadIndex {
            index: 0,
            op: op.into(),
            path: path.into(),
        };
        let no_parent = |op: &str, path: &str, missing: &str| PatchError::MissingParent {
            index: 0,
            op: op.into(),
            path: path.into(),
            missing: missing.into(),
        };
        let cases = [
            (
                json!({"op": "add", "path": "/x/y", "value": 1}),
                no_parent("add", "/x/y", "/x"),
            ),
            (
                json!({"op": "add", "path": "/x/y/z", "value": 1}),
                no_parent("add", "/x/y/z", "/x"),
            ),
            (
                json!({"op": "replace", "path": "/a/0/z", "value": 1}),
                no_parent("replace", "/a/0/z", "/a/0"),
            ),
            (
                json!({"op": "remove", "path": "/x/y"}),
                no_parent("remove", "/x/y", "/x"),
            ),
            (
                json!({"op": "add", "path": "/n/y", "value": 1}),
                no_parent("add", "/n/y", "/n"),
            ),
            (
                json!({"op": "add", "path": "/s/y", "value": 1}),
                no_parent("add", "/s/y", "/s"),
            ),
            (json!({"op": "add", "path": "/a/2", "value": 1}), index("add", "/a/2")),
            (json!({"op": "add", "path": "/a/-3", "value": 1}), index("add", "/a/-3")),
            (json!({"op": "add", "path": "/a/x", "value": 1}), index("add", "/a/x")),
            (json!({"op": "remove", "path": "/x"}), missing("remove", "/x")),
            (json!({"op": "remove", "path": ""}), missing("remove", "")),
            (json!({"op": "remove", "path": "/a/1"}), index("remove", "/a/1")),
            (
                json!({"op": "replace", "path": "/x", "value": 1}),
                missing("replace", "/x"),
            ),
            (
                json!({"op": "replace", "path": "/a/-", "value": 1}),
                index("replace", "/a/-"),
            ),
            (json!({"op": "move", "from": "/x", "path": "/y"}), missing("move", "/x")),
            (
                json!({"op": "test", "path": "/a/0", "value": 1.0}),
                PatchError::TestFailed {
                    index: 0,
                    path: "/a/0".into(),
                },
            ),
        ];
        for (operation, want) in cases {
            assert_eq!(json_patch(&doc, &json!([operation])), Err(want), "{operation}");
        }
        for patch in [
            json!({}),
            json!([1]),
            json!([{"op": "add"}]),
            json!([{"path": "/a"}]),
            json!([{"op": "merge", "path": "/a"}]),
            json!([{"op": "add", "path": "a"}]),
            json!([{"op": "move", "path": "/a"}]),
        ] {
            assert!(
                matches!(
                    json_patch(&doc, &patch),
                    Err(PatchError::NotAList | PatchError::Malformed { .. })
                ),
                "{patch}"
            );
        }
    }

    #[test]
    fn requests_take_missing_members_for_null() {
        let doc = json!({"m": {}, "l": [1]});
        let replace = json!([{"op": "replace", "path": "/m/x", "value": 1}]);
        assert!(json_patch(&doc, &replace).is_err());
        assert_eq!(json_patch_request(&doc, &replace).unwrap()["m"], json!({"x": 1}));
        for patch in [
            json!([{"op": "replace", "path": "/l/1", "value": 1}]),
            json!([{"op": "replace", "path": "/n/x", "value": 1}]),
            json!([{"op": "remove", "path": "/m/x"}]),
        ] {
            assert!(json_patch_request(&doc, &patch).is_err(), "{patch}");
        }
    }

    #[test]
    fn a_patch_applies_whole_or_not_at_all() {
        let doc = json!({"a": 1});
        let patch = json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "remove", "path": "/b"}]);
        assert_eq!(
            json_patch(&doc, &patch),
            Err(PatchError::MissingPath {
                index: 1,
                op: "remove".into(),
                path: "/b".into()
            })
        );
        assert_eq!(doc, json!({"a": 1}));
    }
}
