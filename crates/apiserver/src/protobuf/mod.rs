//! Request bodies in protobuf, as typed clients (`kubectl create`, client-go) send them; answers are always JSON.
//!
//! The messages come from `messages.table`, which `tools/protobuf-table` prints from the Go types of the API.

mod wire;

use crate::clock::time_text;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;
use wire::{Field, Reader};

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// Messages lie inside each other at most this deep.
const MAX_DEPTH: usize = 64;

/// How the value of a field is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Text,
    Bytes,
    Integer,
    Boolean,
    Float,
    Message(String),
    List(Box<Form>),
    Map(Box<Form>),
}

#[derive(Debug)]
struct Member {
    name: String,
    form: Form,
    keeps_zero: bool,
    inline: bool,
}

#[derive(Default)]
struct Messages {
    kinds: HashMap<(String, String), String>,
    messages: HashMap<String, HashMap<u32, Member>>,
}

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| parse(include_str!("messages.table")));

fn parse(table: &str) -> Messages {
    let mut all = Messages::default();
    let mut current = String::new();
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["=", api_version, kind, message] => {
                all.kinds
                    .insert(((*api_version).to_owned(), (*kind).to_owned()), (*message).to_owned());
            }
            [message] => {
                current = (*message).to_owned();
                all.messages.entry(current.clone()).or_default();
            }
            [number, name, form, flags @ ..] => {
                let member = Member {
                    name: (*name).to_owned(),
                    form: parse_form(form),
                    keeps_zero: flags.contains(&"k"),
                    inline: flags.contains(&"^"),
                };
                if let Ok(number) = number.parse() {
                    all.messages.entry(current.clone()).or_default().insert(number, member);
                }
            }
            _ => {}
        }
    }
    all
}

fn parse_form(text: &str) -> Form {
    if let Some(item) = text.strip_prefix("[]") {
        return Form::List(Box::new(parse_form(item)));
    }
    if let Some(value) = text.strip_prefix("{}") {
        return Form::Map(Box::new(parse_form(value)));
    }
    match text {
        "s" => Form::Text,
        "y" => Form::Bytes,
        "i" => Form::Integer,
        "b" => Form::Boolean,
        "f" => Form::Float,
        message => Form::Message(message.to_owned()),
    }
}

/// Whether a field of a message shows even zero values. Fields and messages that the table does not hold do.
pub fn keeps_zero(message: &str, field: &str) -> bool {
    let Some(members) = MESSAGES.messages.get(message) else {
        return true;
    };
    let own = members
        .values()
        .find(|m| !m.inline && m.name == field)
        .map(|m| m.keeps_zero);
    own.unwrap_or_else(|| {
        let inline = members.values().filter(|m| m.inline);
        inline
            .filter_map(|m| match &m.form {
                Form::Message(inner) if MESSAGES.messages.get(inner)?.values().any(|m| m.name == field) => Some(inner),
                _ => None,
            })
            .next()
            .is_none_or(|inner| keeps_zero(inner, field))
    })
}

/// The JSON form of a body, or why it cannot be read.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or("the body does not begin with the protobuf prefix of Kubernetes")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Reader::new(envelope) {
        match field? {
            (1, Field::Bytes(meta)) => {
                for field in Reader::new(meta) {
                    match field? {
                        (1, Field::Bytes(text)) => api_version = utf8(text)?,
                        (2, Field::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let key = (api_version, kind);
    let message = MESSAGES.kinds.get(&key).or_else(|| {
        // Options of a deletion carry the version of the resource that they are for.
        (key.1 == "DeleteOptions")
            .then(|| MESSAGES.kinds.get(&("v1".to_owned(), key.1.clone())))
            .flatten()
    });
    let message = message.ok_or_else(|| format!("no protobuf form is known for {} of {:?}", key.1, key.0))?;
    let mut object = Map::new();
    object.insert("apiVersion".into(), key.0.as_str().into());
    object.insert("kind".into(), key.1.as_str().into());
    members(raw, message, 0, &mut object)?;
    Ok(Value::Object(object))
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text is not valid UTF-8".to_owned())
}

fn members(bytes: &[u8], message: &str, depth: usize, out: &mut Map<String, Value>) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("the messages are nested too deeply".into());
    }
    let known = MESSAGES
        .messages
        .get(message)
        .ok_or_else(|| format!("the message {message} is not known"))?;
    for field in Reader::new(bytes) {
        let (number, field) = field?;
        let Some(member) = known.get(&number) else { continue };
        match (&member.form, &field) {
            (Form::Message(inner), Field::Bytes(bytes)) if member.inline => members(bytes, inner, depth + 1, out)?,
            (Form::List(item), field) => {
                let item = value(field, item, depth)?;
                if let Value::Array(list) = out.entry(&member.name).or_insert_with(|| json!([])) {
                    list.push(item);
                }
            }
            (Form::Map(form), Field::Bytes(entry)) => {
                let (key, item) = map_entry(entry, form, depth)?;
                crate::object::as_map(out.entry(&member.name).or_insert_with(|| json!({}))).insert(key, item);
            }
            (form, field) => {
                let value = value(field, form, depth)?;
                let zero = value.is_null() || value == "" || value == 0 || value == false || value == 0.0;
                if member.keeps_zero && !value.is_null() || !zero {
                    out.insert(member.name.clone(), value);
                }
            }
        }
    }
    Ok(())
}

fn map_entry(entry: &[u8], form: &Form, depth: usize) -> Result<(String, Value), String> {
    let (mut key, mut found) = (String::new(), None);
    for field in Reader::new(entry) {
        match field? {
            (1, Field::Bytes(text)) => key = utf8(text)?,
            (2, field) => found = Some(value(&field, form, depth)?),
            _ => {}
        }
    }
    Ok((key, found.unwrap_or_else(|| "".into())))
}

fn value(field: &Field<'_>, form: &Form, depth: usize) -> Result<Value, String> {
    Ok(match (form, field) {
        (Form::Text, Field::Bytes(bytes)) => utf8(bytes)?.into(),
        (Form::Bytes, Field::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Form::Integer, Field::Varint(n)) => n.cast_signed().into(),
        (Form::Boolean, Field::Varint(n)) => (*n != 0).into(),
        (Form::Float, Field::Fixed64(bits)) => f64::from_bits(*bits).into(),
        (Form::Message(message), Field::Bytes(bytes)) => message_value(bytes, message, depth)?,
        _ => return Err("a field has the wrong wire type".into()),
    })
}

/// The JSON of a message; some are no structures.
fn message_value(bytes: &[u8], message: &str, depth: usize) -> Result<Value, String> {
    match message {
        "Quantity" => Ok(field_text(bytes, 1)?.into()),
        "IntOrString" => {
            let (mut kind, mut number) = (0, 0);
            for field in Reader::new(bytes) {
                match field? {
                    (1, Field::Varint(n)) => kind = n,
                    (2, Field::Varint(n)) => number = n.cast_signed(),
                    _ => {}
                }
            }
            Ok(if kind == 0 {
                number.into()
            } else {
                field_text(bytes, 3)?.into()
            })
        }
        "Time" | "MicroTime" => time(bytes, message == "MicroTime"),
        "Duration" => Err("durations have no protobuf form in requests".into()),
        "RawExtension" | "FieldsV1" => {
            let raw = field_text(bytes, 1)?;
            serde_json::from_str(if raw.is_empty() { "null" } else { &raw }).map_err(|e| e.to_string())
        }
        "Items" => {
            let mut items = Vec::new();
            for field in Reader::new(bytes) {
                if let (1, Field::Bytes(text)) = field? {
                    items.push(Value::from(utf8(text)?));
                }
            }
            Ok(items.into())
        }
        _ => {
            let mut object = Map::new();
            members(bytes, message, depth + 1, &mut object)?;
            Ok(Value::Object(object))
        }
    }
}

fn field_text(bytes: &[u8], wanted: u32) -> Result<String, String> {
    for field in Reader::new(bytes) {
        match field? {
            (number, Field::Bytes(text)) if number == wanted => return utf8(text),
            _ => {}
        }
    }
    Ok(String::new())
}

fn time(bytes: &[u8], micro: bool) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (None, 0);
    for field in Reader::new(bytes) {
        match field? {
            (1, Field::Varint(n)) => seconds = Some(n.cast_signed()),
            (2, Field::Varint(n)) => nanos = n.cast_signed(),
            _ => {}
        }
    }
    // The zero time is written as an empty message.
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let nanos = i32::try_from(nanos).map_err(|_| "a time is out of range")?;
    let time = Timestamp::new(seconds, nanos).map_err(|e| e.to_string())?;
    Ok(if micro {
        time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    } else {
        time_text(time)
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &meta), &field(2, raw)].concat()
    }

    #[test]
    fn a_namespace_as_kubectl_sends_it() {
        // Recorded from `kubectl create namespace x`.
        let body = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x19\x0a\x11\x0a\x01x\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00\x12\x00\x1a\x02\x0a\x00\x1a\x00\x22\x00";
        let value = decode(body).unwrap();
        assert_eq!(
            value,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "spec": {}, "status": {}})
        );
    }

    #[test]
    fn special_forms_are_understood() {
        // Deployment { spec = 2 { replicas = 1: 0; template = 3 { spec = 2 { containers = 2 { name = 1; resources = 8 { limits = 1 {cpu: 500m} } } } } } }
        let limit = [field(1, b"cpu"), field(2, &field(1, b"500m"))].concat();
        let container = [field(1, b"c"), field(8, &field(1, &limit))].concat();
        let template = field(2, &field(2, &container));
        let spec = [vec![1 << 3, 0], field(3, &template)].concat();
        let value = decode(&envelope("apps/v1", "Deployment", &field(2, &spec))).unwrap();
        assert_eq!(
            value["spec"]["replicas"], 0,
            "an explicit zero is kept where the field is optional"
        );
        let container = &value["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            *container,
            json!({"name": "c", "resources": {"limits": {"cpu": "500m"}}})
        );
        assert!(decode(&envelope("v9", "Nothing", b"")).is_err());
        assert!(decode(b"{}").is_err());
    }

    #[test]
    fn every_message_that_is_named_exists() {
        fn check(form: &Form) {
            match form {
                Form::Message(m) => {
                    let special = [
                        "IntOrString",
                        "Quantity",
                        "Time",
                        "MicroTime",
                        "Duration",
                        "RawExtension",
                        "FieldsV1",
                        "Items",
                    ];
                    assert!(
                        special.contains(&m.as_str()) || MESSAGES.messages.contains_key(m),
                        "{m}"
                    );
                }
                Form::List(inner) | Form::Map(inner) => check(inner),
                _ => {}
            }
        }
        assert!(MESSAGES.kinds.len() > 40);
        MESSAGES
            .messages
            .values()
            .flat_map(HashMap::values)
            .for_each(|m| check(&m.form));
    }
}
