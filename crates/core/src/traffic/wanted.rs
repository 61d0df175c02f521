//! The profile that a TrafficManagerProfile stands for: its content, how it compares with what the traffic manager
//! holds, and the body of the write (networking 6.2).

use std::collections::BTreeSet;

use api::networking::traffic_names::{self, PROFILE_TAG};
use api::networking::v1beta1::MonitorProtocol;
use api::text::annotations;
use serde_json::{Value, json};

use super::held::{put, remove};
use crate::digest::Digest;
use crate::objects::TrafficProfile;

/// Seconds for which resolvers keep an answer.
const TTL: i64 = 60;
const WEIGHTED: &str = "Weighted";
const PRIORITY: &str = "Priority";
const ROUTING_METHODS: [&str; 3] = [WEIGHTED, PRIORITY, "Performance"];
const INTERVAL: i64 = 30;
const LONGEST_TIMEOUT: i64 = 10;

/// What a profile should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WantedProfile {
    tag: String,
    relative_name: String,
    ttl: i64,
    routing_method: String,
    protocol: MonitorProtocol,
    port: i64,
    /// None with TCP, which the traffic manager refuses to take a path for (networking 6.2).
    path: Option<String>,
    interval: i64,
    timeout: i64,
    tolerated_failures: i64,
    headers: Vec<(String, String)>,
}

impl WantedProfile {
    /// Reads what a profile should be. Defaults are filled in here and never written into the user's object.
    ///
    /// # Errors
    /// What the user has to change, as one sentence without a full stop.
    pub(super) fn of(profile: &TrafficProfile) -> Result<Self, String> {
        let (namespace, name) = (profile.namespace(), &profile.meta.name);
        let monitor = profile.spec.monitor_config.clone().unwrap_or_default();
        let protocol = monitor.protocol.unwrap_or(MonitorProtocol::Http);
        fast_degradation(profile)?;
        let asked = number(profile, annotations::TRAFFIC_PROBE_INTERVAL_SECONDS, 1, 3600)?;
        let interval = asked.unwrap_or_else(|| monitor.interval_in_seconds.unwrap_or(INTERVAL));
        let timeout = match monitor.timeout_in_seconds {
            Some(timeout) if asked.is_some() && timeout >= interval => {
                return Err(format!(
                    "timeoutInSeconds is {timeout}, which must be less than the {interval} seconds between two probes that the \
                     annotation {} asks for: leave timeoutInSeconds out or ask for a longer interval",
                    annotations::TRAFFIC_PROBE_INTERVAL_SECONDS
                ));
            }
            Some(timeout) => timeout,
            None => (interval - 1).clamp(1, LONGEST_TIMEOUT),
        };
        Ok(Self {
            tag: traffic_names::profile_tag(namespace, name),
            relative_name: traffic_names::relative_dns_name(namespace, name)?,
            ttl: number(profile, annotations::TRAFFIC_TTL_SECONDS, 0, i64::from(i32::MAX))?.unwrap_or(TTL),
            routing_method: routing_method(profile)?,
            path: (protocol != MonitorProtocol::Tcp).then(|| monitor.path.unwrap_or_else(|| "/".to_owned())),
            protocol,
            port: monitor.port.unwrap_or(80),
            interval,
            timeout,
            tolerated_failures: monitor.tolerated_number_of_failures.unwrap_or(3),
            headers: monitor.custom_headers.into_iter().map(|h| (h.name, h.value)).collect(),
        })
    }

    /// Distinguishes what is wanted from anything else that may exist.
    pub(super) fn intent(&self) -> Digest {
        Digest::of(&self.body(None).to_string())
    }

    /// The properties in which a profile of the traffic manager differs; what is missing there differs.
    pub(super) fn differences(&self, held: &Value) -> Vec<&'static str> {
        let wanted = self.body(None);
        let mut different = Vec::new();
        let mut compare = |name, same: bool| {
            if !same {
                different.push(name);
            }
        };
        let tag = held.get("tags").and_then(|tags| tags.get(PROFILE_TAG));
        compare("tags", tag == Some(&json!(self.tag)));
        for (name, pointer) in [
            ("profileStatus", "/properties/profileStatus"),
            ("trafficRoutingMethod", "/properties/trafficRoutingMethod"),
            ("ttl", "/properties/dnsConfig/ttl"),
            ("protocol", "/properties/monitorConfig/protocol"),
            ("port", "/properties/monitorConfig/port"),
            ("intervalInSeconds", "/properties/monitorConfig/intervalInSeconds"),
            ("timeoutInSeconds", "/properties/monitorConfig/timeoutInSeconds"),
            (
                "toleratedNumberOfFailures",
                "/properties/monitorConfig/toleratedNumberOfFailures",
            ),
        ] {
            compare(name, held.pointer(pointer) == wanted.pointer(pointer));
        }
        let path = "/properties/monitorConfig/path";
        compare(
            "path",
            self.path.is_none() || held.pointer(path) == wanted.pointer(path),
        );
        let headers = "/properties/monitorConfig/customHeaders";
        let both = [held, &wanted].map(|profile| headers_of(profile.pointer(headers)));
        compare("customHeaders", both[0] == both[1]);
        different
    }

    /// The body of the write. What the traffic manager holds is sent back as it was read, endpoints included, except
    /// for the properties that are ours.
    pub(super) fn body(&self, held: Option<&Value>) -> Value {
        let mut body = held.cloned().unwrap_or_else(|| json!({}));
        put(&mut body, &["location"], json!("global"));
        put(&mut body, &["tags", PROFILE_TAG], json!(self.tag));
        let properties = [
            ("profileStatus", json!("Enabled")),
            ("trafficRoutingMethod", json!(self.routing_method)),
            (
                "dnsConfig",
                json!({ "relativeName": self.relative_name, "ttl": self.ttl }),
            ),
        ];
        for (name, value) in properties {
            put(&mut body, &["properties", name], value);
        }
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let monitor = [
            ("protocol", Some(json!(self.protocol))),
            ("port", Some(json!(self.port))),
            ("path", self.path.as_ref().map(|path| json!(path))),
            ("intervalInSeconds", Some(json!(self.interval))),
            ("timeoutInSeconds", Some(json!(self.timeout))),
            ("toleratedNumberOfFailures", Some(json!(self.tolerated_failures))),
            ("customHeaders", (!headers.is_empty()).then(|| json!(headers))),
        ];
        for (name, value) in monitor {
            let path = ["properties", "monitorConfig", name];
            match value {
                Some(value) => put(&mut body, &path, value),
                None => remove(&mut body, &path),
            }
        }
        body
    }
}

/// Headers as a set, by name; none is the same as an empty list.
fn headers_of(list: Option<&Value>) -> BTreeSet<(&str, &str)> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|header| {
            let text = |key: &str| header.get(key).and_then(Value::as_str).unwrap_or_default();
            (text("name"), text("value"))
        })
        .collect()
}

fn number(profile: &TrafficProfile, annotation: &str, least: i64, most: i64) -> Result<Option<i64>, String> {
    let Some(text) = profile.meta.annotation(annotation) else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(format!(
            "the annotation {annotation} is {text:?}, but a whole number of seconds from {least} to {most} is required"
        )),
    }
}

/// Whether endpoints are to be degraded without waiting for probes.
///
/// # Errors
/// What the user has to change, as one sentence without a full stop.
pub(super) fn fast_degradation(profile: &TrafficProfile) -> Result<bool, String> {
    let annotation = annotations::TRAFFIC_FAST_DEGRADATION;
    match profile.meta.annotation(annotation) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!(
            "the annotation {annotation} is {other:?}, but \"true\" or \"false\" is required"
        )),
    }
}

/// Whether a profile routes by ranks of its endpoints.
pub(super) fn routes_by_priority(profile: &TrafficProfile) -> bool {
    routing_method(profile).is_ok_and(|method| method == PRIORITY)
}

fn routing_method(profile: &TrafficProfile) -> Result<String, String> {
    let annotation = annotations::TRAFFIC_ROUTING_METHOD;
    let method = profile.meta.annotation(annotation).unwrap_or(WEIGHTED);
    if ROUTING_METHODS.contains(&method) {
        return Ok(method.to_owned());
    }
    Err(format!(
        "the annotation {annotation} is {method:?}, but one of {} is required",
        ROUTING_METHODS.join(", ")
    ))
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;
