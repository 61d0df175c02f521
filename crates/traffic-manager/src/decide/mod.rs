//! Every decision about a request: the state and the request go in, changes and an answer come out. Pure.

mod addresses;
mod endpoints;
mod hints;
mod names;
mod observed;
mod profiles;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::arm::path::{EndpointId, Scope};
use crate::error::ArmError;
use crate::model::{EndpointKind, Health, ResourceId, ResourceKey};
use crate::state::{Change, Destination, State};

pub use hints::{Hints, LIMIT as HINTS_LIMIT};

/// What the operator has settled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The zone in which profiles have their names, without a dot at the end.
    pub origin: String,
    /// Relative names that the zone needs for itself, in lower case.
    pub reserved: BTreeSet<String>,
    /// Profiles of a subscription.
    pub max_profiles: usize,
    /// Endpoints of a profile.
    pub max_endpoints: usize,
    /// Public IP addresses in one page of a list.
    pub page: usize,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Operation {
    /// The profiles of a scope.
    ListProfiles(Scope),
    /// A profile.
    GetProfile(ResourceId),
    /// Creates or replaces a profile with its endpoints.
    PutProfile(ResourceId, Map<String, Value>),
    /// Changes what the body names.
    PatchProfile(ResourceId, Map<String, Value>),
    /// Deletes a profile with its endpoints.
    DeleteProfile(ResourceId),
    /// An endpoint.
    GetEndpoint(EndpointId),
    /// Creates or replaces an endpoint.
    PutEndpoint(EndpointId, Map<String, Value>),
    /// Changes what the body names.
    PatchEndpoint(EndpointId, Map<String, Value>),
    /// Deletes an endpoint.
    DeleteEndpoint(EndpointId),
    /// The public IP addresses of a scope, page by page.
    ListAddresses {
        /// What is listed.
        scope: Scope,
        /// The last one of the page before.
        after: Option<String>,
        /// The address of this list, up to where the position of the next page is added.
        link: String,
    },
    /// A public IP address.
    GetAddress(ResourceId),
    /// Creates or replaces a public IP address.
    PutAddress(ResourceId, Map<String, Value>),
    /// Changes what the body names.
    PatchAddress(ResourceId, Map<String, Value>),
    /// Deletes a public IP address.
    DeleteAddress(ResourceId),
    /// Asks whether a relative name is free.
    CheckName(Map<String, Value>),
    /// A hub agent degrades or restores endpoints.
    Hint(Hints),
    /// Probes have come to another result.
    Observe(Observation),
    /// The time of hints has passed.
    ExpireHints,
}

/// What probes have come to about an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The profile.
    pub profile: ResourceKey,
    /// The endpoint's type.
    pub kind: EndpointKind,
    /// The endpoint's name.
    pub name: String,
    /// Where the probes went. The result of probes of another destination does not count.
    pub destination: Destination,
    /// The result.
    pub health: Health,
    /// What the last probe found, when it failed.
    pub problem: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; none with 204.
    pub body: Option<Value>,
}

/// Changes to make, and what to answer once they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// In order.
    pub changes: Vec<Change>,
    /// The answer.
    pub answer: Answer,
}

impl Decision {
    /// Nothing changes.
    fn only(status: u16, body: Value) -> Self {
        Self::with(Vec::new(), status, body)
    }

    fn with(changes: Vec<Change>, status: u16, body: Value) -> Self {
        let body = Some(body);
        Self {
            changes,
            answer: Answer { status, body },
        }
    }

    /// There was nothing to do.
    fn no_content() -> Self {
        Self {
            changes: Vec::new(),
            answer: Answer {
                status: 204,
                body: None,
            },
        }
    }
}

/// Decides about one operation.
///
/// # Errors
/// What ARM answers instead; nothing changes then.
pub fn decide(state: &State, settings: &Settings, operation: Operation, now: Timestamp) -> Result<Decision, ArmError> {
    match operation {
        Operation::ListProfiles(scope) => Ok(profiles::list(state, settings, &scope)),
        Operation::GetProfile(id) => profiles::get(state, settings, &id),
        Operation::PutProfile(id, body) => profiles::put(state, settings, id, body),
        Operation::PatchProfile(id, body) => profiles::patch(state, settings, id, body),
        Operation::DeleteProfile(id) => Ok(profiles::delete(state, &id)),
        Operation::GetEndpoint(id) => endpoints::get(state, settings, &id),
        Operation::PutEndpoint(id, body) => endpoints::put(state, settings, &id, body),
        Operation::PatchEndpoint(id, body) => endpoints::patch(state, settings, &id, body),
        Operation::DeleteEndpoint(id) => Ok(endpoints::delete(state, &id)),
        Operation::ListAddresses { scope, after, link } => {
            Ok(addresses::list(state, settings, &scope, after.as_deref(), &link))
        }
        Operation::GetAddress(id) => addresses::get(state, settings, &id),
        Operation::PutAddress(id, body) => addresses::put(state, settings, id, body),
        Operation::PatchAddress(id, body) => addresses::patch(state, settings, id, body),
        Operation::DeleteAddress(id) => Ok(addresses::delete(state, &id)),
        Operation::CheckName(body) => names::check(state, settings, body),
        Operation::Hint(hints) => Ok(hints::apply(state, hints, now)),
        Operation::Observe(observation) => Ok(observed::apply(state, observation)),
        Operation::ExpireHints => Ok(hints::expire(state, now)),
    }
}

/// When the next hint ends.
pub fn next_expiry(state: &State) -> Option<Timestamp> {
    let profiles = state.profiles().flat_map(|(_, profile)| &profile.endpoints);
    profiles
        .filter_map(|endpoint| Some(endpoint.hint.as_ref()?.expires))
        .min()
}

/// Whether a resource belongs to a scope.
fn is_in(scope: &Scope, key: &ResourceKey) -> bool {
    key.subscription.eq_ignore_ascii_case(scope.subscription())
        && scope.group().is_none_or(|group| key.group.eq_ignore_ascii_case(group))
}
