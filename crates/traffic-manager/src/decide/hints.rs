//! Hints: a hub agent degrades or restores endpoints at once, without waiting for probes.
//!
//! A hint that degrades ends by itself, so that a hub agent that is gone leaves nothing degraded; whoever wants it to last
//! repeats it. A hint that restores ends it at once and counts as a good probe: what the next probe finds decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Decision;
use crate::arm::endpoint_body;
use crate::arm::path::EndpointId;
use crate::model::{Endpoint, Health, Hint, Profile, ResourceKey};
use crate::state::{Change, State};

/// Hints in one request.
pub const LIMIT: usize = 1000;
/// How long a hint lasts when nothing is said, and how long it may last at most, in seconds.
const LASTS: (u32, u32) = (60, 600);
/// Longest reason that is kept, in characters.
const REASON: usize = 200;

/// The body of a request with hints.
#[derive(Debug, Clone, Deserialize)]
pub struct Hints {
    /// In the order in which they are applied.
    pub hints: Vec<HintBody>,
}

/// One hint as it arrives.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HintBody {
    /// The ARM id of the endpoint.
    pub endpoint: String,
    state: String,
    expires_in_seconds: Option<u32>,
    reason: Option<String>,
}

/// Applies hints one after the other. What is wrong with one does not hold the others up.
pub(super) fn apply(state: &State, hints: Hints, now: Timestamp) -> Decision {
    let mut profiles: BTreeMap<ResourceKey, Profile> = BTreeMap::new();
    let mut results = Vec::new();
    for hint in hints.hints {
        let outcome = apply_one(state, &mut profiles, &hint, now);
        let mut result =
            json!({"endpoint": hint.endpoint, "result": if outcome.is_ok() { "Applied" } else { "Refused" }});
        if let Err(message) = outcome {
            result["message"] = Value::from(message);
        }
        results.push(result);
    }
    let changed = profiles.into_iter();
    let changed = changed.filter(|(key, profile)| state.profile(key).is_some_and(|before| **before != *profile));
    let changes = changed
        .map(|(_, profile)| Change::PutProfile(Arc::new(profile)))
        .collect();
    Decision::with(changes, 200, json!({ "results": results }))
}

fn apply_one(
    state: &State,
    profiles: &mut BTreeMap<ResourceKey, Profile>,
    body: &HintBody,
    now: Timestamp,
) -> Result<(), String> {
    let id = EndpointId::parse(&body.endpoint).ok_or("The endpoint is not the ARM id of an endpoint of a profile.")?;
    let kind = endpoint_body::kind(&id.kind).map_err(|err| err.message)?;
    let key = id.profile.key();
    let missing = || format!("The profile '{}' does not exist.", id.profile.name);
    let known = state.profile(&key).ok_or_else(missing)?;
    let profile = profiles.entry(key).or_insert_with(|| Profile::clone(known));
    let missing = || format!("The endpoint '{}' does not exist.", id.name);
    let at = profile.position(kind, &id.name).ok_or_else(missing)?;
    let endpoint = &mut profile.endpoints[at];
    if body.state.eq_ignore_ascii_case("Degraded") {
        degrade(endpoint, body, now)
    } else if body.state.eq_ignore_ascii_case("Online") {
        endpoint.hint = None;
        if endpoint.health == Health::Degraded {
            endpoint.health = Health::Online;
            endpoint.problem = None;
        }
        Ok(())
    } else {
        Err(format!(
            "The state must be Degraded or Online, but is '{}'.",
            body.state
        ))
    }
}

fn degrade(endpoint: &mut Endpoint, body: &HintBody, now: Timestamp) -> Result<(), String> {
    let seconds = body.expires_in_seconds.unwrap_or(LASTS.0);
    if !(1..=LASTS.1).contains(&seconds) {
        return Err(format!(
            "The property 'expiresInSeconds' must be between 1 and {}, but is {seconds}.",
            LASTS.1
        ));
    }
    let lasts = SignedDuration::from_secs(i64::from(seconds));
    let expires = now.checked_add(lasts).unwrap_or(Timestamp::MAX);
    let reason = body.reason.as_deref().unwrap_or("no reason was given");
    endpoint.hint = Some(Hint {
        expires,
        reason: reason.chars().filter(|c| !c.is_control()).take(REASON).collect(),
    });
    Ok(())
}

/// Takes away hints whose time has passed.
pub(super) fn expire(state: &State, now: Timestamp) -> Decision {
    let is_over = |endpoint: &Endpoint| endpoint.hint.as_ref().is_some_and(|hint| hint.expires <= now);
    let profiles = state
        .profiles()
        .filter(|(_, profile)| profile.endpoints.iter().any(is_over));
    let changes = profiles.map(|(_, profile)| {
        let mut profile = Profile::clone(profile);
        for endpoint in profile.endpoints.iter_mut().filter(|endpoint| is_over(endpoint)) {
            endpoint.hint = None;
        }
        Change::PutProfile(Arc::new(profile))
    });
    Decision::with(changes.collect(), 200, Value::Null)
}
