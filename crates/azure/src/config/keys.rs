//! Reads the keys of a cloud config by name, whatever their case (networking 12.1).

use std::collections::BTreeMap;

use serde_json::Value;

use super::ConfigError;

/// Larger files are no cloud config.
const MAX_BYTES: usize = 1 << 20;

/// The keys of a file, in lower case. Of two spellings of one key the later counts, as in fleet-networking.
pub(super) struct Keys(BTreeMap<String, Value>);

impl Keys {
    /// Reads JSON, or else YAML. An error names the place of a mistake and never what stands there, which may be a secret.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::TooLarge { limit: MAX_BYTES });
        }
        let value = match serde_json::from_str::<Value>(text) {
            Ok(value) => value,
            // JSON with mistakes is not always YAML with mistakes; what begins like JSON is judged as JSON.
            Err(err) if text.trim_start().starts_with('{') && serde_yaml::from_str::<Value>(text).is_err() => {
                return Err(ConfigError::Syntax {
                    format: "JSON",
                    line: err.line(),
                    column: err.column(),
                });
            }
            Err(_) => serde_yaml::from_str::<Value>(text).map_err(|err| {
                let (line, column) = err.location().map_or((1, 1), |at| (at.line(), at.column()));
                ConfigError::Syntax {
                    format: "YAML",
                    line,
                    column,
                }
            })?,
        };
        match value {
            Value::Object(map) => Ok(Self(map.into_iter().map(|(key, v)| (key.to_lowercase(), v)).collect())),
            Value::Null => Err(ConfigError::Empty),
            _ => Err(ConfigError::NoMapping),
        }
    }

    /// Text without surrounding blanks; empty when the key is absent or null.
    pub(super) fn text(&self, key: &'static str) -> Result<String, ConfigError> {
        Ok(self.raw_text(key)?.trim().to_owned())
    }

    /// Text as it stands, for paths and passwords.
    pub(super) fn raw_text(&self, key: &'static str) -> Result<String, ConfigError> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(ConfigError::Type { key, wanted: "text" }),
        }
    }

    /// A switch; false when the key is absent. Text that says true or false counts, because charts quote it.
    pub(super) fn switch(&self, key: &'static str) -> Result<bool, ConfigError> {
        let wrong = ConfigError::Type {
            key,
            wanted: "true or false",
        };
        match self.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(on)) => Ok(*on),
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" | "" => Ok(false),
                _ => Err(wrong),
            },
            Some(_) => Err(wrong),
        }
    }

    /// A number that is not negative; `None` when the key is absent or zero.
    pub(super) fn number(&self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        let wrong = ConfigError::Type {
            key,
            wanted: "a number that is not negative",
        };
        let number = match self.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number {
            Some(number) if number.is_finite() && number >= 0.0 => Ok((number > 0.0).then_some(number)),
            _ => Err(wrong),
        }
    }

    /// Whether a key stands in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(&key.to_lowercase())
    }
}
