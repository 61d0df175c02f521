//! Faults by name: the table of the fake provider of fleet-networking.

use bytes::Bytes;
use http::{Method, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::refuse;
use crate::arm::path::{EndpointId, Route};
use crate::http::{Effect, Seen};
use crate::model::ResourceId;

/// What the fake provider answers for names that mean something to it. Other names are answered by the server itself.
pub struct Named {
    /// The only resource group that exists.
    pub group: String,
    /// Whether clusters named `create-forbidden-endpoint-cluster` are forbidden.
    pub forbidden: Mutex<bool>,
}

impl Default for Named {
    fn default() -> Self {
        Self {
            group: "default-resource-group-name".to_owned(),
            forbidden: Mutex::new(true),
        }
    }
}

impl Named {
    pub(super) fn effect(&self, seen: &Seen) -> Option<Effect> {
        match Route::parse(&seen.path)? {
            Route::Profile(id) => self.profile(&id, seen),
            Route::Endpoint(id) => self.endpoint(&id, &seen.method),
            _ => None,
        }
    }

    fn is_known(&self, id: &ResourceId) -> bool {
        id.group.eq_ignore_ascii_case(&self.group)
    }

    fn profile(&self, id: &ResourceId, seen: &Seen) -> Option<Effect> {
        if !self.is_known(id) {
            return Some(refuse(403, "AuthorizationFailed", None));
        }
        let name = id.name.to_ascii_lowercase();
        match (&seen.method, name.as_str()) {
            (&Method::GET, "valid-profile") => Some(answer(profile(id, json!([])))),
            (&Method::GET, "valid-profile-with-endpoints" | "valid-profile-with-fail-to-delete-endpoint") => {
                Some(answer(profile(id, endpoints(id, &name))))
            }
            (&Method::GET, "valid-profile-with-empty-properties") => {
                let mut body = profile(id, json!([]));
                super::remove(&mut body, "/properties");
                Some(answer(body))
            }
            (&Method::GET, "request-timeout-profile") => Some(refuse(408, "RequestTimeout", None)),
            (&Method::PUT, "conflict-err-profile") => Some(refuse(409, "Conflict", None)),
            (&Method::PUT, "internal-server-err-profile") => Some(refuse(500, "InternalServerError", None)),
            (&Method::PUT, "throttled-err-profile") => Some(refuse(429, "TooManyRequests", None)),
            (&Method::PUT, "valid-profile" | "valid-profile-with-unexpected-response") => {
                Some(put(id, &name, &seen.body))
            }
            _ => None,
        }
    }

    fn endpoint(&self, id: &EndpointId, method: &Method) -> Option<Effect> {
        if !self.is_known(&id.profile) {
            return Some(refuse(404, "ResourceGroupNotFound", None));
        }
        let cluster = id.name.rsplit('#').next().unwrap_or_default().to_ascii_lowercase();
        match (method, cluster.as_str()) {
            (&Method::PUT, "create-bad-request-endpoint-cluster") => Some(refuse(400, "BadRequest", None)),
            (&Method::PUT, "create-internal-err-endpoint-cluster") => Some(refuse(500, "InternalServerError", None)),
            (&Method::PUT, "create-forbidden-endpoint-cluster") if *self.forbidden.lock() => {
                Some(refuse(403, "AuthorizationFailed", None))
            }
            (&Method::DELETE, _) if !id.kind.eq_ignore_ascii_case("AzureEndpoints") => {
                Some(refuse(400, "BadRequest", None))
            }
            (&Method::DELETE, "not-found") => Some(refuse(404, "ResourceNotFound", None)),
            (&Method::DELETE, "fail-to-delete") => Some(refuse(500, "InternalServerError", None)),
            _ => None,
        }
    }
}

fn answer(body: Value) -> Effect {
    Effect::Answer(Response::new(Bytes::from(body.to_string())))
}

fn profile(id: &ResourceId, endpoints: Value) -> Value {
    json!({
        "id": id.arm(crate::arm::PROFILES),
        "name": id.name,
        "location": "global",
        "tags": {"networking.fleet.azure.com.trafficManagerProfile": "profile-ns/profile-name"},
        "properties": {
            "profileStatus": "Enabled",
            "trafficRoutingMethod": "Weighted",
            "dnsConfig": {
                "relativeName": "valid-profile",
                "fqdn": "valid-profile.trafficmanager.net",
                "ttl": 60,
            },
            "monitorConfig": {
                "protocol": "HTTP",
                "port": 8080,
                "path": "/healthz",
                "intervalInSeconds": 10,
                "timeoutInSeconds": 9,
                "toleratedNumberOfFailures": 4,
            },
            "endpoints": endpoints,
        },
    })
}

/// One endpoint of a backend that is named as the profile, in another case; a foreign one; one that is gone on deletion.
fn endpoints(id: &ResourceId, backend: &str) -> Value {
    let third = match backend {
        "valid-profile-with-fail-to-delete-endpoint" => "fail-to-delete",
        _ => "not-found",
    };
    let backend = backend.replace("profile", "backend");
    let endpoint = |name: String| {
        json!({
            "id": format!("{}/azureEndpoints/{name}", id.arm(crate::arm::PROFILES)),
            "name": name,
            "type": "Microsoft.Network/trafficManagerProfiles/azureEndpoints",
            "properties": {"target": "valid-endpoint-target", "weight": 100, "endpointStatus": "Enabled"},
        })
    };
    json!([
        endpoint(format!("{backend}#valid-service#valid-endpoint").to_uppercase()),
        endpoint("other-endpoint".to_owned()),
        endpoint(format!("{backend}#{third}")),
    ])
}

fn put(id: &ResourceId, name: &str, body: &Bytes) -> Effect {
    let Ok(mut sent) = serde_json::from_slice::<Value>(body) else {
        return refuse(400, "BadRequest", None);
    };
    let number = |pointer: &str| sent.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let interval = number("/properties/monitorConfig/intervalInSeconds");
    if interval == 10 && number("/properties/monitorConfig/timeoutInSeconds") > 9 {
        return refuse(400, "BadRequest", None);
    }
    let relative = sent
        .pointer("/properties/dnsConfig/relativeName")
        .and_then(Value::as_str);
    let fqdn = format!("{}.trafficmanager.net", relative.unwrap_or_default());
    if let Some(dns) = sent.pointer_mut("/properties/dnsConfig").and_then(Value::as_object_mut) {
        dns.insert("fqdn".to_owned(), json!(fqdn));
        dns.insert("ttl".to_owned(), json!(30));
    }
    sent["id"] = json!(id.arm(crate::arm::PROFILES));
    sent["name"] = json!(id.name);
    if name == "valid-profile-with-unexpected-response" {
        super::remove(&mut sent, "/properties/dnsConfig");
        super::remove(&mut sent, "/id");
    }
    answer(sent)
}
