//! JSON in the one form that hashes and the last-applied annotation use (member-behaviour 4.14).
//!
//! The bytes must equal those of KubeFleet, or every object it placed would look changed after a change of agent.

use api::hash::go_json;
use serde_json::{Number, Value};

/// Canonical JSON: keys in byte order at every level, no spaces, HTML characters escaped, floats in Go's short form.
///
/// Integers beyond 64 bits with sign are floats, because KubeFleet reads them so.
pub fn canonical(value: &Value) -> String {
    let text = if has_large_integer(value) {
        go_json(&with_floats(value))
    } else {
        go_json(value)
    };
    // A tree of JSON can always be written: its keys are texts and its floats are finite.
    text.unwrap_or_default()
}

fn is_large(number: &Number) -> bool {
    number.is_u64() && !number.is_i64()
}

fn has_large_integer(value: &Value) -> bool {
    match value {
        Value::Number(number) => is_large(number),
        Value::Array(items) => items.iter().any(has_large_integer),
        Value::Object(map) => map.values().any(has_large_integer),
        _ => false,
    }
}

/// A copy in which large integers are floats.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) if is_large(number) => number
            .as_f64()
            .and_then(Number::from_f64)
            .map_or(Value::Null, Value::Number),
        Value::Array(items) => Value::Array(items.iter().map(with_floats).collect()),
        Value::Object(map) => Value::Object(map.iter().map(|(key, item)| (key.clone(), with_floats(item))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn numbers_and_strings_as_go_writes_them() {
        let cases = [
            ("1.0", "1"),
            ("-0.0", "-0"),
            ("1e3", "1000"),
            ("0.1", "0.1"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            // Read inexactly, the last digit of these changes.
            ("39.430133835633676", "39.430133835633676"),
            ("18.233521453552402", "18.233521453552402"),
            ("93.957942639914874638", "93.95794263991488"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854776000"),
            ("18446744073709551615", "18446744073709552000"),
            ("-9223372036854775808", "-9223372036854775808"),
            (
                r#""a<b>&\u2028\u2029\u0001\b\f\n\r\t\"\\\u007fé""#,
                "\"a\\u003cb\\u003e\\u0026\\u2028\\u2029\\u0001\\b\\f\\n\\r\\t\\\"\\\\\u{7f}é\"",
            ),
            (
                r#"{"b":[1, 2],"a":{"é":null,"Z":true}}"#,
                r#"{"a":{"Z":true,"é":null},"b":[1,2]}"#,
            ),
        ];
        for (input, wanted) in cases {
            let value: serde_json::Value = serde_json::from_str(input).unwrap();
            assert_eq!(canonical(&value), wanted, "{input}");
        }
    }
}
