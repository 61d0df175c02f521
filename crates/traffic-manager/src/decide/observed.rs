//! Results of probes.

use std::sync::Arc;

use serde_json::Value;

use super::{Decision, Observation};
use crate::model::Profile;
use crate::state::{Change, State};

/// Takes a result in, unless the endpoint is gone or leads elsewhere by now.
pub(super) fn apply(state: &State, observation: Observation) -> Decision {
    let changes = changed(state, observation).map(|profile| Change::PutProfile(Arc::new(profile)));
    Decision::with(changes.into_iter().collect(), 200, Value::Null)
}

fn changed(state: &State, observation: Observation) -> Option<Profile> {
    let before = state.profile(&observation.profile)?;
    let at = before.position(observation.kind, &observation.name)?;
    let endpoint = &before.endpoints[at];
    let current = state.destination(endpoint) == observation.destination && endpoint.enabled && before.enabled;
    if !current || endpoint.health == observation.health {
        return None;
    }
    let mut profile = Profile::clone(before);
    profile.endpoints[at].health = observation.health;
    profile.endpoints[at].problem = observation.problem;
    Some(profile)
}
