//! What is probed, and how. Pure.

use crate::model::{EndpointKind, Header, Profile, Protocol, ResourceKey, StatusRange};
use crate::state::{Destination, State};

/// An endpoint among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// The profile.
    pub profile: ResourceKey,
    /// The endpoint's type.
    pub kind: EndpointKind,
    /// The endpoint's name in lower case.
    pub name: String,
}

/// How an endpoint is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One probe.
    pub probe: Probe,
    /// Seconds between the starts of probes.
    pub interval: u32,
    /// Failures in a row that are tolerated.
    pub tolerated_failures: u32,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it goes.
    pub destination: Destination,
    /// The port there.
    pub port: u16,
    /// The path of HTTP and HTTPS.
    pub path: String,
    /// Headers besides those that every probe has; `Host` among them replaces the destination.
    pub headers: Vec<Header>,
    /// Seconds that it may take.
    pub timeout: u32,
    /// Status codes that count as success; without any, 200 alone.
    pub expected: Vec<StatusRange>,
}

/// What is probed of a profile: nothing of one that is switched off, and only endpoints that lead somewhere and depend on
/// it.
pub fn plans(state: &State, profile: &Profile) -> Vec<(EndpointKey, Plan)> {
    let monitor = &profile.monitor;
    let mut plans = Vec::new();
    for endpoint in profile.endpoints.iter().filter(|_| profile.enabled) {
        let destination = state.destination(endpoint);
        if !endpoint.enabled || endpoint.always_serve || destination == Destination::Nowhere {
            continue;
        }
        let key = EndpointKey {
            profile: profile.id.key(),
            kind: endpoint.kind,
            name: endpoint.name.to_ascii_lowercase(),
        };
        let probe = Probe {
            protocol: monitor.protocol,
            destination,
            port: monitor.port,
            path: monitor.path.clone().unwrap_or_else(|| "/".to_owned()),
            headers: merged(&monitor.headers, &endpoint.headers),
            timeout: monitor.timeout,
            expected: monitor.expected.clone(),
        };
        plans.push((
            key,
            Plan {
                probe,
                interval: monitor.interval,
                tolerated_failures: monitor.tolerated_failures,
            },
        ));
    }
    plans
}

impl Probe {
    /// Whether a status code counts as success.
    pub fn expects(&self, status: u16) -> bool {
        if self.expected.is_empty() {
            return status == 200;
        }
        self.expected
            .iter()
            .any(|range| (range.min..=range.max).contains(&status))
    }

    /// The value of the `Host` header.
    pub fn host(&self) -> String {
        let custom = self
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case("host"));
        let host = match (custom, &self.destination) {
            (Some(header), _) => return header.value.clone(),
            (None, Destination::Name(name)) => name.clone(),
            (None, Destination::Address(std::net::IpAddr::V6(ip))) => format!("[{ip}]"),
            (None, Destination::Address(ip)) => ip.to_string(),
            (None, Destination::Nowhere) => String::new(),
        };
        match (self.protocol, self.port) {
            (Protocol::Http, 80) | (Protocol::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// The profile's headers, those that the endpoint gives too replaced by its own.
fn merged(profile: &[Header], endpoint: &[Header]) -> Vec<Header> {
    let replaced = |header: &&Header| !endpoint.iter().any(|own| own.name.eq_ignore_ascii_case(&header.name));
    profile.iter().filter(replaced).chain(endpoint).cloned().collect()
}
