//! What a change of the state means for the status of endpoints. Pure.

use crate::health::{EndpointStatus, statuses};
use crate::model::{EndpointKind, Profile, ResourceKey};
use crate::state::State;

/// The status of an endpoint is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The profile.
    pub profile: ResourceKey,
    /// The endpoint's type.
    pub kind: EndpointKind,
    /// The endpoint's name.
    pub endpoint: String,
    /// The status before; `None` for a new endpoint.
    pub from: Option<EndpointStatus>,
    /// The status now.
    pub to: EndpointStatus,
    /// Why, for people; empty where there is nothing to say.
    pub reason: String,
}

/// Every endpoint whose status differs between two states, in the order of profiles and endpoints. Endpoints that are gone
/// do not count.
pub fn between(before: &State, after: &State) -> Vec<Transition> {
    let moved = before.addresses().ne(after.addresses());
    let mut transitions = Vec::new();
    for (key, profile) in after.profiles() {
        let old = before.profile(key);
        if !moved && old.is_some_and(|old| std::sync::Arc::ptr_eq(old, profile)) {
            continue;
        }
        let earlier = old
            .map(|old| statuses(before, old).collect::<Vec<_>>())
            .unwrap_or_default();
        for (endpoint, _, to) in statuses(after, profile) {
            let from = earlier
                .iter()
                .find(|(other, ..)| other.is(endpoint.kind, &endpoint.name))
                .map(|(.., status)| *status);
            if from != Some(to) {
                transitions.push(Transition {
                    profile: key.clone(),
                    kind: endpoint.kind,
                    endpoint: endpoint.name.clone(),
                    from,
                    to,
                    reason: reason(profile, &endpoint.name, endpoint.kind, to),
                });
            }
        }
    }
    transitions
}

fn reason(profile: &Profile, name: &str, kind: EndpointKind, status: EndpointStatus) -> String {
    let endpoint = profile.position(kind, name).map(|at| &profile.endpoints[at]);
    let hint = endpoint.and_then(|endpoint| endpoint.hint.as_ref());
    match (status, hint) {
        (EndpointStatus::Degraded, Some(hint)) => format!("a hub agent reports: {}", hint.reason),
        (EndpointStatus::Degraded, None) => endpoint
            .and_then(|endpoint| endpoint.problem.clone())
            .unwrap_or_default(),
        (EndpointStatus::Stopped, _) => "its public IP address does not exist or has no address".to_owned(),
        _ => String::new(),
    }
}
