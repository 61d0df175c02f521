//! Cluster addresses and node ports of Services.

use crate::call::Call;
use crate::object::{at, child, default_with, items, text};
use crate::server::Core;
use crate::status::{ApiResult, Cause};
use crate::storage::{Event, EventKind};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Addresses are 10.0.0.0/16; the first few are left for the cluster's own services.
const NETWORK: [u8; 2] = [10, 0];
const FIRST_DYNAMIC: u16 = 11;
/// Range of node ports.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

#[derive(Default)]
struct Taken {
    addresses: BTreeMap<u16, usize>,
    ports: BTreeMap<u16, usize>,
    next_address: u16,
    next_port: u16,
}

/// What is allocated.
#[derive(Default)]
pub struct Addresses(Mutex<Taken>);

fn offset(address: &str) -> Option<u16> {
    let octets = address.parse::<Ipv4Addr>().ok()?.octets();
    (octets[..2] == NETWORK).then(|| u16::from_be_bytes([octets[2], octets[3]]))
}

fn node_ports(service: &Value) -> Vec<u16> {
    let ports = items(service, &["spec", "ports"]).iter();
    ports
        .filter_map(|p| p.get("nodePort")?.as_u64()?.try_into().ok())
        .filter(|p| *p > 0)
        .collect()
}

impl Addresses {
    /// Keeps the books when a Service appears, changes or goes.
    pub fn observe(&self, event: &Event) {
        let mut taken = self.0.lock();
        let mut count = |service: &Value, up: bool| {
            let address = offset(text(service, &["spec", "clusterIP"]));
            let step = |map: &mut BTreeMap<u16, usize>, key: u16| {
                let n = map.entry(key).or_default();
                *n = if up { *n + 1 } else { n.saturating_sub(1) };
                if *n == 0 {
                    map.remove(&key);
                }
            };
            if let Some(address) = address {
                step(&mut taken.addresses, address);
            }
            for port in node_ports(service) {
                step(&mut taken.ports, port);
            }
        };
        if let Some(previous) = &event.previous {
            count(&previous.value(), false);
        }
        if event.kind != EventKind::Deleted {
            count(&event.object.value(), true);
        }
    }

    fn address(&self) -> Ipv4Addr {
        let mut taken = self.0.lock();
        loop {
            taken.next_address = taken.next_address.wrapping_add(1).max(FIRST_DYNAMIC);
            if !taken.addresses.contains_key(&taken.next_address) {
                let [high, low] = taken.next_address.to_be_bytes();
                return Ipv4Addr::new(NETWORK[0], NETWORK[1], high, low);
            }
        }
    }

    fn port(&self) -> u16 {
        let mut taken = self.0.lock();
        loop {
            taken.next_port = taken.next_port.wrapping_add(1);
            if !NODE_PORTS.contains(&taken.next_port) {
                taken.next_port = *NODE_PORTS.start();
            }
            if !taken.ports.contains_key(&taken.next_port) {
                return taken.next_port;
            }
        }
    }
}

/// Gives a Service the addresses and ports that its type needs.
pub fn allocate(core: &Core, call: &Call, old: Option<&Value>, service: &mut Value) -> ApiResult<()> {
    let kind = text(service, &["spec", "type"]).to_owned();
    if kind == "ExternalName" {
        let spec = child(service, "spec");
        ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]
            .iter()
            .for_each(|k| drop(spec.remove(*k)));
        return Ok(());
    }
    keep_allocated(old, service, &kind);
    drop_unwanted(old, service, &kind);
    check_address(call, old, service)?;
    let spec = child(service, "spec");
    if spec.get("clusterIP").and_then(Value::as_str).is_none_or(str::is_empty) {
        spec.insert("clusterIP".into(), core.addresses.address().to_string().into());
    }
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    spec.insert("clusterIPs".into(), json!([address]));
    default_with(spec, "ipFamilies", || json!(["IPv4"]));
    default_with(spec, "ipFamilyPolicy", || "SingleStack".into());
    let no_ports = spec.get("allocateLoadBalancerNodePorts") == Some(&Value::Bool(false));
    let wants_ports = kind == "NodePort" || (kind == "LoadBalancer" && !no_ports);
    if let (true, Some(Value::Array(ports))) = (wants_ports, spec.get_mut("ports")) {
        for port in ports
            .iter_mut()
            .filter(|p| p.get("nodePort").and_then(Value::as_u64).unwrap_or(0) == 0)
        {
            port["nodePort"] = core.addresses.port().into();
        }
    }
    if kind == "LoadBalancer" && text(service, &["spec", "externalTrafficPolicy"]) == "Local" {
        let spec = child(service, "spec");
        default_with(spec, "healthCheckNodePort", || core.addresses.port().into());
    }
    Ok(())
}

/// A client that leaves allocated fields out of an update keeps them.
fn keep_allocated(old: Option<&Value>, service: &mut Value, kind: &str) {
    let Some(old) = old else { return };
    if text(service, &["spec", "clusterIP"]).is_empty() && text(old, &["spec", "type"]) != "ExternalName" {
        for key in ["clusterIP", "clusterIPs"] {
            if let Some(kept) = at(old, &["spec", key]) {
                child(service, "spec").insert(key.into(), kept.clone());
            }
        }
    }
    if let (Some(kept), "LoadBalancer") = (at(old, &["spec", "healthCheckNodePort"]), kind) {
        default_with(child(service, "spec"), "healthCheckNodePort", || kept.clone());
    }
    if kind != "NodePort" && kind != "LoadBalancer" {
        return;
    }
    let old_ports = items(old, &["spec", "ports"]).to_vec();
    let Some(Value::Array(ports)) = child(service, "spec").get_mut("ports") else {
        return;
    };
    for port in ports.iter_mut().filter(|p| p.get("nodePort").is_none()) {
        let same = |o: &&Value| o.get("port") == port.get("port") && o.get("protocol") == port.get("protocol");
        if let Some(kept) = old_ports.iter().find(same).and_then(|o| o.get("nodePort")).cloned() {
            port["nodePort"] = kept;
        }
    }
}

/// A Service that is exposed no longer gives up what it was exposed by.
fn drop_unwanted(old: Option<&Value>, service: &mut Value, kind: &str) {
    let exposed = |kind: &str| kind == "NodePort" || kind == "LoadBalancer";
    if exposed(kind) || !old.is_some_and(|o| exposed(text(o, &["spec", "type"]))) {
        return;
    }
    let spec = child(service, "spec");
    for key in [
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
    ] {
        spec.remove(key);
    }
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        crate::object::as_map(port).remove("nodePort");
    }
}

fn check_address(call: &Call, old: Option<&Value>, service: &Value) -> ApiResult<()> {
    let wanted = text(service, &["spec", "clusterIP"]);
    let before = old.map(|o| text(o, &["spec", "clusterIP"])).unwrap_or_default();
    let name = crate::object::name(service);
    if wanted.is_empty() || wanted == before {
        return Ok(());
    }
    let fault =
        |detail: &str| Err(call.invalid(name, &[Cause::invalid("spec.clusterIPs[0]", &json!([wanted]), detail)]));
    if !before.is_empty() {
        return fault("may not change once set");
    }
    if wanted == "None" {
        return Ok(());
    }
    if wanted.parse::<Ipv4Addr>().is_err() {
        return fault("must be empty, 'None', or a valid IP address");
    }
    Ok(())
}
