//! An endpoint: where a profile may send clients.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Header, ResourceId};

/// An endpoint of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its type.
    pub kind: EndpointKind,
    /// Its name, as spelled; with the type unique in the profile, without regard to case.
    pub name: String,
    /// Where it leads.
    pub target: Target,
    /// Whether it may be answered.
    pub enabled: bool,
    /// Share of answers under weighted routing, 1 to 1000.
    pub weight: u32,
    /// Rank under priority routing, 1 to 1000; the lowest number comes first.
    pub priority: u32,
    /// Where it is, for performance routing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Headers of its probes, which take the place of the profile's of the same names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Whether it is answered without being probed.
    #[serde(default)]
    pub always_serve: bool,
    /// What probes have found.
    pub health: Health,
    /// What the probe found that degraded it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What a hub agent has said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

/// Types of endpoints that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EndpointKind {
    /// On a public IP address resource.
    Azure,
    /// On a host name or an address.
    External,
}

/// Where an endpoint leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The public IP address resource of that id, as spelled.
    Resource {
        /// The resource.
        id: ResourceId,
    },
    /// A host name or an address in text.
    External {
        /// The name or address.
        target: String,
    },
}

/// What probes have found about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Not enough yet.
    Checking,
    /// It answers as expected.
    Online,
    /// More probes in a row have failed than are tolerated.
    Degraded,
}

/// A hub agent knows that an endpoint cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Until when the endpoint counts as degraded.
    pub expires: Timestamp,
    /// Why, for people.
    pub reason: String,
}

impl EndpointKind {
    /// The type as it stands in paths that we write.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Azure => "azureEndpoints",
            Self::External => "externalEndpoints",
        }
    }
}

impl Target {
    /// Whether both name the same, without regard to case.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Resource { id }, Self::Resource { id: other }) => id.key() == other.key(),
            (Self::External { target }, Self::External { target: other }) => target.eq_ignore_ascii_case(other),
            _ => false,
        }
    }
}

impl Endpoint {
    /// Whether it is the endpoint of that type and name.
    pub fn is(&self, kind: EndpointKind, name: &str) -> bool {
        self.kind == kind && self.name.eq_ignore_ascii_case(name)
    }
}
