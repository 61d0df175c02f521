//! A small model of Azure Traffic Manager: profiles with endpoints, its rules, and faults on demand.

use std::collections::BTreeMap;
use std::time::Duration;

use fairway_core::traffic::arm::{Action, Call, Failure, Subject};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub struct Atm {
    /// Profiles by resource group and name.
    pub profiles: BTreeMap<(String, String), Value>,
    /// Answers instead of the right ones, by subject, until they are removed.
    pub faults: BTreeMap<Subject, Failure>,
    /// A fault that lets the call take effect and loses the answer.
    pub lost: bool,
    /// Relative names that others have.
    pub taken: Vec<String>,
    /// Every call in one line, with what came of it.
    pub log: Vec<String>,
    /// Spell names of endpoints in upper case.
    pub upper_case: bool,
    /// Leave ids, names and properties out of answers to writes.
    pub without_details: bool,
}

pub fn failure(status: u16, code: &str) -> Failure {
    Failure {
        status: Some(status),
        code: code.to_owned(),
        message: "Because.".to_owned(),
        retry_after: None,
    }
}

pub fn no_answer() -> Failure {
    Failure {
        message: "timed out".to_owned(),
        ..Failure::default()
    }
}

pub fn throttled(seconds: u64) -> Failure {
    Failure {
        retry_after: Some(Duration::from_secs(seconds)),
        ..failure(429, "TooManyRequests")
    }
}

impl Atm {
    pub fn answer(&mut self, call: &Call) -> Result<Value, Failure> {
        let result = match self.faults.get(&call.subject()) {
            Some(fault) => Err(fault.clone()),
            None => self.right_answer(call),
        };
        let came = match &result {
            Ok(_) => String::new(),
            Err(failure) => format!(" -> {}", failure.status.map_or("none".to_owned(), |s| s.to_string())),
        };
        let said = match &call.action {
            Action::ReadProfile => "read".to_owned(),
            Action::WriteProfile { .. } => "write".to_owned(),
            Action::DeleteProfile => "delete".to_owned(),
            Action::WriteEndpoint { name, body } => format!("put {} {}", short(name), body["properties"]["weight"]),
            Action::DeleteEndpoint { name } => format!("drop {}", short(name)),
        };
        self.log.push(format!("{said}{came}"));
        match result {
            Ok(_) if self.lost && !matches!(call.action, Action::ReadProfile) => Err(no_answer()),
            Ok(_) if self.without_details && !matches!(call.action, Action::ReadProfile) => Ok(json!({})),
            other => other,
        }
    }

    fn right_answer(&mut self, call: &Call) -> Result<Value, Failure> {
        let id = &call.profile;
        let key = (id.resource_group.to_lowercase(), id.name.to_lowercase());
        let path = format!("/rg/{}/{}", id.resource_group, id.name);
        match &call.action {
            Action::ReadProfile => self
                .profiles
                .get(&key)
                .cloned()
                .ok_or_else(|| failure(404, "ResourceNotFound")),
            Action::DeleteProfile => {
                self.profiles.remove(&key);
                Ok(Value::Null)
            }
            Action::WriteProfile { body } => {
                self.check_profile(&key, body)?;
                let mut profile = body.clone();
                let name = profile["properties"]["dnsConfig"]["relativeName"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                profile["id"] = json!(path);
                profile["name"] = json!(id.name);
                profile["properties"]["dnsConfig"]["fqdn"] = json!(format!("{name}.trafficmanager.net"));
                profile["properties"]["monitorConfig"]["profileMonitorStatus"] = json!("Inactive");
                let endpoints = &mut profile["properties"]["endpoints"];
                if endpoints.is_null() {
                    *endpoints = json!([]);
                }
                self.profiles.insert(key, profile.clone());
                Ok(profile)
            }
            Action::WriteEndpoint { name, body } => {
                let upper_case = self.upper_case;
                let profile = self
                    .profiles
                    .get_mut(&key)
                    .ok_or_else(|| failure(404, "ResourceNotFound"))?;
                let by_priority = profile["properties"]["trafficRoutingMethod"] == "Priority";
                let list = profile["properties"]["endpoints"].as_array_mut().unwrap();
                let is_same = |e: &Value| e["name"].as_str().unwrap().eq_ignore_ascii_case(name);
                let target = &body["properties"]["targetResourceId"];
                let taken = list
                    .iter()
                    .any(|e| !is_same(e) && e["properties"]["targetResourceId"] == *target);
                let weight = body["properties"]["weight"].as_i64().unwrap();
                if taken || !(1..=1000).contains(&weight) {
                    return Err(failure(400, "BadRequest"));
                }
                let rank = |e: &Value| e["properties"]["priority"].as_i64();
                let before = list.iter().find(|e| is_same(e)).and_then(rank);
                let next = list.iter().filter_map(rank).max().unwrap_or_default() + 1;
                let priority = rank(body).or(before).unwrap_or(next);
                if by_priority && list.iter().any(|e| !is_same(e) && rank(e) == Some(priority)) {
                    return Err(failure(400, "BadRequest"));
                }
                let mut endpoint = body.clone();
                if by_priority {
                    endpoint["properties"]["priority"] = json!(priority);
                }
                let name = if upper_case { name.to_uppercase() } else { name.clone() };
                endpoint["id"] = json!(format!("{path}/azureEndpoints/{name}"));
                endpoint["name"] = json!(name);
                endpoint["type"] = json!("Microsoft.Network/trafficManagerProfiles/azureEndpoints");
                endpoint["properties"]["target"] =
                    json!(format!("{}.example.com", target.as_str().unwrap().trim_matches('/')));
                list.retain(|e| !is_same(e));
                list.push(endpoint.clone());
                Ok(endpoint)
            }
            Action::DeleteEndpoint { name } => {
                let profile = self
                    .profiles
                    .get_mut(&key)
                    .ok_or_else(|| failure(404, "ResourceNotFound"))?;
                let list = profile["properties"]["endpoints"].as_array_mut().unwrap();
                let before = list.len();
                list.retain(|e| !e["name"].as_str().unwrap().eq_ignore_ascii_case(name));
                if list.len() == before {
                    return Err(failure(404, "ResourceNotFound"));
                }
                Ok(Value::Null)
            }
        }
    }

    fn check_profile(&self, key: &(String, String), body: &Value) -> Result<(), Failure> {
        let name = body["properties"]["dnsConfig"]["relativeName"].as_str().unwrap();
        let others = self
            .profiles
            .iter()
            .filter(|(other, _)| *other != key)
            .map(|(_, profile)| profile);
        let mut names = others.map(|p| p["properties"]["dnsConfig"]["relativeName"].as_str().unwrap());
        if self.taken.iter().any(|taken| taken == name) || names.any(|other| other == name) {
            return Err(Failure {
                message: format!("Domain name {name}.trafficmanager.net already exists."),
                ..failure(409, "Conflict")
            });
        }
        let monitor = &body["properties"]["monitorConfig"];
        let path_with_tcp = monitor["protocol"] == "TCP" && monitor.get("path").is_some();
        let interval = monitor["intervalInSeconds"].as_i64().unwrap();
        if path_with_tcp || ![10, 30].contains(&interval) {
            return Err(failure(400, "BadRequest"));
        }
        Ok(())
    }

    /// The only profile.
    pub fn profile(&mut self) -> &mut Value {
        self.profiles.values_mut().next().expect("there is a profile")
    }

    pub fn endpoints(&mut self) -> &mut Vec<Value> {
        self.profile()["properties"]["endpoints"].as_array_mut().unwrap()
    }

    /// Endpoints of the only profile in short: cluster and weight.
    pub fn shares(&mut self) -> Vec<String> {
        let mut all: Vec<String> = self
            .endpoints()
            .iter()
            .map(|e| format!("{} {}", short(e["name"].as_str().unwrap()), e["properties"]["weight"]))
            .collect();
        all.sort();
        all
    }

    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

/// Backend uid and cluster of a name.
pub fn short(name: &str) -> String {
    let lower = name.to_lowercase();
    let parts: Vec<&str> = lower.trim_start_matches("fleet-").split('#').collect();
    match parts.as_slice() {
        [backend, _, cluster] => format!("{backend}/{cluster}"),
        _ => name.to_owned(),
    }
}
