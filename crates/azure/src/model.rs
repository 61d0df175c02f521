//! Profiles, endpoints and public IP addresses as plain data.

use std::time::Duration;

use serde_json::{Map, Value};

/// Which profile is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileRef {
    /// Its resource group.
    pub resource_group: String,
    /// Its name.
    pub name: String,
}

/// A profile as Azure's JSON: what a newer API version adds is kept, so that an answer can go back with nothing lost but
/// what was overwritten (networking 6.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile(Map<String, Value>);

/// An endpoint as Azure's JSON. Names, types and ids may be spelled in another case than they were written in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Endpoint(Map<String, Value>);

/// What a traffic manager is to know of an endpoint at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHint {
    /// ARM id of the endpoint.
    pub endpoint: String,
    /// It serves nothing; `None` takes an earlier hint back.
    pub degraded: Option<Degraded>,
}

/// An endpoint serves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    /// How long the hint lasts, in whole seconds.
    pub lasts: Duration,
    /// Why, for people.
    pub reason: String,
}

/// A public IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicIp {
    /// ARM id.
    pub id: String,
    /// The address; `None` while none is assigned.
    pub address: Option<String>,
    /// The DNS label; `None` when it has none.
    pub dns_label: Option<String>,
}

impl Profile {
    /// Reads a body.
    ///
    /// # Errors
    /// A text that says why the body is none.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        object(body).map(Self)
    }

    /// ARM id.
    pub fn id(&self) -> Option<&str> {
        self.0.get("id")?.as_str()
    }

    /// Name.
    pub fn name(&self) -> Option<&str> {
        self.0.get("name")?.as_str()
    }

    /// Full domain name.
    pub fn fqdn(&self) -> Option<&str> {
        self.0.get("properties")?.get("dnsConfig")?.get("fqdn")?.as_str()
    }

    /// Its endpoints; none where the answer has no properties (networking 7.5).
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let endpoints = self.0.get("properties").and_then(|p| p.get("endpoints")?.as_array());
        endpoints
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .map(|map| Endpoint(map.clone()))
            .collect()
    }

    /// All of its JSON.
    pub fn json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of its JSON.
    pub fn into_json(self) -> Map<String, Value> {
        self.0
    }
}

impl From<Map<String, Value>> for Profile {
    fn from(json: Map<String, Value>) -> Self {
        Self(json)
    }
}

impl Endpoint {
    /// Reads a body.
    ///
    /// # Errors
    /// A text that says why the body is none.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        object(body).map(Self)
    }

    /// ARM id.
    pub fn id(&self) -> Option<&str> {
        self.0.get("id")?.as_str()
    }

    /// Name.
    pub fn name(&self) -> Option<&str> {
        self.0.get("name")?.as_str()
    }

    /// Domain name that it resolves to.
    pub fn target(&self) -> Option<&str> {
        self.property("target")?.as_str()
    }

    /// What the probes say, such as `Online` or `Degraded`.
    pub fn monitor_status(&self) -> Option<&str> {
        self.property("endpointMonitorStatus")?.as_str()
    }

    /// Weight, 1 to 1000.
    pub fn weight(&self) -> Option<i64> {
        self.property("weight")?.as_i64()
    }

    /// All of its JSON.
    pub fn json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of its JSON.
    pub fn into_json(self) -> Map<String, Value> {
        self.0
    }

    fn property(&self, name: &str) -> Option<&Value> {
        self.0.get("properties")?.get(name)
    }
}

impl From<Map<String, Value>> for Endpoint {
    fn from(json: Map<String, Value>) -> Self {
        Self(json)
    }
}

impl PublicIp {
    /// The addresses of one page, and the link to the next one. Entries without an id are left out.
    ///
    /// # Errors
    /// A text that says why the body is no page.
    pub fn read_page(body: &[u8]) -> Result<(Vec<Self>, Option<String>), String> {
        let page = object(body)?;
        let Some(entries) = page.get("value").and_then(Value::as_array) else {
            return Err("the answer has no list \"value\"".to_owned());
        };
        let text = |value: Option<&Value>| {
            let text = value.and_then(Value::as_str).map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let read = |entry: &Value| {
            Some(Self {
                id: text(entry.get("id"))?,
                address: text(entry.pointer("/properties/ipAddress")),
                dns_label: text(entry.pointer("/properties/dnsSettings/domainNameLabel")),
            })
        };
        Ok((entries.iter().filter_map(read).collect(), text(page.get("nextLink"))))
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the answer is no JSON object".to_owned()),
        Err(err) => Err(format!(
            "the answer is not JSON (line {}, column {})",
            err.line(),
            err.column()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_profile_keeps_what_is_not_known() {
        let body = json!({"id": "/p", "name": "P", "new": {"a": [1.5, null]}, "properties": {
        "dnsConfig": {"relativeName": "a", "fqdn": "a.trafficmanager.net", "ttl": 60}, "maxReturn": 3,
        "endpoints": [
            {"id": "/e", "name": "E", "type": "Microsoft.Network/trafficManagerProfiles/azureEndpoints",
             "properties": {"target": "t", "weight": 5, "endpointStatus": "Enabled", "targetResourceId": "/ip",
                            "endpointMonitorStatus": "Online", "priority": 1}},
            "odd", {"properties": {"weight": "five"}}
        ]}});
        let profile = Profile::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            (profile.id(), profile.name(), profile.fqdn()),
            (Some("/p"), Some("P"), Some("a.trafficmanager.net"))
        );
        let endpoints = profile.endpoints();
        assert_eq!((endpoints.len(), endpoints[0].weight()), (2, Some(5)));
        let texts = [
            endpoints[0].id(),
            endpoints[0].name(),
            endpoints[0].target(),
            endpoints[0].monitor_status(),
        ];
        assert_eq!(texts, [Some("/e"), Some("E"), Some("t"), Some("Online")]);
        assert_eq!((endpoints[1].weight(), endpoints[1].name()), (None, None));
        assert_eq!(Value::Object(profile.into_json()), body);
        let bare = Profile::read(br#"{"name": "x"}"#).unwrap();
        assert_eq!((bare.endpoints().len(), bare.fqdn(), bare.id()), (0, None, None));
        assert!(Profile::read(b"[]").is_err() && Profile::read(b"{").is_err());
    }

    #[test]
    fn pages_of_addresses_are_read() {
        let body = json!({"value": [
            {"id": "/a", "properties": {"ipAddress": "203.0.113.1", "dnsSettings": {"domainNameLabel": "x", "fqdn": "y"}}},
            {"id": "/b", "properties": {"dnsSettings": {"domainNameLabel": ""}}},
            {"properties": {"ipAddress": "203.0.113.2"}}
        ], "nextLink": " "});
        let (addresses, next) = PublicIp::read_page(body.to_string().as_bytes()).unwrap();
        let of = |id: &str, address: Option<&str>, label: Option<&str>| PublicIp {
            id: id.into(),
            address: address.map(Into::into),
            dns_label: label.map(Into::into),
        };
        assert_eq!(
            addresses,
            [of("/a", Some("203.0.113.1"), Some("x")), of("/b", None, None)]
        );
        assert_eq!(next, None);
        assert!(PublicIp::read_page(b"{}").unwrap_err().contains("value"));
    }
}
