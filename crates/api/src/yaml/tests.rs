use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn plain_scalars_follow_go() {
    let table: &[(&str, Value)] = &[
        ("0644", json!(420)),
        ("017", json!(15)),
        ("-017", json!(-15)),
        ("0o17", json!(15)),
        ("0b11", json!(3)),
        ("0x1F", json!(31)),
        ("0899", json!(899)),
        ("1_000", json!(1000)),
        ("+12", json!(12)),
        ("-12", json!(-12)),
        ("1.0", json!(1)),
        ("1.", json!(1)),
        (".5", json!(0.5)),
        ("1e3", json!(1000)),
        ("1.25e-2", json!(0.0125)),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!(18446744073709551616.0_f64)),
        ("yes", json!(true)),
        ("On", json!(true)),
        ("y", json!(true)),
        ("No", json!(false)),
        ("OFF", json!(false)),
        ("n", json!(false)),
        ("true", json!(true)),
        ("~", json!(null)),
        ("Null", json!(null)),
        ("12:30:45", json!("12:30:45")),
        ("2020-01-01", json!("2020-01-01")),
        ("1.2.3", json!("1.2.3")),
        ("0x", json!("0x")),
        ("1e", json!("1e")),
        ("yEs", json!("yEs")),
        ("_1", json!("_1")),
        ("\"0644\"", json!("0644")),
        ("'0644'", json!("0644")),
        ("'yes'", json!("yes")),
        ("\"1_000\"", json!("1_000")),
        ("'it''s'", json!("it's")),
        ("!!str 0644", json!("0644")),
        ("!!str yes", json!("yes")),
        ("|-\n  0644", json!("0644")),
        (">-\n  yes", json!("yes")),
    ];
    for (text, expected) in table {
        assert_eq!(
            &parse(&format!("a: {text}\n")).unwrap(),
            &json!({ "a": expected }),
            "{text}"
        );
        assert_eq!(&parse(&format!("- {text}\n")).unwrap(), &json!([expected]), "{text}");
    }
    for text in ["0644", "'0644'", "yes", "\"yes\""] {
        let nested = parse(&format!("{{a: [{text}], \"b\": {text}}}")).unwrap();
        assert_eq!(nested["a"][0], nested["b"], "{text} in flow style");
        assert_eq!(
            nested["b"].is_string(),
            text.starts_with(['\'', '"']),
            "{text} in flow style"
        );
    }
}

#[test]
fn keys_merges_and_documents() {
    let table: &[(&str, Value)] = &[
        (
            "yes: 1\n017: 2\n1.5: 3\n'on': 4\n",
            json!({ "true": 1, "15": 2, "1.5": 3, "on": 4 }),
        ),
        (
            "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
            json!({ "a": { "p": 1, "q": 2 }, "b": { "p": 1, "q": 3 } }),
        ),
        ("<<: [{a: 1}, {a: 2, b: 3}]\n", json!({ "a": 1, "b": 3 })),
        ("'<<': {a: 1}\n", json!({ "<<": { "a": 1 } })),
        ("a: 1\na: 2\n", json!({ "a": 2 })),
        ("{\"a\":\t[1, 2.0]}", json!({ "a": [1, 2.0] })),
        ("# nothing\n", json!(null)),
        ("---\n# nothing\n---\na: 1\n---\n", json!({ "a": 1 })),
    ];
    for (text, expected) in table {
        assert_eq!(&parse(text).unwrap(), expected, "{text}");
    }
    assert_eq!(
        parse_all("a: 1\n---\n---\n- 0644\n").unwrap(),
        [json!({ "a": 1 }), json!([420])]
    );
    assert_eq!(
        parse("a: 1\n---\nb: 2\n").unwrap_err().to_string(),
        "expected one YAML document, found 2"
    );
    for bad in ["a: [", "a: .inf", "a: !x 1", "~: 1", "[a]: 1", "<<: 1", "a: *x"] {
        assert!(parse(bad).is_err(), "{bad} must be refused");
    }
}

#[test]
fn printed_texts_read_back_as_themselves() {
    let texts = [
        "",
        " ",
        "a",
        "a b",
        "y",
        "yes",
        "on",
        "No",
        "Off",
        "1_000",
        "0644",
        "1e3",
        "true",
        "~",
        "null",
        "12:30:45",
        "2020-01-01",
        "2020-01-01T00:00:00Z",
        "1.2.3",
        "-",
        "- a",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "'q'",
        "\"q\"",
        "a\nb",
        "a\nb\n",
        "a\n\nb",
        " a\nb",
        "a \nb",
        "a\n\n",
        "\n",
        "\t",
        "tab\tin",
        "ünï",
        "{a}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "a,b",
        "?",
        "? a",
        "<<",
        "=",
        "0x1F",
        "0b1",
        ".5",
        "+1",
        ".inf",
        "kubernetes-fleet.io/x",
        "25%",
        "a\u{85}b",
        "\u{7}",
        "---",
        "...",
        "|",
        ">",
        "a'b",
        "a\"b",
        "a\\b",
    ];
    for text in texts {
        for value in [
            json!(text),
            json!({ "k": text }),
            json!([text, { "k": [text] }]),
            json!({ text: 1 }),
        ] {
            let printed = to_string(&value);
            assert_eq!(parse(&printed).unwrap(), value, "{printed}");
        }
    }
}

#[test]
fn objects_print_as_kubectl_does() {
    let value = json!({
        "apiVersion": "v1", "empty": {}, "list": [{ "a": 1, "b": [1, 2] }, [3], "yes"], "none": [], "script": "set -e\nls\n",
    });
    let expected = "apiVersion: v1\nempty: {}\nlist:\n- a: 1\n  b:\n  - 1\n  - 2\n-\n  - 3\n- \"yes\"\nnone: []\n\
                    script: |\n  set -e\n  ls\n";
    assert_eq!(to_string(&value), expected);
    assert_eq!(parse(expected).unwrap(), value);
}

/// Any JSON value without floats, whose digits differ between readers.
fn any_value() -> impl Strategy<Value = Value> {
    let text = "[ -~\\n\\tü\\u{85}]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_printed_reads_back(value in any_value()) {
        let printed = to_string(&value);
        prop_assert_eq!(parse(&printed).map_err(|e| TestCaseError::fail(format!("{e}:\n{printed}")))?, value, "{}", printed);
    }

    #[test]
    fn no_text_panics(text in "[ -~\\n]{0,60}") {
        let _ = parse_all(&text);
    }
}
