//! The body of a profile.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::checks::{self, missing, tags};
use super::endpoint_body::EndpointBody;
use crate::error::ArmError;
use crate::model::{Header, Monitor, Profile, Protocol, ResourceId, Routing, StatusRange};

/// Ranges of expected status codes of a profile.
const RANGES: usize = 8;
/// Longest interval between probes, in seconds.
const INTERVAL: i64 = 3600;
/// Longest time that a probe may take, in seconds.
const TIMEOUT: i64 = 10;

/// A profile as it arrives. What only the server sets is left out, and what nobody knows is ignored, as ARM does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProfileBody {
    location: Option<String>,
    tags: Option<BTreeMap<String, Option<String>>>,
    properties: Option<Properties>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    profile_status: Option<String>,
    traffic_routing_method: Option<String>,
    dns_config: Option<DnsConfig>,
    monitor_config: Option<MonitorConfig>,
    endpoints: Option<Vec<EndpointBody>>,
    traffic_view_enrollment_status: Option<String>,
    max_return: Option<i64>,
    allowed_endpoint_record_types: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DnsConfig {
    relative_name: Option<String>,
    ttl: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MonitorConfig {
    protocol: Option<String>,
    port: Option<i64>,
    path: Option<String>,
    interval_in_seconds: Option<i64>,
    timeout_in_seconds: Option<i64>,
    tolerated_number_of_failures: Option<i64>,
    custom_headers: Option<Vec<Header>>,
    expected_status_code_ranges: Option<Vec<Range>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Range {
    min: Option<i64>,
    max: Option<i64>,
}

impl ProfileBody {
    /// The profile that this body asks for, with its endpoints in the order of the body.
    ///
    /// # Errors
    /// 400 that says which property is missing or wrong.
    pub fn read(self, id: ResourceId) -> Result<Profile, ArmError> {
        checks::name(&id.name)?;
        match self.location.as_deref() {
            Some(location) if location.eq_ignore_ascii_case("global") => {}
            None => {
                let message = "The location property is required for this definition.";
                return Err(ArmError::new(400, "LocationRequired", message));
            }
            Some(location) => {
                let message = format!(
                    "The provided location '{location}' is not available for resource type \
                     'Microsoft.Network/trafficManagerProfiles'. List of available regions for the resource type is \
                     'global'."
                );
                return Err(ArmError::new(400, "LocationNotAvailableForResourceType", message));
            }
        }
        let properties = self.properties.ok_or_else(|| missing("properties"))?;
        let dns = properties.dns_config.ok_or_else(|| missing("properties.dnsConfig"))?;
        let relative_name = dns
            .relative_name
            .ok_or_else(|| missing("properties.dnsConfig.relativeName"))?;
        if !checks::is_label(&relative_name) {
            return Err(ArmError::bad_request(format!(
                "The relative DNS name '{relative_name}' is not valid: it must be one label of 1 to 63 letters, digits and \
                 hyphens, and begin and end with a letter or digit."
            )));
        }
        let routing = properties
            .traffic_routing_method
            .ok_or_else(|| missing("properties.trafficRoutingMethod"))?;
        let monitor = properties
            .monitor_config
            .ok_or_else(|| missing("properties.monitorConfig"))?;
        let traffic_view = properties.traffic_view_enrollment_status;
        checks::enabled("properties.trafficViewEnrollmentStatus", traffic_view.as_deref(), false)?;
        let endpoints = properties.endpoints.unwrap_or_default();
        Ok(Profile {
            id,
            tags: tags(self.tags),
            enabled: checks::enabled("properties.profileStatus", properties.profile_status.as_deref(), true)?,
            routing: read_routing(&routing)?,
            relative_name,
            ttl: checks::bounded(
                "properties.dnsConfig.ttl",
                dns.ttl.unwrap_or(60),
                0,
                i64::from(i32::MAX),
            )?,
            monitor: monitor.read()?,
            endpoints: endpoints
                .into_iter()
                .map(EndpointBody::read_listed)
                .collect::<Result<_, _>>()?,
            traffic_view,
            max_return: properties.max_return,
            record_types: properties.allowed_endpoint_record_types.unwrap_or_default(),
        })
    }
}

impl MonitorConfig {
    fn read(self) -> Result<Monitor, ArmError> {
        let protocol = match self.protocol.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("HTTP") => Protocol::Http,
            Some("HTTPS") => Protocol::Https,
            Some("TCP") => Protocol::Tcp,
            None => return Err(missing("properties.monitorConfig.protocol")),
            Some(other) => {
                return Err(ArmError::bad_request(format!(
                    "The property 'properties.monitorConfig.protocol' must be HTTP, HTTPS or TCP, but is '{other}'."
                )));
            }
        };
        let port = self.port.ok_or_else(|| missing("properties.monitorConfig.port"))?;
        let port = checks::bounded("properties.monitorConfig.port", port, 1, 65535)?;
        let interval = self.interval_in_seconds.unwrap_or(30);
        let interval = checks::bounded("properties.monitorConfig.intervalInSeconds", interval, 1, INTERVAL)?;
        let (shortest, longest, default) = timeouts(interval);
        let timeout = self.timeout_in_seconds.unwrap_or(default);
        let failures = self.tolerated_number_of_failures.unwrap_or(3);
        let expected = self.expected_status_code_ranges.unwrap_or_default();
        if protocol == Protocol::Tcp && !expected.is_empty() {
            let message = "Expected status code ranges are allowed for HTTP and HTTPS probes only, not for TCP.";
            return Err(ArmError::bad_request(message));
        }
        if expected.len() > RANGES {
            let message = format!(
                "There are {} expected status code ranges; at most {RANGES} are allowed.",
                expected.len()
            );
            return Err(ArmError::bad_request(message));
        }
        Ok(Monitor {
            protocol,
            port: u16::try_from(port).unwrap_or(u16::MAX),
            path: path(protocol, self.path)?,
            interval,
            timeout: checks::bounded("properties.monitorConfig.timeoutInSeconds", timeout, shortest, longest)?,
            tolerated_failures: checks::bounded("properties.monitorConfig.toleratedNumberOfFailures", failures, 0, 9)?,
            headers: checks::headers(self.custom_headers.unwrap_or_default())?,
            expected: expected.into_iter().map(Range::read).collect::<Result<_, _>>()?,
        })
    }
}

/// The shortest, the longest and the default time-out at an interval, in seconds. The intervals that Azure knows, 30 and 10,
/// have its limits; shorter and other ones are ours.
fn timeouts(interval: u32) -> (i64, i64, i64) {
    match i64::from(interval) {
        30 => (5, 10, 10),
        10 => (5, 9, 9),
        interval => {
            let longest = interval.min(TIMEOUT);
            (1, longest, longest)
        }
    }
}

fn path(protocol: Protocol, path: Option<String>) -> Result<Option<String>, ArmError> {
    match (protocol, path) {
        (Protocol::Tcp, None) => Ok(None),
        (Protocol::Tcp, Some(path)) if path.is_empty() => Ok(None),
        (Protocol::Tcp, Some(_)) => Err(ArmError::bad_request(
            "The property 'properties.monitorConfig.path' is not allowed for TCP probes.",
        )),
        (_, None) => Ok(Some("/".to_owned())),
        (_, Some(path)) if path.starts_with('/') && path.parse::<http::Uri>().is_ok() => Ok(Some(path)),
        (_, Some(path)) => Err(ArmError::bad_request(format!(
            "The property 'properties.monitorConfig.path' must be a path that begins with '/', but is '{path}'."
        ))),
    }
}

impl Range {
    fn read(self) -> Result<StatusRange, ArmError> {
        let wrong = || {
            ArmError::bad_request(
                "An expected status code range needs 'min' and 'max' between 100 and 999, and 'min' not above 'max'.",
            )
        };
        let bound = |value: Option<i64>| value.and_then(|value| u16::try_from(value).ok());
        match (bound(self.min), bound(self.max)) {
            (Some(min), Some(max)) if 100 <= min && min <= max && max <= 999 => Ok(StatusRange { min, max }),
            _ => Err(wrong()),
        }
    }
}

fn read_routing(text: &str) -> Result<Routing, ArmError> {
    match text.to_ascii_lowercase().as_str() {
        "weighted" => Ok(Routing::Weighted),
        "priority" => Ok(Routing::Priority),
        "performance" => Ok(Routing::Performance),
        _ => Err(ArmError::bad_request(format!(
            "The traffic routing method '{text}' is not supported by this traffic manager: use Weighted, Priority or \
             Performance."
        ))),
    }
}
