//! Field errors as the API server prints them.

use serde_json::Value;
use std::fmt;

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The value is not allowed.
    Invalid,
    /// The value has the wrong type; printed like `Invalid`.
    TypeInvalid,
    /// The value is not one of an enumeration.
    NotSupported,
    /// The field is missing.
    Required,
    /// The field may not be set.
    Forbidden,
    /// The value occurs twice.
    Duplicate,
    /// A text is too long.
    TooLong,
    /// A list or map has too many entries.
    TooMany,
}

impl ErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Required => "Required value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    /// The reason in a `Status`' causes.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Required => "FieldValueRequired",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    /// Whether rules are left unchecked when this error is present.
    pub(crate) fn blocks_rules(self) -> bool {
        matches!(
            self,
            Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::TypeInvalid
        )
    }
}

/// One error. It prints as `spec.replicas: Invalid value: -1: must not be negative`.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Path of the field; `<nil>` for the object as a whole.
    pub path: String,
    /// The offending value; not printed for missing and too long ones.
    pub value: Value,
    /// The explanation; may be empty.
    pub detail: String,
}

impl FieldError {
    /// An error at `path`; the empty path is the object.
    pub fn new(kind: ErrorKind, path: &str, value: Value, detail: impl Into<String>) -> Self {
        let path = if path.is_empty() {
            "<nil>"
        } else {
            path.trim_start_matches('.')
        };
        Self {
            kind,
            path: path.to_owned(),
            value,
            detail: detail.into(),
        }
    }

    /// A value that is not allowed.
    pub fn invalid(path: &str, value: Value, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, path, value, detail)
    }

    /// A missing field.
    pub fn required(path: &str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Required, path, Value::Null, detail)
    }

    /// A value outside an enumeration.
    pub fn not_supported(path: &str, value: Value, supported: &[String]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        Self::new(
            ErrorKind::NotSupported,
            path,
            value,
            format!("supported values: {}", quoted.join(", ")),
        )
    }

    /// The error without its path: the message of a `Status`' cause.
    pub fn body(&self) -> String {
        let mut text = self.kind.text().to_owned();
        if !matches!(
            self.kind,
            ErrorKind::Required | ErrorKind::Forbidden | ErrorKind::TooLong
        ) {
            // A missing value prints as the server's JSON of nothing inside quotes.
            let value = if self.value.is_null() {
                "null".to_owned()
            } else {
                self.value.to_string()
            };
            text = format!("{text}: {value}");
        }
        if !self.detail.is_empty() {
            text = format!("{text}: {}", self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// The path of a member of the value at `path`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The errors as they stand after `"name" is invalid: `; several in brackets, repeated ones once.
pub fn summary(errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}
