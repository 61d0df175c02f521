//! A profile: one name in the zone and how its endpoints are chosen and watched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Endpoint, EndpointKind, Header, ResourceId};

/// A Traffic Manager profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Who it is.
    pub id: ResourceId,
    /// Tags, as users gave them.
    pub tags: BTreeMap<String, String>,
    /// Whether it answers at all.
    pub enabled: bool,
    /// How an endpoint is chosen.
    pub routing: Routing,
    /// Its label below the zone's origin, as spelled.
    pub relative_name: String,
    /// Time to live of answers, in seconds.
    pub ttl: u32,
    /// How endpoints are watched.
    pub monitor: Monitor,
    /// In the order in which they were added.
    pub endpoints: Vec<Endpoint>,
    /// `trafficViewEnrollmentStatus`, kept and without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_view: Option<String>,
    /// `maxReturn`, kept and without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_return: Option<i64>,
    /// `allowedEndpointRecordTypes`, kept and without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub record_types: Vec<String>,
}

/// How an endpoint is chosen among those that are healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Routing {
    /// At random, in proportion to weights.
    Weighted,
    /// The one with the lowest priority number.
    Priority,
    /// The one that is nearest to the client by a table of networks.
    Performance,
}

/// The protocol of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS; the certificate is not verified.
    Https,
    /// A connection that opens is all that is asked for.
    Tcp,
}

/// How endpoints are watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Monitor {
    /// The protocol of probes.
    pub protocol: Protocol,
    /// Port of the endpoint.
    pub port: u16,
    /// Path of HTTP and HTTPS probes; `None` for TCP.
    pub path: Option<String>,
    /// Seconds between probes.
    pub interval: u32,
    /// Seconds that a probe may take.
    pub timeout: u32,
    /// Failures in a row that are tolerated; the next one degrades the endpoint.
    pub tolerated_failures: u32,
    /// Headers of all probes of the profile.
    pub headers: Vec<Header>,
    /// Status codes that count as success; without any, 200 alone.
    pub expected: Vec<StatusRange>,
}

/// Status codes from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatusRange {
    /// The lowest.
    pub min: u16,
    /// The highest.
    pub max: u16,
}

impl Profile {
    /// Where an endpoint stands in the list. Names compare without regard to case.
    pub fn position(&self, kind: EndpointKind, name: &str) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| endpoint.is(kind, name))
    }
}

impl Routing {
    /// As ARM writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Weighted => "Weighted",
            Self::Priority => "Priority",
            Self::Performance => "Performance",
        }
    }
}

impl Protocol {
    /// As ARM writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
        }
    }
}
