//! Resources as ARM answers them, in its own casing.

use serde_json::{Value, json};

use super::{ADDRESSES, PROFILES};
use crate::health::{endpoint_status, profile_status};
use crate::model::{Endpoint, Header, Monitor, Profile, PublicAddress, Target};
use crate::state::State;

/// A profile. `origin` is the zone that its name is in.
pub fn profile(state: &State, profile: &Profile, origin: &str) -> Value {
    let mut properties = json!({
        "profileStatus": on_off(profile.enabled),
        "trafficRoutingMethod": profile.routing.text(),
        "dnsConfig": {
            "relativeName": profile.relative_name,
            "fqdn": format!("{}.{origin}", profile.relative_name),
            "ttl": profile.ttl,
        },
        "monitorConfig": monitor(&profile.monitor, profile_status(state, profile).text()),
        "endpoints": profile.endpoints.iter().map(|one| endpoint(state, profile, one, origin)).collect::<Vec<_>>(),
    });
    put_some(
        &mut properties,
        "trafficViewEnrollmentStatus",
        profile.traffic_view.clone(),
    );
    put_some(&mut properties, "maxReturn", profile.max_return);
    if !profile.record_types.is_empty() {
        put_some(
            &mut properties,
            "allowedEndpointRecordTypes",
            Some(profile.record_types.clone()),
        );
    }
    json!({
        "id": profile.id.arm(PROFILES),
        "name": profile.id.name,
        "type": format!("Microsoft.Network/{PROFILES}"),
        "location": "global",
        "tags": profile.tags,
        "properties": properties,
    })
}

/// An endpoint of a profile.
pub fn endpoint(state: &State, profile: &Profile, endpoint: &Endpoint, origin: &str) -> Value {
    let status = endpoint_status(profile, endpoint, &state.destination(endpoint));
    let kind = endpoint.kind.segment();
    let mut properties = json!({
        "endpointStatus": on_off(endpoint.enabled),
        "endpointMonitorStatus": status.text(),
        "weight": endpoint.weight,
        "priority": endpoint.priority,
        "alwaysServe": on_off(endpoint.always_serve),
    });
    if let Target::Resource { id } = &endpoint.target {
        put_some(&mut properties, "targetResourceId", Some(id.arm(ADDRESSES)));
    }
    put_some(&mut properties, "target", state.target_text(endpoint, origin));
    put_some(&mut properties, "endpointLocation", endpoint.location.clone());
    if !endpoint.headers.is_empty() {
        put_some(&mut properties, "customHeaders", Some(headers(&endpoint.headers)));
    }
    json!({
        "id": format!("{}/{kind}/{}", profile.id.arm(PROFILES), endpoint.name),
        "name": endpoint.name,
        "type": format!("Microsoft.Network/{PROFILES}/{kind}"),
        "properties": properties,
    })
}

/// A public IP address.
pub fn address(address: &PublicAddress, origin: &str) -> Value {
    let is_ipv6 = address.ip.map_or(address.is_ipv6, |ip| ip.is_ipv6());
    let version = if is_ipv6 { "IPv6" } else { "IPv4" };
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "publicIPAddressVersion": version,
        "publicIPAllocationMethod": address.allocation,
    });
    put_some(&mut properties, "ipAddress", address.ip.map(|ip| ip.to_string()));
    put_some(&mut properties, "idleTimeoutInMinutes", address.idle_timeout);
    let mut dns = json!({});
    put_some(&mut dns, "domainNameLabel", address.label.clone());
    put_some(&mut dns, "fqdn", address.full_name(origin));
    if dns.as_object().is_some_and(|dns| !dns.is_empty()) {
        put_some(&mut properties, "dnsSettings", Some(dns));
    }
    let mut resource = json!({
        "id": address.id.arm(ADDRESSES),
        "name": address.id.name,
        "type": format!("Microsoft.Network/{ADDRESSES}"),
        "location": address.location,
        "tags": address.tags,
        "properties": properties,
    });
    let mut sku = json!({});
    put_some(&mut sku, "name", address.sku.clone());
    put_some(&mut sku, "tier", address.tier.clone());
    if sku.as_object().is_some_and(|sku| !sku.is_empty()) {
        put_some(&mut resource, "sku", Some(sku));
    }
    if !address.zones.is_empty() {
        put_some(&mut resource, "zones", Some(address.zones.clone()));
    }
    resource
}

/// What a deletion answers that had something to delete, or that ARM treats so.
pub fn deleted() -> Value {
    json!({"operationResult": true})
}

fn monitor(monitor: &Monitor, status: &str) -> Value {
    let mut value = json!({
        "profileMonitorStatus": status,
        "protocol": monitor.protocol.text(),
        "port": monitor.port,
        "intervalInSeconds": monitor.interval,
        "timeoutInSeconds": monitor.timeout,
        "toleratedNumberOfFailures": monitor.tolerated_failures,
    });
    put_some(&mut value, "path", monitor.path.clone());
    if !monitor.headers.is_empty() {
        put_some(&mut value, "customHeaders", Some(headers(&monitor.headers)));
    }
    if !monitor.expected.is_empty() {
        let ranges = monitor.expected.iter();
        let ranges: Vec<Value> = ranges
            .map(|range| json!({"min": range.min, "max": range.max}))
            .collect();
        put_some(&mut value, "expectedStatusCodeRanges", Some(ranges));
    }
    value
}

fn headers(headers: &[Header]) -> Value {
    let headers = headers.iter();
    headers
        .map(|header| json!({"name": header.name, "value": header.value}))
        .collect()
}

fn on_off(enabled: bool) -> &'static str {
    if enabled { "Enabled" } else { "Disabled" }
}

fn put_some<T: Into<Value>>(target: &mut Value, name: &str, value: Option<T>) {
    if let (Some(map), Some(value)) = (target.as_object_mut(), value) {
        map.insert(name.to_owned(), value.into());
    }
}
