//! Prints JSON values as YAML for people, so that Go tools read the same value back.

use serde_json::{Map, Value};

use super::resolve::resolve;

/// Block style, two blanks of indentation, keys in the order of the value. Ends with a line break.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut out, map, 0),
        Value::Array(items) if !items.is_empty() => array(&mut out, items, 0),
        scalar => {
            out.push_str(&inline(scalar, 2));
            out.push('\n');
        }
    }
    out
}

fn object(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (position, (key, value)) in map.iter().enumerate() {
        // The first key stands behind the dash of a list item; the caller has written what comes before it.
        if position > 0 || indent == 0 || out.ends_with('\n') {
            pad(out, indent);
        }
        out.push_str(&text(key, None));
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                object(out, map, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                array(out, items, indent);
            }
            scalar => {
                out.push(' ');
                out.push_str(&inline(scalar, indent + 2));
                out.push('\n');
            }
        }
    }
}

fn array(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        pad(out, indent);
        match item {
            Value::Object(map) if !map.is_empty() => {
                out.push_str("- ");
                object(out, map, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push_str("-\n");
                array(out, items, indent + 2);
            }
            scalar => {
                out.push_str("- ");
                out.push_str(&inline(scalar, indent + 2));
                out.push('\n');
            }
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::String(value) => text(value, Some(indent)),
        other => other.to_string(),
    }
}

/// A text: plain where that is safe, as a block where it has several lines and `block` gives the indentation, else quoted.
fn text(value: &str, block: Option<usize>) -> String {
    if let Some(indent) = block
        && is_block(value)
    {
        let chomp = if value.ends_with('\n') { "" } else { "-" };
        let mut out = format!("|{chomp}");
        for line in value.trim_end_matches('\n').split('\n') {
            out.push('\n');
            if !line.is_empty() {
                pad(&mut out, indent);
                out.push_str(line);
            }
        }
        return out;
    }
    if is_plain(value) {
        value.to_owned()
    } else {
        quoted(value)
    }
}

/// A text in double quotes: JSON's escapes are YAML's too, but YAML also takes some unescaped characters for line breaks.
fn quoted(value: &str) -> String {
    let escape = |c: char| match c {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => format!("\\u{:04x}", u32::from(c)),
        other => other.to_string(),
    };
    Value::from(value).to_string().chars().map(escape).collect()
}

/// Whether a text can be written as a literal block: several lines, nothing that blocks change.
fn is_block(value: &str) -> bool {
    value.trim_end_matches('\n').contains('\n')
        && !value.starts_with([' ', '\n', '\t'])
        && !value.ends_with("\n\n")
        && value
            .split('\n')
            .all(|line| !line.ends_with([' ', '\t']) && line.chars().all(|c| !c.is_control() || c == '\t'))
        && !value.contains(['\u{feff}', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Whether a text without quotes reads back as the same text, for us and for Go.
fn is_plain(value: &str) -> bool {
    let first_is_safe =
        value.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '$' | '('));
    let safe = |c: char| c.is_alphanumeric() || " -_./$()+=,@~^;*<>?!|%&".contains(c) || c == ':' || c == '#';
    first_is_safe
        && value.chars().all(safe)
        && !value.contains(": ")
        && !value.ends_with([':', ' '])
        && !value.contains(" #")
        && resolve(value).is_string()
        && !value.starts_with("...")
        && !looks_special(value)
}

/// Texts that other YAML readers take for something else: dates, sexagesimals, infinities.
fn looks_special(value: &str) -> bool {
    let body = value.trim_start_matches(['+', '-']).to_ascii_lowercase();
    matches!(body.as_str(), ".inf" | ".nan")
        || (body.starts_with(|c: char| c.is_ascii_digit())
            && body.chars().all(|c| c.is_ascii_hexdigit() || "-:.+_txoz ".contains(c)))
}
