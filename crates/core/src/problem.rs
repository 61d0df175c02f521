//! Errors of decisions, by class (hub-behaviour 0.5). The class decides about retries; the shell maps it to a wait.

use std::fmt;

use serde::Serialize;

/// What went wrong during a pass and how it is to be treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Decides whether and how soon the pass is repeated.
    pub class: Class,
    /// A full sentence for people.
    pub message: String,
}

/// The class of a problem (hub-behaviour 0.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// A user has to act; it is reported in a status and not retried.
    User,
    /// Goes away by itself (an index that is not synced yet, a conflict): retried with back-off.
    Expected,
    /// An invariant is broken: logged loudly, retried with the longest back-off.
    Unexpected,
}

impl Problem {
    /// A mistake that only a user can repair.
    pub fn user(message: impl Into<String>) -> Self {
        Self {
            class: Class::User,
            message: message.into(),
        }
    }

    /// A state that is known to pass.
    pub fn expected(message: impl Into<String>) -> Self {
        Self {
            class: Class::Expected,
            message: message.into(),
        }
    }

    /// A broken invariant.
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self {
            class: Class::Unexpected,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Class {
    /// The fixed label of the class in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Expected => "expected",
            Self::Unexpected => "unexpected",
        }
    }
}
