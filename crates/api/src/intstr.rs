//! Integers or percentages, as rollout budgets use them.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// An integer or a text. What came as an integer stays one, what came as text stays text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A count.
    Int(i64),
    /// Usually a percentage such as `25%`.
    String(String),
}

/// Why a value cannot be turned into a count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text does not end in `%`.
    #[error("invalid value for IntOrString: invalid type: string is not a percentage")]
    NotPercentage,
    /// The text before the `%` is no integer.
    #[error("invalid value for IntOrString: invalid value {0:?}: the part before the percent sign is not an integer")]
    NotInteger(String),
}

/// How a percentage of a total becomes a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// To the next integer towards plus infinity.
    Up,
    /// To the next integer towards minus infinity.
    Down,
}

impl IntOrString {
    /// The count that this value means out of `total`: integers as they are, percentages scaled and rounded.
    pub fn scaled(&self, total: i64, round: Round) -> Result<i64, Error> {
        let text = match self {
            Self::Int(value) => return Ok(*value),
            Self::String(text) => text,
        };
        let percent = text.strip_suffix('%').ok_or(Error::NotPercentage)?;
        let percent: i64 = percent.parse().map_err(|_| Error::NotInteger(text.clone()))?;
        let product = i128::from(percent) * i128::from(total);
        let floor = product.div_euclid(100);
        let count = match round {
            Round::Up if product.rem_euclid(100) != 0 => floor + 1,
            _ => floor,
        };
        Ok(i64::try_from(count).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Whether it is a text that ends in `%`.
    pub fn is_percentage(&self) -> bool {
        matches!(self, Self::String(text) if text.ends_with('%'))
    }
}

impl std::fmt::Display for IntOrString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::String(text) => f.write_str(text),
        }
    }
}

impl From<i64> for IntOrString {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for IntOrString {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl JsonSchema for IntOrString {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IntOrString".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        crate::schema::int_or_string(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scaling() {
        let table: &[(IntOrString, i64, i64, i64)] = &[
            (3.into(), 10, 3, 3),
            (0.into(), 10, 0, 0),
            ("25%".into(), 10, 3, 2),
            ("25%".into(), 4, 1, 1),
            ("25%".into(), 1, 1, 0),
            ("0%".into(), 7, 0, 0),
            ("100%".into(), 7, 7, 7),
            ("33%".into(), 0, 0, 0),
            ("1%".into(), i64::MAX, 92_233_720_368_547_759, 92_233_720_368_547_758),
        ];
        for (value, total, up, down) in table {
            assert_eq!(value.scaled(*total, Round::Up), Ok(*up), "{value} of {total}");
            assert_eq!(value.scaled(*total, Round::Down), Ok(*down), "{value} of {total}");
        }
        let bare = IntOrString::from("3").scaled(10, Round::Up).unwrap_err();
        assert_eq!(
            bare.to_string(),
            "invalid value for IntOrString: invalid type: string is not a percentage"
        );
        assert_eq!(
            IntOrString::from("x%").scaled(10, Round::Up),
            Err(Error::NotInteger("x%".into()))
        );
    }

    #[test]
    fn forms_are_kept() {
        for value in [json!(1), json!("1"), json!("25%")] {
            let read: IntOrString = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(read.is_percentage(), value == json!("25%"));
            assert_eq!(serde_json::to_value(read).unwrap(), value);
        }
        assert!(serde_json::from_value::<IntOrString>(json!(true)).is_err());
    }
}
