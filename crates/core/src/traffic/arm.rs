//! What is asked of the traffic manager and what it answers, as plain data (networking 12.2 and 12.3).

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::digest::Digest;

/// Most characters of an error that reach a status.
const MAX_TEXT: usize = 1024;

/// Names a profile in the traffic manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileId {
    /// Its resource group.
    pub resource_group: String,
    /// Its name.
    pub name: String,
}

/// One call. Calls of one plan do not depend on each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The profile it is about.
    pub profile: ProfileId,
    /// What is asked.
    pub action: Action,
    /// Digest of what is wanted. A call that failed is repeated with back-off, but at once when this has changed.
    pub intent: Digest,
}

/// What is asked of the traffic manager.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Action {
    /// Reads the profile with its endpoints.
    ReadProfile,
    /// Creates or replaces the profile, its endpoints included.
    WriteProfile {
        /// The complete body.
        body: Value,
    },
    /// Deletes the profile and its endpoints. That it is gone already is success.
    DeleteProfile,
    /// Creates or replaces an endpoint of the type `AzureEndpoints`.
    WriteEndpoint {
        /// Its name.
        name: String,
        /// The complete body.
        body: Value,
    },
    /// Deletes an endpoint of the type `AzureEndpoints`. That it is gone already is success.
    DeleteEndpoint {
        /// Its name as the traffic manager spells it.
        name: String,
    },
}

/// What a call is about: a failure stands until a call of the same subject succeeds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// Reading the profile.
    Read,
    /// Writing the profile.
    Write,
    /// Deleting the profile.
    Delete,
    /// Writing the endpoint of this name, in lower case.
    WriteEndpoint(String),
    /// Deleting the endpoint of this name, in lower case.
    DeleteEndpoint(String),
}

/// A call that did not succeed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// HTTP status; `None` when no answer came that can be read.
    pub status: Option<u16>,
    /// Code of the error, as `AuthorizationFailed`.
    pub code: String,
    /// Text of the error; without an answer, what went wrong.
    pub message: String,
    /// How long the traffic manager asks to stay away.
    pub retry_after: Option<Duration>,
}

impl Call {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match &self.action {
            Action::ReadProfile => Subject::Read,
            Action::WriteProfile { .. } => Subject::Write,
            Action::DeleteProfile => Subject::Delete,
            Action::WriteEndpoint { name, .. } => Subject::WriteEndpoint(name.to_ascii_lowercase()),
            Action::DeleteEndpoint { name } => Subject::DeleteEndpoint(name.to_ascii_lowercase()),
        }
    }
}

impl Action {
    /// Whether two writes of endpoints let them point to the same address.
    pub(super) fn has_target_of(&self, other: &Self) -> bool {
        let (own, theirs) = (self.target(), other.target());
        own.unwrap_or_default().eq_ignore_ascii_case(theirs.unwrap_or_default())
    }

    fn target(&self) -> Option<&str> {
        match self {
            Self::WriteEndpoint { body, .. } => body.get("properties")?.get("targetResourceId")?.as_str(),
            _ => None,
        }
    }
}

impl Subject {
    /// The right that a call about it needs on the resource group.
    pub fn right(&self) -> &'static str {
        match self {
            Self::Read => "Microsoft.Network/trafficManagerProfiles/read",
            Self::Write => "Microsoft.Network/trafficManagerProfiles/write",
            Self::Delete => "Microsoft.Network/trafficManagerProfiles/delete",
            Self::WriteEndpoint(_) => "Microsoft.Network/trafficManagerProfiles/azureEndpoints/write",
            Self::DeleteEndpoint(_) => "Microsoft.Network/trafficManagerProfiles/azureEndpoints/delete",
        }
    }
}

impl Failure {
    /// The object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// The agent has not the right to do so.
    pub fn is_forbidden(&self) -> bool {
        self.status == Some(403)
    }

    /// The request itself was refused: any 4xx but 429.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status, Some(400..=428 | 430..=499))
    }

    /// Nobody knows whether the call had an effect.
    pub fn is_uncertain(&self) -> bool {
        !matches!(self.status, Some(400..=499))
    }

    /// Another profile has the domain name (networking 6.3); every other conflict passes by itself.
    pub fn is_dns_name_taken(&self) -> bool {
        let text = format!("{} {}", self.code, self.message).to_ascii_lowercase();
        let words = [
            "domain name",
            "domainname",
            "dns name",
            "dnsname",
            "relativename",
            "dns prefix",
        ];
        self.status == Some(409) && words.iter().any(|word| text.contains(word))
    }

    /// The failure in one line, for statuses and events.
    pub fn text(&self) -> String {
        let message = self.message.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = match self.status {
            None => format!("the traffic manager did not answer: {message}"),
            Some(status) => [status.to_string(), self.code.clone()]
                .iter()
                .filter(|part| !part.is_empty())
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        };
        let text = match self.status {
            Some(_) if !message.is_empty() => format!("{text}: {message}"),
            _ => text,
        };
        text.chars().take(MAX_TEXT).collect()
    }

    /// Whether another failure says the same, ids, times and numbers of its message aside.
    pub fn is_like(&self, other: &Self) -> bool {
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace()
                .map(|word| match word.bytes().any(|b| b.is_ascii_digit()) {
                    true => String::new(),
                    false => word.to_owned(),
                })
                .collect()
        };
        self.status == other.status && self.code == other.code && words(&self.message) == words(&other.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: impl Into<Option<u16>>, code: &str, message: &str) -> Failure {
        Failure {
            status: status.into(),
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    #[test]
    fn classes_of_answers() {
        // status, refusal, uncertain
        let table = [
            (Some(400), true, false),
            (Some(401), true, false),
            (Some(403), true, false),
            (Some(404), true, false),
            (Some(408), true, false),
            (Some(409), true, false),
            (Some(429), false, false),
            (Some(500), false, true),
            (Some(503), false, true),
            (Some(200), false, true),
            (None, false, true),
        ];
        for (status, refusal, uncertain) in table {
            let failure = failure(status, "", "");
            assert_eq!(
                (failure.is_refusal(), failure.is_uncertain()),
                (refusal, uncertain),
                "{status:?}"
            );
        }
    }

    #[test]
    fn only_a_conflict_about_the_domain_name_is_one() {
        let taken = "Domain name a.trafficmanager.net already exists. Please choose a different DNS prefix.";
        let table = [
            (failure(409, "Conflict", taken), true),
            (failure(409, "DnsNameNotAvailable", ""), true),
            (failure(409, "Conflict", "Another operation is in progress."), false),
            (failure(400, "BadRequest", taken), false),
        ];
        for (failure, expected) in table {
            assert_eq!(failure.is_dns_name_taken(), expected, "{failure:?}");
        }
    }

    #[test]
    fn texts_hold_status_code_and_message() {
        let table = [
            (
                failure(403, "AuthorizationFailed", "No\n  right."),
                "403 AuthorizationFailed: No right.",
            ),
            (failure(500, "", ""), "500"),
            (failure(502, "", "bad gateway"), "502: bad gateway"),
            (
                failure(None, "", "timed out"),
                "the traffic manager did not answer: timed out",
            ),
        ];
        for (failure, text) in table {
            assert_eq!(failure.text(), text);
        }
        assert_eq!(failure(500, "", &"x".repeat(5000)).text().len(), MAX_TEXT);
    }

    #[test]
    fn ids_and_times_make_no_difference() {
        let a = failure(500, "E", "Request 0a1b at 2025-01-01T00:00:00Z failed.");
        let b = failure(500, "E", "Request ff02 at 2026-02-02T02:00:00Z failed.");
        assert!(a.is_like(&b));
        assert!(!a.is_like(&failure(503, "E", &a.message)));
        assert!(!a.is_like(&failure(500, "E", "Something else failed.")));
    }
}
