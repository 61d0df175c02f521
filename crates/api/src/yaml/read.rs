//! Turns YAML documents into JSON values, resolving plain scalars by Go's rules.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::resolve::{float, resolve};

/// Reads one document. `input` is the whole text that the document's deserializer borrows from.
pub(super) fn document<'de>(
    input: &'de str,
    document: serde_yaml::Deserializer<'de>,
) -> Result<Value, serde_yaml::Error> {
    Node { input }.deserialize(document)
}

/// Reads any node.
#[derive(Clone, Copy)]
struct Node<'de> {
    input: &'de str,
}

impl<'de> Node<'de> {
    /// Whether a scalar that the deserializer borrowed from the input stands there without quotes and without the tag of
    /// texts. Quoted scalars are borrowed too, when they hold no escapes; then a quote stands right before them.
    fn is_plain(self, scalar: &'de str) -> bool {
        let start = (scalar.as_ptr() as usize).checked_sub(self.input.as_ptr() as usize);
        match start.and_then(|start| self.input.get(..start)) {
            Some(before) => !before.ends_with(['"', '\'']) && !before.trim_end().ends_with("!!str"),
            None => false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'de> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'de> {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value that JSON can hold")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        float(value).ok_or_else(|| E::custom("infinity and not-a-number cannot be written as JSON"))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Value, E> {
        if self.is_plain(value) {
            Ok(resolve(value))
        } else {
            Ok(value.into())
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(Key(self))? {
            let value = entries.next_value_seed(self)?;
            match key {
                Some(key) => {
                    map.insert(key, value);
                }
                None => merge(&mut map, value).map_err(A::Error::custom)?,
            }
        }
        Ok(Value::Object(map))
    }
}

/// Takes over the entries of the value of a `<<` key; of several maps the first wins.
fn merge(map: &mut Map<String, Value>, value: Value) -> Result<(), &'static str> {
    match value {
        Value::Object(entries) => map.extend(entries),
        Value::Array(items) => {
            for item in items.into_iter().rev() {
                match item {
                    Value::Object(entries) => map.extend(entries),
                    _ => return Err("map merge requires map or sequence of maps as the value"),
                }
            }
        }
        _ => return Err("map merge requires map or sequence of maps as the value"),
    }
    Ok(())
}

/// Reads a key: `None` is the merge key. Booleans and numbers become texts.
struct Key<'de>(Node<'de>);

impl<'de> DeserializeSeed<'de> for Key<'de> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'de> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a text, number or boolean as key")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<String>, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Option<String>, E> {
        self.0.visit_f64(value).map(|number| Some(number.to_string()))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Option<String>, E> {
        if value == "<<" && self.0.is_plain(value) {
            return Ok(None);
        }
        match self.0.visit_borrowed_str(value)? {
            Value::String(text) => Ok(Some(text)),
            other => Ok(Some(other.to_string())),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Option<String>, E> {
        Ok(Some(value.to_owned()))
    }
}
