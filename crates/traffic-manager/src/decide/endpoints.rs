//! Endpoints: alone, and settled in the list of their profile.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::networking::synthetic_address::{self, Ingress};
use serde_json::{Map, Value};

use super::{Decision, Settings};
use crate::arm::endpoint_body::{self, EndpointBody};
use crate::arm::path::EndpointId;
use crate::arm::{ADDRESSES, PROFILES, body, checks, render};
use crate::error::ArmError;
use crate::model::{Endpoint, EndpointKind, Health, Profile, Routing, Target};
use crate::state::{Change, Destination, State};

pub(super) fn get(state: &State, settings: &Settings, id: &EndpointId) -> Result<Decision, ArmError> {
    let profile = parent(state, id)?;
    let endpoint = find(profile, id)?;
    let body = render::endpoint(state, profile, endpoint, &settings.origin);
    Ok(Decision::only(200, body))
}

pub(super) fn put(
    state: &State,
    settings: &Settings,
    id: &EndpointId,
    body: Map<String, Value>,
) -> Result<Decision, ArmError> {
    let kind = endpoint_body::kind(&id.kind)?;
    let before = parent(state, id)?;
    let mut endpoint = body::shape::<EndpointBody>(body)?.read(kind, &id.name)?;
    let mut profile = Profile::clone(before);
    let position = profile.position(kind, &id.name);
    let at = match position {
        Some(at) => {
            // The spelling of the first write stays.
            endpoint.name.clone_from(&profile.endpoints[at].name);
            profile.endpoints[at] = endpoint;
            at
        }
        None => {
            profile.endpoints.push(endpoint);
            profile.endpoints.len() - 1
        }
    };
    settle(state, settings, &mut profile, Some(before))?;
    let status = if position.is_some() { 200 } else { 201 };
    let body = render::endpoint(state, &profile, &profile.endpoints[at], &settings.origin);
    if profile == **before {
        return Ok(Decision::only(status, body));
    }
    Ok(Decision::with(
        vec![Change::PutProfile(Arc::new(profile))],
        status,
        body,
    ))
}

pub(super) fn patch(
    state: &State,
    settings: &Settings,
    id: &EndpointId,
    change: Map<String, Value>,
) -> Result<Decision, ArmError> {
    let profile = parent(state, id)?;
    let endpoint = find(profile, id)?;
    let Value::Object(mut whole) = render::endpoint(state, profile, endpoint, &settings.origin) else {
        return Err(ArmError::content("the endpoint is not an object"));
    };
    body::patch(&mut whole, change);
    put(state, settings, id, whole)
}

/// A type that is not the endpoint's is answered as a success that deletes nothing, as Azure does.
pub(super) fn delete(state: &State, id: &EndpointId) -> Decision {
    let Some(before) = state.profile(&id.profile.key()) else {
        return Decision::no_content();
    };
    let kind = endpoint_body::kind(&id.kind).ok();
    let position = kind.and_then(|kind| before.position(kind, &id.name));
    if let Some(at) = position {
        let mut profile = Profile::clone(before);
        profile.endpoints.remove(at);
        return Decision::with(vec![Change::PutProfile(Arc::new(profile))], 200, render::deleted());
    }
    let exists = |kind| before.position(kind, &id.name).is_some();
    if exists(EndpointKind::Azure) || exists(EndpointKind::External) {
        return Decision::only(200, render::deleted());
    }
    Decision::no_content()
}

fn parent<'s>(state: &'s State, id: &EndpointId) -> Result<&'s Arc<Profile>, ArmError> {
    let found = state.profile(&id.profile.key());
    found.ok_or_else(|| ArmError::no_parent(&id.profile.name))
}

fn find<'p>(profile: &'p Profile, id: &EndpointId) -> Result<&'p Endpoint, ArmError> {
    let kind = endpoint_body::kind(&id.kind)?;
    let found = profile.position(kind, &id.name).map(|at| &profile.endpoints[at]);
    found.ok_or_else(|| {
        let name = format!("{}/{}/{}", id.profile.name, kind.segment(), id.name);
        ArmError::not_found(PROFILES, &id.profile.group, &name)
    })
}

/// Checks the endpoints of a profile together, and completes what the request leaves out: priorities, and what is known
/// about the health of those that were there before.
///
/// # Errors
/// 400 that says which endpoint cannot be.
pub(super) fn settle(
    state: &State,
    settings: &Settings,
    profile: &mut Profile,
    before: Option<&Profile>,
) -> Result<(), ArmError> {
    if profile.endpoints.len() > settings.max_endpoints {
        return Err(ArmError::bad_request(format!(
            "The profile '{}' would have {} endpoints; at most {} are allowed.",
            profile.id.name,
            profile.endpoints.len(),
            settings.max_endpoints
        )));
    }
    for endpoint in &mut profile.endpoints {
        let earlier =
            before.and_then(|before| Some(&before.endpoints[before.position(endpoint.kind, &endpoint.name)?]));
        match earlier {
            Some(earlier) => inherit(endpoint, earlier),
            None => check_target(state, endpoint)?,
        }
        if earlier.is_some_and(|earlier| !earlier.target.is_same(&endpoint.target)) {
            check_target(state, endpoint)?;
        }
    }
    assign_priorities(profile)?;
    check_unique(state, profile)?;
    check_loop(state, settings, profile)?;
    check_routing(profile)
}

fn inherit(endpoint: &mut Endpoint, earlier: &Endpoint) {
    if endpoint.priority == 0 {
        endpoint.priority = earlier.priority;
    }
    endpoint.hint.clone_from(&earlier.hint);
    let probed = earlier.enabled && endpoint.enabled && !earlier.always_serve;
    if probed && earlier.target.is_same(&endpoint.target) {
        endpoint.health = earlier.health;
        endpoint.problem.clone_from(&earlier.problem);
    } else {
        endpoint.health = Health::Checking;
    }
}

/// A public IP address must exist and have a name, and a synthetic one must mean something.
fn check_target(state: &State, endpoint: &Endpoint) -> Result<(), ArmError> {
    let Target::Resource { id } = &endpoint.target else {
        return Ok(());
    };
    match synthetic_address::ingress(&id.subscription, &id.name) {
        Some(Ingress::Ip(_)) => return Ok(()),
        Some(Ingress::Host(host)) if checks::is_host(&host) => return Ok(()),
        Some(Ingress::Host(host)) => {
            return Err(ArmError::bad_request(format!(
                "The target resource of endpoint '{}' names the host '{host}', which is not a host name.",
                endpoint.name
            )));
        }
        None => {}
    }
    let arm = id.arm(ADDRESSES);
    let Some(address) = state.address(&id.key()) else {
        return Err(ArmError::bad_request(format!(
            "The target resource '{arm}' of endpoint '{}' does not exist.",
            endpoint.name
        )));
    };
    if address.label.is_none() && address.fqdn.is_none() {
        return Err(ArmError::bad_request(format!(
            "The target resource '{arm}' of endpoint '{}' must have a DNS name: give the public IP address a domain name \
             label.",
            endpoint.name
        )));
    }
    Ok(())
}

fn assign_priorities(profile: &mut Profile) -> Result<(), ArmError> {
    let mut next = profile
        .endpoints
        .iter()
        .map(|endpoint| endpoint.priority)
        .max()
        .unwrap_or(0);
    for endpoint in profile.endpoints.iter_mut().filter(|endpoint| endpoint.priority == 0) {
        next += 1;
        endpoint.priority = checks::bounded("properties.priority", i64::from(next), 1, 1000)?;
    }
    Ok(())
}

fn check_unique(state: &State, profile: &Profile) -> Result<(), ArmError> {
    let mut names = BTreeSet::new();
    let mut targets = BTreeSet::new();
    let mut resources = BTreeSet::new();
    for endpoint in &profile.endpoints {
        if !names.insert((endpoint.kind, endpoint.name.to_ascii_lowercase())) {
            return Err(ArmError::bad_request(format!(
                "The endpoint name '{}' is given twice.",
                endpoint.name
            )));
        }
        let same_resource = match &endpoint.target {
            Target::Resource { id } => !resources.insert(id.key()),
            Target::External { .. } => false,
        };
        let destination = state.target_text(endpoint, "");
        let same_target = destination.is_some_and(|target| !targets.insert(target.to_ascii_lowercase()));
        if same_resource || same_target {
            return Err(ArmError::bad_request(format!(
                "Some endpoints in the profile have the same target: the target of endpoint '{}' is in the profile already.",
                endpoint.name
            )));
        }
    }
    Ok(())
}

/// A name must not lead to itself.
fn check_loop(state: &State, settings: &Settings, profile: &Profile) -> Result<(), ArmError> {
    let own = format!("{}.{}", profile.relative_name, settings.origin).to_ascii_lowercase();
    let leads_back = |endpoint: &&Endpoint| state.destination(endpoint) == Destination::Name(own.clone());
    profile.endpoints.iter().find(leads_back).map_or(Ok(()), |endpoint| {
        Err(ArmError::bad_request(format!(
            "The target of endpoint '{}' is the profile's own name.",
            endpoint.name
        )))
    })
}

fn check_routing(profile: &Profile) -> Result<(), ArmError> {
    match profile.routing {
        Routing::Weighted => Ok(()),
        Routing::Priority => {
            let mut priorities = BTreeSet::new();
            let twice = profile
                .endpoints
                .iter()
                .find(|endpoint| !priorities.insert(endpoint.priority));
            twice.map_or(Ok(()), |endpoint| {
                Err(ArmError::bad_request(format!(
                    "The priority {} of endpoint '{}' is given twice; under Priority routing each endpoint has its own.",
                    endpoint.priority, endpoint.name
                )))
            })
        }
        Routing::Performance => {
            let is_lost = |endpoint: &&Endpoint| endpoint.kind == EndpointKind::External && endpoint.location.is_none();
            profile.endpoints.iter().find(is_lost).map_or(Ok(()), |endpoint| {
                Err(ArmError::bad_request(format!(
                    "The external endpoint '{}' needs the property 'endpointLocation' under Performance routing.",
                    endpoint.name
                )))
            })
        }
    }
}
