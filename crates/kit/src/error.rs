//! What can go wrong when talking to an API server, and the class that says what to do about it.

use std::time::Duration;

use crate::reachability::Reachability;

/// Reason of [`Error::Status`] where what does not exist is the namespace of the requested object.
pub(crate) const NAMESPACE_NOT_FOUND: &str = "NamespaceNotFound";

/// Reason of a failure whose cause is that the server does not know the requested resourceVersion yet.
pub(crate) const TOO_LARGE_VERSION: &str = "ResourceVersionTooLarge";

/// A failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server answered with a failure.
    #[error("The API server refused to {what}: {} ({code} {reason}).", message.trim_end_matches('.'))]
    Status {
        /// The request, such as `patch Work fleet-member-a/b`.
        what: String,
        /// HTTP status code.
        code: u16,
        /// Reason of the Status object; empty when the answer was none.
        reason: String,
        /// Its message.
        message: String,
        /// How long the server demands to wait.
        retry_after: Option<Duration>,
    },
    /// No answer arrived.
    #[error("The request to {what} failed: {cause}.")]
    Transport {
        /// What was read.
        what: String,
        /// What happened, with all sources.
        cause: String,
    },
    /// No answer arrived from a server whose reachability is known.
    #[error("The request to {what} failed: {cause}.")]
    Unreachable {
        /// What was read.
        what: String,
        /// What happened, with all sources.
        cause: String,
        /// Notified when the server answers again.
        reachability: Reachability,
    },
    /// An answer arrived that violates the protocol.
    #[error("The answer to {what} cannot be read: {cause}.")]
    Answer {
        /// What was read.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The request could not be formed.
    #[error("The request to {what} cannot be formed: {cause}.")]
    Request {
        /// The request that was not sent.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// Class of an error (hub-behaviour 0.5); decides about retries and is the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The user must act: reported in a status, not retried.
    User,
    /// Harmless and recoverable, such as a write conflict: retried with back-off.
    Expected,
    /// An invariant is violated: logged as an error, retried with back-off.
    Unexpected,
    /// The API server fails or cannot be reached: retried with back-off.
    ApiServer,
}

impl Class {
    /// Fixed label for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Expected => "expected",
            Self::Unexpected => "unexpected",
            Self::ApiServer => "api_server",
        }
    }
}

impl Error {
    /// The class of this failure.
    pub fn class(&self) -> Class {
        match self {
            Self::Status { code, reason, .. } => match (*code, reason.as_str()) {
                (404 | 409 | 410, _) => Class::Expected,
                (403, "NamespaceTerminating") => Class::Expected,
                (401 | 403 | 408 | 429 | 500.., _) => Class::ApiServer,
                _ => Class::Unexpected,
            },
            Self::Transport { .. } | Self::Unreachable { .. } => Class::ApiServer,
            Self::Answer { .. } | Self::Request { .. } => Class::Unexpected,
        }
    }

    /// The HTTP status code, when the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the object (or the API) does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the namespace of the requested object does not exist. A request for the namespace itself is not meant.
    pub fn is_namespace_not_found(&self) -> bool {
        matches!(self, Self::Status { code: 404, reason, .. } if reason == NAMESPACE_NOT_FOUND)
    }

    /// Whether a precondition failed: somebody else wrote in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Status { code: 409, reason, .. } if reason != "AlreadyExists")
    }

    /// Whether the object to create exists already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Status { code: 409, reason, .. } if reason == "AlreadyExists")
    }

    /// Whether the requested history is no longer there (lists with a continue token, watches).
    pub fn is_gone(&self) -> bool {
        self.code() == Some(410)
    }

    /// Whether the server does not know the requested version yet: it is behind what we know.
    pub fn is_version_too_large(&self) -> bool {
        matches!(self, Self::Status { reason, .. } if reason == TOO_LARGE_VERSION)
    }

    /// Whether no answer arrived.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Transport { .. } | Self::Unreachable { .. })
    }

    /// Notified when the server answers again, if this is about a server that did not.
    pub fn reachability(&self) -> Option<&Reachability> {
        match self {
            Self::Unreachable { reachability, .. } => Some(reachability),
            _ => None,
        }
    }

    /// Whether the object was refused as invalid.
    pub fn is_invalid(&self) -> bool {
        matches!(self.code(), Some(400 | 422))
    }

    /// How long the server demands to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without text").to_owned()
}

/// An error and all its sources in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text.push_str(": ");
            text.push_str(&source_text);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_have_their_class() {
        let class = |code, reason: &str| {
            Error::Status {
                what: "x".into(),
                code,
                reason: reason.into(),
                message: String::new(),
                retry_after: None,
            }
            .class()
        };
        for (code, reason, expected) in [
            (409, "Conflict", Class::Expected),
            (409, "AlreadyExists", Class::Expected),
            (404, "NotFound", Class::Expected),
            (403, "NamespaceTerminating", Class::Expected),
            (403, "Forbidden", Class::ApiServer),
            (401, "Unauthorized", Class::ApiServer),
            (429, "TooManyRequests", Class::ApiServer),
            (503, "", Class::ApiServer),
            (422, "Invalid", Class::Unexpected),
            (400, "BadRequest", Class::Unexpected),
        ] {
            assert_eq!(class(code, reason), expected, "{code} {reason}");
        }
    }
}
