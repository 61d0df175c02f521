//! Answers that are no success, as the transport reads them.

use std::error::Error as StdError;
use std::time::Duration;

use serde_json::Value;

use super::text::stable;

/// Why a call has no result. The transport and the credentials put it into the SDK's error, from which
/// [`failure_of`] takes it back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    NoAnswer(String),
    #[error("{0}")]
    Credentials(String),
}

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads an answer's body.
    pub(crate) fn read(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let (code, message) = read_refusal(body);
        Self {
            status,
            code,
            message,
            retry_after,
        }
    }
}

/// Code and message of an error body: ARM's `{"error":{"code","message"}}`, the same without `error`, or the login
/// service's `{"error","error_description"}`. Both are empty for anything else, such as a proxy's page.
pub fn read_refusal(body: &[u8]) -> (String, String) {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: Option<&Value>| stable(value.and_then(Value::as_str).unwrap_or_default());
    match value.get("error") {
        Some(Value::String(code)) => (stable(code), text(value.get("error_description"))),
        Some(inner) => (text(inner.get("code")), text(inner.get("message"))),
        None => (text(value.get("code")), text(value.get("message"))),
    }
}

/// The failure inside of an SDK's error; `None` when the SDK itself failed.
pub(crate) fn failure_of(error: &azure_core::Error) -> Option<Failure> {
    let mut next = error.source();
    while let Some(current) = next {
        if let Some(failure) = current.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        next = current.source();
    }
    None
}
