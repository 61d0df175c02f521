//! YAML and JSON texts by Go's rules: parsed to JSON at the edge, so that nothing else handles YAML. The only user of `serde_yaml`.
//!
//! Users' texts used to be read by Go, where `0644` is 420 and `yes` is true; and what we print for people is read back
//! by Go tools. JSON is sent to servers, never YAML.

mod read;
mod resolve;
mod write;

use serde::Deserialize;
use serde_json::Value;

pub use write::to_string;

/// Why a text could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not YAML, or says something that JSON cannot.
    #[error("the text is not valid YAML: {0}")]
    Syntax(#[from] serde_yaml::Error),
    /// Exactly one document was expected.
    #[error("expected one YAML document, found {0}")]
    Documents(usize),
    /// The document does not have the expected shape.
    #[error("the document does not fit: {0}")]
    Shape(#[from] serde_json::Error),
}

/// Reads a text with exactly one document. Empty documents do not count; a text without any reads as null.
pub fn parse(text: &str) -> Result<Value, Error> {
    let mut documents = parse_all(text)?;
    match documents.len() {
        0 => Ok(Value::Null),
        1 => Ok(documents.remove(0)),
        several => Err(Error::Documents(several)),
    }
}

/// Reads all documents of a text, leaving out empty ones.
pub fn parse_all(text: &str) -> Result<Vec<Value>, Error> {
    let mut documents = Vec::new();
    for document in self::documents(text) {
        documents.extend(Some(document?).filter(|value| !value.is_null()));
    }
    Ok(documents)
}

/// Reads the documents of a text in their order, null for empty ones, up to the first that cannot be read.
pub fn documents(text: &str) -> Vec<Result<Value, Error>> {
    // Texts that look like JSON are tried as JSON first, as Kubernetes does; JSON's tabs are no YAML. Values of JSON may
    // follow each other without a separator.
    if text.trim_start().starts_with(['{', '[']) {
        let values = serde_json::Deserializer::from_str(text).into_iter();
        if let Ok(values) = values.collect::<Result<Vec<Value>, _>>() {
            return values.into_iter().map(Ok).collect();
        }
    }
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = read::document(text, document).map_err(Error::from);
        let failed = value.is_err();
        documents.push(value);
        if failed {
            break;
        }
    }
    documents
}

/// Reads a text with one document into a type.
pub fn from_str<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Error> {
    Ok(serde_json::from_value(parse(text)?)?)
}

#[cfg(test)]
mod tests;
