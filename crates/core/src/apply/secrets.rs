//! Secrets as the API server stores them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The object with a Secret's `stringData` moved into `data`, where the server puts it and which it overrides.
///
/// Nobody ever reads `stringData` back: compared as it is, it would differ for ever, and a key that it no longer names would
/// stay.
pub fn with_encoded_data(object: &Value) -> Cow<'_, Value> {
    let is_secret =
        object.get("kind").is_some_and(|kind| kind == "Secret") && object.get("apiVersion").is_some_and(|v| v == "v1");
    let Some(plain) = object.get("stringData").filter(|_| is_secret) else {
        return Cow::Borrowed(object);
    };
    let is_text = |value: &Value| value.is_string() || value.is_null();
    if !plain.as_object().is_some_and(|plain| plain.values().all(is_text)) && !plain.is_null() {
        // The server says what is wrong with it.
        return Cow::Borrowed(object);
    }
    let mut out = object.clone();
    let Some(root) = out.as_object_mut() else {
        return Cow::Borrowed(object);
    };
    root.remove("stringData");
    let plain = plain.as_object().into_iter().flatten();
    let encoded = plain.map(|(key, value)| {
        (
            key.clone(),
            Value::String(STANDARD.encode(value.as_str().unwrap_or_default())),
        )
    });
    let encoded: Map<String, Value> = encoded.collect();
    if !encoded.is_empty() {
        match root.get_mut("data") {
            Some(Value::Object(data)) => data.extend(encoded),
            None | Some(Value::Null) => {
                root.insert("data".to_owned(), Value::Object(encoded));
            }
            Some(_) => return Cow::Borrowed(object),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_texts_become_data() {
        let secret = |body: Value| {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret"});
            secret
                .as_object_mut()
                .unwrap()
                .extend(body.as_object().unwrap().clone());
            secret
        };
        let cases = [
            (json!({"stringData": {"a": "x"}}), json!({"data": {"a": "eA=="}})),
            (
                json!({"stringData": {"a": "x"}, "data": {"a": "b2xk", "b": "eQ=="}}),
                json!({"data": {"a": "eA==", "b": "eQ=="}}),
            ),
            (
                json!({"stringData": {"a": ""}, "data": null}),
                json!({"data": {"a": ""}}),
            ),
            (json!({"stringData": {}}), json!({})),
            (
                json!({"stringData": null, "data": {"b": "eQ=="}}),
                json!({"data": {"b": "eQ=="}}),
            ),
            (json!({"stringData": {"a": 1}}), json!({"stringData": {"a": 1}})),
        ];
        for (body, wanted) in cases {
            assert_eq!(*with_encoded_data(&secret(body.clone())), secret(wanted), "{body}");
        }
        let other = json!({"apiVersion": "x/v1", "kind": "Secret", "stringData": {"a": "x"}});
        assert_eq!(*with_encoded_data(&other), other);
    }
}
