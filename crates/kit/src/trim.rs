//! Reading objects without their managed fields.
//!
//! Managed fields are often larger than the object itself and no decision reads them. They are skipped while parsing,
//! so they are never held in memory, not even for a moment.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON object as delivered by the API server, without `metadata.managedFields`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trimmed(pub Value);

impl<'de> Deserialize<'de> for Trimmed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Fields {
                skip: None,
                descend: true,
            })
            .map(|map| Self(Value::Object(map)))
    }
}

/// Reads a map, leaving out one key, and (at the top) trimming what lies under `metadata`.
struct Fields {
    skip: Option<&'static str>,
    descend: bool,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if self.skip == Some(key.as_str()) {
                access.next_value::<IgnoredAny>()?;
            } else if self.descend && key == "metadata" {
                let inner = access.next_value_seed(Fields {
                    skip: Some("managedFields"),
                    descend: false,
                })?;
                map.insert(key, Value::Object(inner));
            } else {
                map.insert(key, access.next_value()?);
            }
        }
        Ok(map)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Map::new())
    }
}

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_managed_fields_of_the_object_itself_are_dropped() {
        let text = json!({
            "metadata": {"name": "a", "managedFields": [{"manager": "x"}], "labels": {"managedFields": "kept"}},
            "spec": {"metadata": {"managedFields": 1}},
            "managedFields": 2,
        })
        .to_string();
        let Trimmed(value) = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({
                "metadata": {"name": "a", "labels": {"managedFields": "kept"}},
                "spec": {"metadata": {"managedFields": 1}},
                "managedFields": 2,
            })
        );
        assert!(serde_json::from_str::<Trimmed>("[]").is_err());
        assert_eq!(
            serde_json::from_str::<Trimmed>(r#"{"metadata":null}"#).unwrap().0,
            json!({"metadata": {}})
        );
    }
}
