//! What can go wrong with a call, and the class that says what it means (networking 12.3).

mod refusal;
mod text;

use std::fmt;
use std::time::Duration;

pub use refusal::read_refusal;
pub(crate) use refusal::{Failure, Refusal, failure_of};

/// What a failure means. The mapping to conditions and repetition is the caller's (networking 6.3, 7.5, 12.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 404: it does not exist, or its resource group does not.
    NotFound,
    /// 403: the identity lacks a right.
    Forbidden,
    /// 409 because the domain name belongs to somebody else (networking 6.3).
    DomainNameTaken,
    /// 409 for another reason, such as another operation that runs.
    Conflict,
    /// Any other 4xx, and what is refused before it is sent: the request is wrong.
    Refused,
    /// 429: too many calls.
    Throttled,
    /// 5xx, and answers that no call should get, such as redirections.
    Server,
    /// No answer arrived in time, or one that cannot be read.
    NoAnswer,
    /// No token could be had, so that nothing was sent.
    Credentials,
}

impl Class {
    /// The class of an answer that is no success.
    pub fn of(status: u16, code: &str, message: &str) -> Self {
        match status {
            404 => Self::NotFound,
            403 => Self::Forbidden,
            409 if speaks_of_domain_name(code) || speaks_of_domain_name(message) => Self::DomainNameTaken,
            409 => Self::Conflict,
            429 => Self::Throttled,
            400..=499 => Self::Refused,
            _ => Self::Server,
        }
    }

    /// Fixed label for metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::DomainNameTaken => "domain_name_taken",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::NoAnswer => "no_answer",
            Self::Credentials => "credentials",
        }
    }

    /// Whether it may go away without anybody's doing.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Conflict | Self::Throttled | Self::Server | Self::NoAnswer | Self::Credentials
        )
    }
}

fn speaks_of_domain_name(text: &str) -> bool {
    let letters: String = text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let letters = letters.to_ascii_lowercase();
    ["domainname", "dnsname", "dnsprefix", "relativename"]
        .iter()
        .any(|part| letters.contains(part))
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    what: String,
    class: Class,
    status: Option<u16>,
    code: String,
    message: String,
    retry_after: Option<Duration>,
}

impl Error {
    /// `what` says what was to be done, such as `write the profile "a" under "rg"`.
    pub(crate) fn of(what: &str, failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self {
                what: what.to_owned(),
                class: Class::of(refusal.status, &refusal.code, &refusal.message),
                status: Some(refusal.status),
                code: refusal.code,
                message: refusal.message,
                retry_after: refusal.retry_after,
            },
            Failure::NoAnswer(cause) => Self::local(what, Class::NoAnswer, cause),
            Failure::Credentials(cause) => Self::local(what, Class::Credentials, cause),
        }
    }

    /// An answer that is no success, for others who implement the port, such as tests.
    pub fn refused(what: &str, status: u16, code: &str, message: &str) -> Self {
        let refusal = Refusal {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after: None,
        };
        Self::of(what, Failure::Refused(refusal))
    }

    /// A failure without an answer.
    pub(crate) fn local(what: &str, class: Class, cause: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            class,
            status: None,
            code: String::new(),
            message: cause.into(),
            retry_after: None,
        }
    }

    /// What it means.
    pub fn class(&self) -> Class {
        self.class
    }

    /// HTTP status; `None` when nothing was answered.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Azure's error code; empty when nothing was answered, or nothing that says more.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Azure's message, or why there is no answer; without ids and times.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How long Azure asks to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The right that is missing, such as `Microsoft.Network/trafficManagerProfiles/write`, when Azure names it
    /// (networking 12.3).
    pub fn missing_action(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("perform action '")?;
        let (action, _) = rest.split_once('\'')?;
        (self.class == Class::Forbidden && !action.is_empty()).then_some(action)
    }

    /// Status, code and message alone, the same for every repetition (networking 6.3): what goes into conditions.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        if let Some(status) = self.status {
            parts.push(status.to_string());
        }
        if !self.code.is_empty() {
            parts.push(self.code.clone());
        }
        let head = parts.join(" ");
        match (head.is_empty(), self.message.is_empty()) {
            (true, _) => self.message.clone(),
            (false, true) => head,
            (false, false) => format!("{head}: {}", self.message),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary();
        write!(
            f,
            "Azure was asked to {}: {}.",
            self.what,
            summary.trim_end_matches('.')
        )
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Error {
        let refusal = Refusal {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            retry_after: None,
        };
        Error::of("write the profile \"p\" under \"rg\"", Failure::Refused(refusal))
    }

    #[test]
    fn each_status_has_a_class() {
        use Class::{Conflict, DomainNameTaken, Forbidden, NotFound, Refused, Server, Throttled};
        let taken = "Domain name a-b.trafficmanager.net already exists. Please choose a different DNS prefix.";
        for (status, message, class) in [
            (400, "", Refused),
            (401, "", Refused),
            (403, "", Forbidden),
            (404, "ResourceGroupNotFound", NotFound),
            (408, "", Refused),
            (409, "Another operation is in progress.", Conflict),
            (409, taken, DomainNameTaken),
            (409, "The DnsName is in use", DomainNameTaken),
            (412, taken, Refused),
            (429, "", Throttled),
            (500, "", Server),
            (503, "", Server),
            (302, "", Server),
        ] {
            assert_eq!(refused(status, "", message).class(), class, "{status} {message}");
        }
        assert_eq!(refused(409, "DomainNameNotAvailable", "").class(), DomainNameTaken);
        for class in [Refused, Forbidden, NotFound, DomainNameTaken] {
            assert!(!class.is_transient());
        }
    }

    #[test]
    fn messages_hold_status_code_and_message() {
        let message = "The client 'c' does not have authorization to perform action \
                       'Microsoft.Network/trafficManagerProfiles/read' over scope '/subscriptions/s'.";
        let error = refused(403, "AuthorizationFailed", message);
        assert_eq!(error.summary(), format!("403 AuthorizationFailed: {message}"));
        assert_eq!(
            error.missing_action(),
            Some("Microsoft.Network/trafficManagerProfiles/read")
        );
        let shown = error.to_string();
        assert!(
            shown.starts_with("Azure was asked to write the profile \"p\" under \"rg\": 403") && shown.ends_with("s'."),
            "{shown}"
        );
        assert_eq!(refused(502, "", "").summary(), "502");
        assert_eq!(refused(500, "X", "").summary(), "500 X");
        assert_eq!(refused(500, "X", "y").missing_action(), None);
        let silent = Error::of("x", Failure::NoAnswer("no answer within 30s".to_owned()));
        assert_eq!((silent.class(), silent.status()), (Class::NoAnswer, None));
        assert_eq!(silent.to_string(), "Azure was asked to x: no answer within 30s.");
    }
}
