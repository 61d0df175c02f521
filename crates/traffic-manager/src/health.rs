//! From what probes and hub agents say to the status of endpoints and profiles. Pure.

use crate::model::{Endpoint, Health, Profile};
use crate::state::{Destination, State};

/// Status of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointStatus {
    /// Not probed often enough yet; it is answered.
    CheckingEndpoint,
    /// It answers as expected.
    Online,
    /// It does not, or a hub agent has said that it cannot.
    Degraded,
    /// A user has switched it off.
    Disabled,
    /// Its profile is switched off.
    Inactive,
    /// Its resource does not exist or has no address.
    Stopped,
    /// It is answered without being probed.
    Unmonitored,
}

/// Status of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileStatus {
    /// No endpoint is probed often enough yet.
    CheckingEndpoints,
    /// An endpoint is online, and none is degraded.
    Online,
    /// An endpoint is degraded.
    Degraded,
    /// A user has switched it off.
    Disabled,
    /// It has no endpoint that could be answered.
    Inactive,
}

impl EndpointStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::CheckingEndpoint,
        Self::Online,
        Self::Degraded,
        Self::Disabled,
        Self::Inactive,
        Self::Stopped,
        Self::Unmonitored,
    ];

    /// As ARM writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::CheckingEndpoint => "CheckingEndpoint",
            Self::Online => "Online",
            Self::Degraded => "Degraded",
            Self::Disabled => "Disabled",
            Self::Inactive => "Inactive",
            Self::Stopped => "Stopped",
            Self::Unmonitored => "Unmonitored",
        }
    }

    /// Whether clients are sent there.
    pub fn serves(self) -> bool {
        matches!(self, Self::CheckingEndpoint | Self::Online | Self::Unmonitored)
    }
}

impl ProfileStatus {
    /// As ARM writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::CheckingEndpoints => "CheckingEndpoints",
            Self::Online => "Online",
            Self::Degraded => "Degraded",
            Self::Disabled => "Disabled",
            Self::Inactive => "Inactive",
        }
    }
}

/// The status of an endpoint of a profile.
pub fn endpoint_status(profile: &Profile, endpoint: &Endpoint, destination: &Destination) -> EndpointStatus {
    match endpoint.health {
        _ if !endpoint.enabled => EndpointStatus::Disabled,
        _ if !profile.enabled => EndpointStatus::Inactive,
        _ if *destination == Destination::Nowhere => EndpointStatus::Stopped,
        _ if endpoint.hint.is_some() => EndpointStatus::Degraded,
        _ if endpoint.always_serve => EndpointStatus::Unmonitored,
        Health::Checking => EndpointStatus::CheckingEndpoint,
        Health::Online => EndpointStatus::Online,
        Health::Degraded => EndpointStatus::Degraded,
    }
}

/// The status of every endpoint of a profile, in their order, with where they lead.
pub fn statuses<'a>(
    state: &'a State,
    profile: &'a Profile,
) -> impl Iterator<Item = (&'a Endpoint, Destination, EndpointStatus)> {
    profile.endpoints.iter().map(move |endpoint| {
        let destination = state.destination(endpoint);
        let status = endpoint_status(profile, endpoint, &destination);
        (endpoint, destination, status)
    })
}

/// The status of a profile.
pub fn profile_status(state: &State, profile: &Profile) -> ProfileStatus {
    if !profile.enabled {
        return ProfileStatus::Disabled;
    }
    let all: Vec<_> = statuses(state, profile).map(|(.., status)| status).collect();
    let any = |wanted: &[EndpointStatus]| all.iter().any(|status| wanted.contains(status));
    if any(&[EndpointStatus::Degraded]) {
        ProfileStatus::Degraded
    } else if any(&[EndpointStatus::Online, EndpointStatus::Unmonitored]) {
        ProfileStatus::Online
    } else if any(&[EndpointStatus::CheckingEndpoint]) {
        ProfileStatus::CheckingEndpoints
    } else {
        ProfileStatus::Inactive
    }
}

/// What a row of probes of one endpoint has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    health: Health,
    /// Failures in a row.
    failures: u32,
}

impl Observed {
    /// Begins at a health that was known before.
    pub fn new(health: Health) -> Self {
        Self { health, failures: 0 }
    }

    /// What is found so far.
    pub fn health(self) -> Health {
        self.health
    }

    /// After one more probe.
    #[must_use]
    pub fn after(self, success: bool, tolerated_failures: u32) -> Self {
        if success {
            return Self::new(Health::Online);
        }
        let failures = self.failures.saturating_add(1);
        let health = if failures > tolerated_failures {
            Health::Degraded
        } else {
            self.health
        };
        Self { health, failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_after_those_tolerated_degrades_and_one_success_restores() {
        for (before, tolerated, probes, wanted) in [
            (Health::Checking, 0, "+", Health::Online),
            (Health::Checking, 0, "-", Health::Degraded),
            (Health::Checking, 3, "---", Health::Checking),
            (Health::Checking, 3, "----", Health::Degraded),
            (Health::Online, 3, "---+---", Health::Online),
            (Health::Online, 1, "-+--", Health::Degraded),
            (Health::Degraded, 9, "-", Health::Degraded),
            (Health::Degraded, 9, "-+-", Health::Online),
        ] {
            let after = probes
                .chars()
                .fold(Observed::new(before), |seen, probe| seen.after(probe == '+', tolerated));
            assert_eq!(after.health(), wanted, "{before:?} {tolerated} {probes}");
        }
    }
}
