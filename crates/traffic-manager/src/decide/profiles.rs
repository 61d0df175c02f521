//! Profiles.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Decision, Settings, endpoints, is_in};
use crate::arm::path::Scope;
use crate::arm::profile_body::ProfileBody;
use crate::arm::{PROFILES, body, render};
use crate::error::ArmError;
use crate::model::{Profile, ResourceId};
use crate::state::{Change, State};

pub(super) fn list(state: &State, settings: &Settings, scope: &Scope) -> Decision {
    let profiles = state.profiles().filter(|(key, _)| is_in(scope, key));
    let value: Vec<Value> = profiles
        .map(|(_, profile)| render::profile(state, profile, &settings.origin))
        .collect();
    Decision::only(200, json!({ "value": value }))
}

pub(super) fn get(state: &State, settings: &Settings, id: &ResourceId) -> Result<Decision, ArmError> {
    let profile = find(state, id)?;
    Ok(Decision::only(200, render::profile(state, profile, &settings.origin)))
}

pub(super) fn put(
    state: &State,
    settings: &Settings,
    id: ResourceId,
    body: Map<String, Value>,
) -> Result<Decision, ArmError> {
    let before = state.profile(&id.key());
    // The spelling of the first write stays.
    let id = before.map_or(id, |before| before.id.clone());
    let mut profile = body::shape::<ProfileBody>(body)?.read(id)?;
    check_limit(state, settings, &profile, before)?;
    check_name(state, settings, &profile, before)?;
    endpoints::settle(state, settings, &mut profile, before.map(Arc::as_ref))?;
    Ok(write(state, settings, before, profile))
}

pub(super) fn patch(
    state: &State,
    settings: &Settings,
    id: ResourceId,
    change: Map<String, Value>,
) -> Result<Decision, ArmError> {
    let profile = find(state, &id)?;
    let Value::Object(mut whole) = render::profile(state, profile, &settings.origin) else {
        return Err(ArmError::content("the profile is not an object"));
    };
    body::patch(&mut whole, change);
    put(state, settings, id, whole)
}

pub(super) fn delete(state: &State, id: &ResourceId) -> Decision {
    match state.profile(&id.key()) {
        Some(_) => Decision::with(vec![Change::DeleteProfile(id.key())], 200, render::deleted()),
        None => Decision::no_content(),
    }
}

/// The profile, or what ARM says when there is none.
pub(super) fn find<'s>(state: &'s State, id: &ResourceId) -> Result<&'s Arc<Profile>, ArmError> {
    let found = state.profile(&id.key());
    found.ok_or_else(|| ArmError::not_found(PROFILES, &id.group, &id.name))
}

/// The change that stores a profile, unless it is stored like that already, and the answer.
fn write(state: &State, settings: &Settings, before: Option<&Arc<Profile>>, profile: Profile) -> Decision {
    let status = if before.is_some() { 200 } else { 201 };
    let body = render::profile(state, &profile, &settings.origin);
    if before.is_some_and(|before| **before == profile) {
        return Decision::only(status, body);
    }
    Decision::with(vec![Change::PutProfile(Arc::new(profile))], status, body)
}

fn check_limit(
    state: &State,
    settings: &Settings,
    profile: &Profile,
    before: Option<&Arc<Profile>>,
) -> Result<(), ArmError> {
    let scope = Scope::Subscription(profile.id.subscription.clone());
    let count = state.profiles().filter(|(key, _)| is_in(&scope, key)).count();
    if before.is_some() || count < settings.max_profiles {
        return Ok(());
    }
    let message = format!(
        "The subscription has {count} Traffic Manager profiles, which is its limit. Delete profiles that are not needed, or \
         raise the limit."
    );
    Err(ArmError::new(400, "ResourceLimitExceeded", message))
}

fn check_name(
    state: &State,
    settings: &Settings,
    profile: &Profile,
    before: Option<&Arc<Profile>>,
) -> Result<(), ArmError> {
    let name = &profile.relative_name;
    if let Some(before) = before
        && !before.relative_name.eq_ignore_ascii_case(name)
    {
        return Err(ArmError::bad_request(format!(
            "The relative DNS name of a profile cannot be changed: it is '{}', not '{name}'.",
            before.relative_name
        )));
    }
    if super::names::is_free(state, settings, name, &profile.id.key()) {
        return Ok(());
    }
    let message = format!(
        "Domain name '{name}.{}' is already in use. Please choose a different domain name.",
        settings.origin
    );
    Err(ArmError::new(409, "Conflict", message))
}
