//! A schema, read once from its JSON.

use crate::rule::Rule;
use crate::scale::Scale;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// The schema of one version of a custom resource.
#[derive(Debug)]
pub struct Schema {
    pub(crate) root: Node,
    pub(crate) scale: Option<Scale>,
    /// Whether there is any rule; without one the API server says nothing about rules.
    pub(crate) has_rules: bool,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A pattern is no regular expression.
    #[error("The pattern {pattern:?} of {path} is not a regular expression: {reason}.")]
    BadPattern {
        /// Where the schema has it.
        path: String,
        /// The pattern.
        pattern: String,
        /// What the parser says.
        reason: String,
    },
}

/// One node of a schema.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty if any.
    pub(crate) kind: String,
    pub(crate) nullable: bool,
    pub(crate) int_or_string: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) required: Vec<String>,
    pub(crate) enumeration: Vec<Value>,
    pub(crate) default: Option<Value>,
    pub(crate) format: String,
    pub(crate) pattern: Option<(String, Regex)>,
    pub(crate) limits: Limits,
    pub(crate) list: ListType,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
    pub(crate) rules: Vec<Rule>,
}

/// What a map may hold beside its properties.
#[derive(Debug, Default)]
pub(crate) enum Additional {
    /// Nothing is said.
    #[default]
    Unset,
    /// Anything, or nothing.
    Allowed(bool),
    /// Values of this schema.
    Schema(Box<Node>),
}

/// Bounds on sizes and numbers.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) unique_items: bool,
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

impl Schema {
    /// Reads an `openAPIV3Schema`.
    ///
    /// # Errors
    /// Patterns that are no regular expressions. Rules that do not compile are kept and reported by `validate`, as the API
    /// server does.
    pub fn from_json(schema: &Value) -> Result<Self, SchemaError> {
        let mut root = Node::read(schema, "")?;
        root.embedded = true;
        let has_rules = root.has_rules();
        Ok(Self {
            root,
            scale: None,
            has_rules,
        })
    }

    /// Whether objects are subject to rules (`x-kubernetes-validations`).
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// The same schema for a version that has a scale subresource.
    #[must_use]
    pub fn with_scale(self, scale: Scale) -> Self {
        Self {
            scale: Some(scale),
            ..self
        }
    }
}

impl Node {
    pub(crate) fn read(schema: &Value, path: &str) -> Result<Self, SchemaError> {
        let flag = |key: &str| schema[key] == true;
        let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| schema[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let strings = |key: &str| {
            list(key)
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let nodes = |key: &str| {
            list(key)
                .iter()
                .map(|node| Self::read(node, path))
                .collect::<Result<Vec<_>, _>>()
        };
        let boxed = |key: &str| match &schema[key] {
            Value::Object(_) => Self::read(&schema[key], path).map(|node| Some(Box::new(node))),
            _ => Ok(None),
        };
        let properties = schema["properties"].as_object().into_iter().flatten();
        let properties = properties.map(|(key, node)| Ok((key.clone(), Self::read(node, &format!("{path}.{key}"))?)));
        Ok(Self {
            kind: text("type"),
            nullable: flag("nullable"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            embedded: flag("x-kubernetes-embedded-resource"),
            properties: properties.collect::<Result<_, SchemaError>>()?,
            additional: match &schema["additionalProperties"] {
                Value::Bool(allowed) => Additional::Allowed(*allowed),
                Value::Object(_) => Additional::Schema(Box::new(Self::read(&schema["additionalProperties"], path)?)),
                _ => Additional::Unset,
            },
            items: boxed("items")?,
            required: strings("required"),
            enumeration: list("enum").to_vec(),
            default: schema.get("default").cloned(),
            format: text("format"),
            pattern: pattern(schema, path)?,
            limits: Limits::read(schema),
            list: match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(strings("x-kubernetes-list-map-keys")),
                _ => ListType::Atomic,
            },
            all_of: nodes("allOf")?,
            any_of: nodes("anyOf")?,
            one_of: nodes("oneOf")?,
            not: boxed("not")?,
            rules: list("x-kubernetes-validations").iter().map(Rule::read).collect(),
        })
    }

    /// Whether there is a rule at the node or below it.
    fn has_rules(&self) -> bool {
        let below = self
            .properties
            .values()
            .chain(self.items.as_deref())
            .chain(&self.all_of);
        let additional = match &self.additional {
            Additional::Schema(schema) => Some(schema.as_ref()),
            _ => None,
        };
        !self.rules.is_empty() || below.chain(additional).any(Self::has_rules)
    }

    /// The schema of the member `key`, if one is said.
    pub(crate) fn member(&self, key: &str) -> Option<&Node> {
        self.properties.get(key).or(match &self.additional {
            Additional::Schema(node) => Some(node),
            _ => None,
        })
    }

    /// The old element that corresponds to a new one: only lists of type map have such.
    pub(crate) fn old_item<'a>(&self, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
        let ListType::Map(keys) = &self.list else { return None };
        let mut olds = old?.as_array()?.iter();
        olds.find(|old| keys.iter().all(|key| old.get(key) == item.get(key)))
    }
}

impl Limits {
    fn read(schema: &Value) -> Self {
        let number = |key: &str| schema[key].as_f64();
        let count = |key: &str| schema[key].as_u64();
        Self {
            minimum: number("minimum"),
            exclusive_minimum: schema["exclusiveMinimum"] == true,
            maximum: number("maximum"),
            exclusive_maximum: schema["exclusiveMaximum"] == true,
            multiple_of: number("multipleOf"),
            min_length: count("minLength"),
            max_length: count("maxLength"),
            min_items: count("minItems"),
            max_items: count("maxItems"),
            min_properties: count("minProperties"),
            max_properties: count("maxProperties"),
            unique_items: schema["uniqueItems"] == true,
        }
    }
}

fn pattern(schema: &Value, path: &str) -> Result<Option<(String, Regex)>, SchemaError> {
    let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !pattern.is_empty()) else {
        return Ok(None);
    };
    match Regex::new(pattern) {
        Ok(regex) => Ok(Some((pattern.to_owned(), regex))),
        Err(error) => Err(SchemaError::BadPattern {
            path: path.trim_start_matches('.').to_owned(),
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        }),
    }
}
