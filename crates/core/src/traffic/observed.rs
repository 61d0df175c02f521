//! What is known of a profile in the traffic manager: the last answer, and the calls that failed.
//!
//! The shell keeps one [`Observed`] for each profile in memory and records every answer. Nothing of it has to survive a
//! restart: an empty one makes the planner read the profile first.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::arm::{Action, Call, Failure, ProfileId, Subject};
use super::held;
use super::hinted::{Hint, Hinted};
use super::time::{later, until_then};
use crate::digest::Digest;
use crate::services::EndpointSettings;
use crate::spread::spread;

/// A profile is read again after this time, give or take a fifth (docs/decisions/0015).
const READ_EVERY: Duration = Duration::from_secs(45);
/// A profile is written only when it was read this recently: the write carries all endpoints as they were read.
const FRESH: SignedDuration = SignedDuration::from_secs(10);
/// Longest wait after a refusal (networking 6.3).
const LONGEST_AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// Longest wait after any other failure.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest wait that the traffic manager may request, and how long the failure of an endpoint that nobody writes any
/// more is remembered.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(600);

/// What is known of one profile in the traffic manager.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    id: ProfileId,
    reading: Option<Reading>,
    failures: BTreeMap<Subject, Failed>,
    hinted: Hinted,
}

/// The profile as it was last read, and as calls since then have changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The profile; `None` when it does not exist.
    pub profile: Option<Value>,
    at: Timestamp,
    /// A call since then has changed the profile.
    changed: bool,
    /// A call since then may have changed the profile, or has shown that it is not what it was.
    doubtful: bool,
}

/// A failure that stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// The last answer.
    pub failure: Failure,
    /// How often the same was tried in a row.
    pub attempts: u32,
    /// What was tried.
    intent: Digest,
    at: Timestamp,
    /// Nothing is tried before: a `Retry-After` of the traffic manager.
    not_before: Timestamp,
    /// The same is not tried before.
    again: Timestamp,
}

impl Observed {
    /// What is known of this profile; nothing when it is about another one, which had the same name.
    pub(super) fn about(&self, id: &ProfileId) -> Option<&Self> {
        (self.id == *id).then_some(self)
    }

    /// The profile as it is known.
    pub(super) fn reading(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// The hints that hold.
    pub(super) fn hinted(&self) -> &Hinted {
        &self.hinted
    }

    /// Records that hints were taken, or that none of them was.
    pub fn record_hints(&mut self, sent: &[Hint], taken: bool, now: Timestamp) {
        self.hinted.record(sent, taken, now);
    }

    /// All standing failures.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&Subject, &Failed)> {
        self.failures.iter()
    }

    /// The standing failure of a subject.
    pub(super) fn failure(&self, subject: &Subject) -> Option<&Failed> {
        self.failures.get(subject)
    }

    /// The failure of a write that waits to be repeated. One whose wait is over is not reported any more: the next answer is
    /// outstanding, or what it was about has come about nevertheless.
    pub(super) fn waiting(&self, call: &Call, now: Timestamp) -> Option<&Failure> {
        let subject = call.subject();
        let failed = self.failure(&subject).filter(|failed| failed.intent == call.intent)?;
        (!self.wait(&subject, call.intent, now).is_zero()).then_some(&failed.failure)
    }

    /// How long a call has to wait for what failed before.
    pub(super) fn wait(&self, subject: &Subject, intent: Digest, now: Timestamp) -> Duration {
        let Some(failed) = self.failure(subject) else {
            return Duration::ZERO;
        };
        let until = if failed.intent == intent {
            failed.again.max(failed.not_before)
        } else {
            failed.not_before
        };
        until_then(until, now)
    }

    /// Records the answer to a call. The body of an answer to a deletion does not matter.
    pub fn record(&mut self, call: &Call, outcome: Result<Value, Failure>, now: Timestamp) {
        if self.id != call.profile {
            *self = Self {
                id: call.profile.clone(),
                ..Self::default()
            };
        }
        let subject = call.subject();
        let gone = |failure: &Failure| failure.is_not_found();
        match (&call.action, outcome) {
            (Action::ReadProfile, Ok(profile)) => self.read(Some(profile), now),
            (Action::ReadProfile, Err(failure)) if gone(&failure) => self.read(None, now),
            (Action::WriteProfile { body }, Ok(answer)) => {
                self.change(|profile| *profile = Some(held::written(body, &answer)));
            }
            (Action::DeleteProfile, Ok(_)) => self.read(None, now),
            (Action::DeleteProfile, Err(failure)) if gone(&failure) => self.read(None, now),
            (Action::WriteEndpoint { name, body }, Ok(answer)) => {
                self.change(|profile| held::put_endpoint(profile, name, body, &answer));
            }
            (Action::DeleteEndpoint { name }, Ok(_)) => self.endpoint_is_gone(name, now),
            (Action::DeleteEndpoint { name }, Err(failure)) if gone(&failure) => self.endpoint_is_gone(name, now),
            (action, Err(failure)) => {
                let doubtful = !matches!(action, Action::ReadProfile) && (failure.is_uncertain() || gone(&failure));
                if let Some(reading) = &mut self.reading {
                    reading.doubtful |= doubtful;
                }
                return self.fail(subject, call.intent, failure, now);
            }
        }
        self.failures.remove(&subject);
    }

    /// Takes the answer to a read. Failures that it settles, or that nobody has renewed for long, are forgotten.
    fn read(&mut self, profile: Option<Value>, now: Timestamp) {
        let oldest = now - SignedDuration::try_from(LONGEST_ASKED_FOR).unwrap_or(SignedDuration::ZERO);
        self.failures.retain(|subject, failed| match subject {
            Subject::Read => false,
            Subject::Write => failed.at > oldest,
            Subject::Delete => profile.is_some(),
            Subject::WriteEndpoint(_) => profile.is_some() && failed.at > oldest,
            Subject::DeleteEndpoint(name) => held::endpoints(profile.as_ref()).any(|endpoint| endpoint.is_named(name)),
        });
        self.reading = Some(Reading {
            profile,
            at: now,
            changed: false,
            doubtful: false,
        });
    }

    fn change(&mut self, change: impl FnOnce(&mut Option<Value>)) {
        if let Some(reading) = &mut self.reading {
            change(&mut reading.profile);
            reading.changed = true;
        }
    }

    /// What was refused may fit now: the target of an endpoint is unique within a profile.
    fn endpoint_is_gone(&mut self, name: &str, now: Timestamp) {
        self.change(|profile| held::remove_endpoint(profile, name));
        for (subject, failed) in &mut self.failures {
            if matches!(subject, Subject::WriteEndpoint(_)) && failed.failure.is_refusal() {
                failed.again = now;
            }
        }
    }

    fn fail(&mut self, subject: Subject, intent: Digest, mut failure: Failure, now: Timestamp) {
        let before = self.failures.get(&subject).filter(|failed| failed.intent == intent);
        let attempts = before.map_or(1, |failed| failed.attempts.saturating_add(1));
        if let Some(before) = before
            && before.failure.is_like(&failure)
        {
            // A text that differs in a request id alone would rewrite the status with each attempt.
            failure.message.clone_from(&before.failure.message);
        }
        let seed = format!("{}/{subject:?}/{attempts}", self.id.name);
        let asked_for = failure.retry_after.unwrap_or_default().min(LONGEST_ASKED_FOR);
        let failed = Failed {
            attempts,
            intent,
            at: now,
            not_before: later(now, asked_for),
            again: later(now, back_off(&failure, attempts, &seed)),
            failure,
        };
        self.failures.insert(subject, failed);
    }
}

impl Reading {
    /// Whether the profile is known not to exist.
    pub(super) fn is_gone(&self) -> bool {
        self.profile.is_none() && !self.doubtful
    }

    /// Whether what is known may be wrong.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// How long until the profile is to be read again; nothing when what is known may be wrong.
    pub(super) fn is_due_in(&self, id: &ProfileId, now: Timestamp) -> Duration {
        if self.doubtful {
            return Duration::ZERO;
        }
        let period = spread(READ_EVERY, &format!("{}/{}", id.name, self.at));
        until_then(later(self.at, period), now)
    }

    /// Whether the profile is known well enough to be written as a whole.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        !self.changed && !self.doubtful && now.duration_since(self.at) <= FRESH
    }
}

/// The wait after a failure: 1 s and twice as long with each attempt, up to a limit, give or take a fifth.
fn back_off(failure: &Failure, attempts: u32, seed: &str) -> Duration {
    let longest = if failure.is_refusal() {
        LONGEST_AFTER_REFUSAL
    } else {
        LONGEST
    };
    let doubled = 1_u64 << attempts.saturating_sub(1).min(10);
    spread(Duration::from_secs(doubled).min(longest), seed)
}

/// The call that reads a profile.
pub(super) fn read_call(id: &ProfileId) -> Call {
    Call {
        profile: id.clone(),
        action: Action::ReadProfile,
        intent: Digest::default(),
    }
}

/// The call that deletes a profile.
pub(super) fn delete_call(id: &ProfileId) -> Call {
    Call {
        profile: id.clone(),
        action: Action::DeleteProfile,
        intent: Digest::default(),
    }
}

/// The call that deletes an endpoint.
pub(super) fn delete_endpoint_call(id: &ProfileId, name: &str) -> Call {
    Call {
        profile: id.clone(),
        action: Action::DeleteEndpoint { name: name.to_owned() },
        intent: Digest::default(),
    }
}

/// The call that writes an endpoint.
pub(super) fn write_endpoint_call(
    id: &ProfileId,
    name: &str,
    target: &str,
    weight: i64,
    settings: &EndpointSettings,
) -> Call {
    let mut body = json!({
        "name": name,
        "type": held::ENDPOINT_TYPE,
        "properties": { "targetResourceId": target, "endpointStatus": "Enabled", "weight": weight },
    });
    if let Some(priority) = settings.priority {
        body["properties"]["priority"] = json!(priority);
    }
    if let Some(location) = &settings.location {
        body["properties"]["endpointLocation"] = json!(location);
    }
    Call {
        profile: id.clone(),
        intent: Digest::of(&body.to_string()),
        action: Action::WriteEndpoint {
            name: name.to_owned(),
            body,
        },
    }
}
